"""Performance density: what a network achieves for the memory that its weights and feature maps take.

After Zhang, Colbert, Das 2022, but over the tensors that pruning really leaves: between two pruned layers the weights
shrink on both sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ..errors import GraphError
from .networks.coupling import find_couplings
from .networks.layers import Activation, Dense, DepthwiseConv, Network, Shape, Weighted
from .networks.thin import thin
from .recipes import Recipe

MBIT = 1e6  # bits


@dataclass(frozen=True)
class Density:
    """Memory in Mbit, of 1e6 bits: that of all weights, and that of all feature maps of one sample."""

    weight_mbit: float
    feature_mbit: float

    @property
    def mbit(self) -> float:
        return self.weight_mbit + self.feature_mbit

    def of(self, score: float) -> float:
        """``score`` per Mbit; give accuracy and the like in percent, as ``in_figures`` does."""
        return score / self.mbit


def in_figures(metric: str, score: float) -> float:
    """A score as people read it: psnr_db in decibels as it is, accuracy and iou in percent."""
    return score if metric == "psnr_db" else 100 * score


def density_of(recipe: Recipe, kept: Mapping[str, int]) -> Density:
    """The memory of the recipe's network with ``kept`` channels by name of the group; groups left out keep all.

    Weights: in the bits of their layer. Features: the network's input in ``input_bits``, and the result of every
    activation. Raises GraphError for names and widths that do not fit.
    """
    network = pruned(recipe.network, kept)
    shapes, sources = network.shapes(), network.sources()
    bits = dict(zip((layer.name for layer in network.activations), recipe.activation_bits, strict=True))
    weights = sum(
        count_weights(layer, shapes[sources[layer.name][0]]) * width
        for layer, width in zip(network.weighted, recipe.weight_bits, strict=True)
    )
    features = prod(network.input.shape) * recipe.input_bits + sum(
        prod(shapes[layer.name]) * bits[layer.shares or layer.name]
        for layer in network.layers
        if isinstance(layer, Activation)
    )
    return Density(weights / MBIT, features / MBIT)


def pruned(network: Network, kept: Mapping[str, int]) -> Network:
    """The network with ``kept`` channels by name of the group; groups left out keep all."""
    couplings = find_couplings(network)
    names = [coupling.name for coupling in couplings]
    if unknown := [name for name in kept if name not in names]:
        raise GraphError(f"{unknown[0]}: is no group of channels; the groups are {', '.join(names)}")
    return thin(network, [kept.get(coupling.name, coupling.channels) for coupling in couplings])


def count_weights(layer: Weighted, inputs: Shape) -> int:
    """How many weights ``layer`` has for an input of shape ``inputs``."""
    if isinstance(layer, Dense):
        return prod(inputs) * layer.channels
    outputs = 1 if isinstance(layer, DepthwiseConv) else layer.channels
    return inputs[0] * outputs * prod(layer.kernel)
