"""Thin networks: the same layers with fewer channels, as they are when pruned channels have gone for good."""

from collections.abc import Sequence
from dataclasses import replace

from ...errors import GraphError
from .coupling import find_couplings
from .layers import DepthwiseConv, Layer, Network, Weighted


def thin(network: Network, keep: Sequence[int]) -> Network:
    """``network`` with ``keep`` channels per coupling, in the order of ``find_couplings``, as in a recipe's ``keep``.

    It is what the width of a pruned network is trained from scratch with. Raises GraphError.
    """
    couplings = find_couplings(network)
    if len(keep) != len(couplings):
        names = ", ".join(coupling.name for coupling in couplings)
        raise GraphError(f"{len(keep)} widths were given; {len(couplings)} are needed, one per group ({names})")
    widths: dict[str, int] = {}
    for coupling, width in zip(couplings, keep):
        if not 1 <= width <= coupling.channels:
            raise GraphError(f"{coupling.name}: {width} channels are to stay; give 1 to {coupling.channels}")
        widths |= {place.layer: width for place in coupling.writers}
    return replace(network, layers=tuple(_narrow(layer, widths) for layer in network.layers))


def _narrow(layer: Layer, widths: dict[str, int]) -> Layer:
    """Depthwise layers have the channels of their input, whatever these are."""
    if not isinstance(layer, Weighted) or isinstance(layer, DepthwiseConv) or layer.name not in widths:
        return layer
    return replace(layer, channels=widths[layer.name])
