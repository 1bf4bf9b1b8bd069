"""Factorised networks: a layer of low rank becomes two, with fewer weights together."""

from collections.abc import Mapping
from dataclasses import replace

from ...errors import GraphError
from .layers import Activation, Conv, Dense, Layer, Network


def basis_name(name: str) -> str:
    """Of the first of the two layers; the second keeps the name, by which others know its channels."""
    return f"{name}_basis"


def codes_name(name: str) -> str:
    """Of the quantizer between the two."""
    return f"{name}_codes"


def factor(network: Network, ranks: Mapping[str, int]) -> Network:
    """``network`` with each convolution or dense layer in ``ranks`` replaced by two, ``ranks`` channels between them.

    The first takes over kernel, stride and padding, the second is 1x1; the quantizer between them is signed, and the
    normalization before it no more than a factor and a term per channel. Raises GraphError.
    """
    taken = {layer.name for layer in network.layers}
    if again := [name for name in ranks if basis_name(name) in taken]:
        raise GraphError(f"{again[0]}: is one of two factors already; factorize the network from which it was made")
    layers: list[Layer] = []
    for layer in network.layers:
        layers += _split(layer, ranks[layer.name]) if layer.name in ranks else [layer]
    return replace(network, layers=tuple(layers))


def _split(layer: Layer, rank: int) -> list[Layer]:
    assert isinstance(layer, Conv | Dense)
    first = replace(layer, name=basis_name(layer.name), channels=rank, normalized=False)
    second = replace(layer, sources=())
    if isinstance(second, Conv):
        second = replace(second, kernel=(1, 1), stride=(1, 1), padding=(0, 0))
    return [first, Activation(codes_name(layer.name), signed=True), second]
