"""Which weights of a layer are a group: neighbours along the input channels of one filter at one place of its kernel.

Where a place has fewer channels than a group has weights, a group goes on over the places after it, row by row, as
hardware reads windows; but not in depthwise layers, whose channels it reads apart. What is left of a group has zeros.
"""

from math import prod

import numpy as np

from ..networks.layers import Activation, Add, ConvTranspose, Dense, DepthwiseConv, Flatten, Network, Weighted
from .decompose import Ints


def group_places(network: Network, layer: Weighted, size: int) -> Ints:
    """(filters, groups, size): where in the layer's flattened tensor of weights each one is, -1 for none."""
    shapes, source = network.shapes(), network.sources()[layer.name][0]
    inputs = prod(shapes[source]) if isinstance(layer, Dense) else shapes[source][0]
    filters = shapes[layer.name][0]
    if isinstance(layer, Dense):
        # The integer graph has the channels of a pixel together, a flattened map in torch its pixels.
        places = np.arange(filters * inputs).reshape(filters, -1, _pixels(network, source)).transpose(0, 2, 1)
    elif isinstance(layer, ConvTranspose):
        places = np.arange(inputs * filters * prod(layer.kernel)).reshape(inputs, filters, -1).transpose(1, 2, 0)
    else:
        channels = 1 if isinstance(layer, DepthwiseConv) else inputs
        places = np.arange(filters * channels * prod(layer.kernel)).reshape(filters, channels, -1).transpose(0, 2, 1)
    if places.shape[2] < size and not isinstance(layer, DepthwiseConv):
        places = places.reshape(filters, 1, -1)
    missing = -places.shape[2] % size
    return np.pad(places, ((0, 0), (0, 0), (0, missing)), constant_values=-1).reshape(filters, -1, size)


def _pixels(network: Network, source: str) -> int:
    """How many pixels the map had that was flattened into the vector ``source``; 1 if none was."""
    layers = {layer.name: layer for layer in network.layers}
    while isinstance(found := layers.get(source), Activation | Add):
        source = network.sources()[source][0]
    if not isinstance(found, Flatten):
        return 1
    shape = network.shapes()[network.sources()[source][0]]
    return prod(shape[1:])
