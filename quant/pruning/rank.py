"""Trained rank pruning (TRP): layers of low rank, each of which becomes two smaller ones (Xu et al., IJCAI 2020)."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import GraphError
from ..evaluate import device_of
from ..method import Method
from ..model import QuantNetwork
from ..networks.coupling import find_couplings
from ..networks.factor import basis_name, factor
from ..networks.layers import Network
from ..recipes import Recipe
from .sgd import decaying_sgd, weight_of

Parts = tuple[Tensor, Tensor, Tensor]
"""Left vectors (outputs, rank), singular values (rank,), right vectors (rank, inputs)."""


@dataclass(frozen=True)
class RankRule:
    """How much of a spectrum stays: the largest values that hold the share ``energy`` of the sum of squares.

    least: values up to this share of the largest one go before. round_to: ranks are rounded up to a multiple of it.
    """

    energy: float = 1.0
    least: float = 1e-4
    round_to: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.energy <= 1:
            raise GraphError(f"energy: {self.energy:g} was given; it must be above 0, at most 1")
        if not 0 <= self.least < 1:
            raise GraphError(f"least: {self.least:g} was given; it must be a share of the largest value, 0 to below 1")
        if self.round_to < 1:
            raise GraphError(f"round_to: {self.round_to} was given; it must be at least 1 channel")

    def rank(self, values: Tensor) -> int:
        """How many of the singular ``values``, (n,), largest first, stay: at least 1, at most all."""
        left = values[values > self.least * values[0]].double().square()
        held = left.cumsum(0)
        count = int((held < self.energy * held[-1]).sum()) + 1 if len(left) else 1
        return min(len(values), self.round_to * ceil(count / self.round_to))


EVERYTHING = RankRule()
"""All that differs from zero, such as the rank to which RankTraining has brought a layer."""


class RankTraining(Method):
    """Replaces the weights of each convolution and dense layer by what ``rule`` leaves of them, every ``period`` steps.

    The gradient is taken there, and training goes on from there with all of the weights. nuclear: of U V', the
    subgradient of the sum of singular values, which is added in these steps. decay: of the weights. After the last step
    the ranks are those of the rule; the last layer with weights is treated as any other. The recipe's learning rate is
    one for SGD, about 0.1.
    """

    def __init__(self, rule: RankRule, *, period: int = 1, nuclear: float = 3e-4, decay: float = 1e-4) -> None:
        self._rule, self._period, self._nuclear, self._decay = rule, period, nuclear, decay
        self._subgradients: dict[str, Tensor] = {}

    def optimizer(self, model: QuantNetwork, recipe: Recipe) -> torch.optim.Optimizer:
        return decaying_sgd(model, recipe.learning_rate, self._decay)

    def start(self, model: QuantNetwork, steps: int) -> None:
        self._last = steps - 1

    def before_step(self, model: QuantNetwork, step: int) -> None:
        self._subgradients = {}
        if step % self._period == 0:
            for name, (left, _, right) in truncate(model, self._rule).items():
                self._subgradients[name] = left @ right

    def before_update(self, model: QuantNetwork, step: int) -> None:
        for name, subgradient in self._subgradients.items():
            gradient: Any = weight_of(model, name).grad
            gradient += self._nuclear * subgradient.view_as(gradient)

    def after_step(self, model: QuantNetwork, step: int) -> None:
        super().after_step(model, step)
        if step == self._last:
            truncate(model, self._rule)


def truncate(model: QuantNetwork, rule: RankRule) -> dict[str, Parts]:
    """Replace the weights of each convolution and dense layer by what ``rule`` leaves of them, which is returned.

    Weights are unfolded to (channels, inputs x kernel). Depthwise, transposed and bipolar layers stay as they are.
    """
    found = {}
    for name in factorable(model):
        weight = weight_of(model, name).detach()
        left, values, right = decompose(weight, rule)
        weight.copy_((left * values @ right).view_as(weight))
        found[name] = left, values, right
    # Rounding leaves traces in channels that have been dropped.
    for group in model.groups():
        group.hold()
    return found


def decompose(weight: Tensor, rule: RankRule) -> Parts:
    """The singular values of a layer's weights that ``rule`` leaves, with their vectors."""
    left, values, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
    rank = rule.rank(values)
    return left[:, :rank], values[:rank], right[:rank]


def factorize(model: QuantNetwork, recipe: Recipe, rule: RankRule) -> tuple[QuantNetwork, Recipe]:
    """A model in which layers of low rank are two each, and its recipe; ``model`` stays as it is.

    A k x k convolution from C to N channels becomes one to R channels and a 1x1 convolution from these to N, where that
    saves weights: R (C k k + N) < N C k k, of what pruning has left. Between them come a normalization that changes
    nothing at first and a signed quantizer with the bits of the activation before. Real numbers give what ``truncate``
    would; quantizers are new, so factorize in real numbers and let ``transfer`` set them. Raises GraphError.
    """
    parts = {name: decompose(weight_of(model, name).detach(), rule) for name in factorable(model)}
    parts = {name: found for name, found in parts.items() if _saves(weight_of(model, name), len(found[1]))}
    recipe = with_network(recipe, factor(recipe.network, {name: len(found[1]) for name, found in parts.items()}))
    with torch.random.fork_rng(devices=[]):
        made = QuantNetwork(recipe).to(device_of(model))
    given = model.state_dict()
    for name, tensor in made.state_dict().items():
        if name in given and name.removesuffix(".weight") not in parts:
            tensor.copy_(given[name])
    for name, (left, values, right) in parts.items():
        for layer, matrix in ((basis_name(name), values.sqrt()[:, None] * right), (name, left * values.sqrt())):
            weight = weight_of(made, layer).detach()
            weight.copy_(matrix.view_as(weight))
    for group in made.groups():
        group.hold()
    return made.train(model.training), recipe


def _saves(weight: Tensor, rank: int) -> bool:
    matrix = weight.flatten(1)
    outputs, inputs = int(matrix.any(1).sum()), int(matrix.any(0).sum())
    return rank * (outputs + inputs) < outputs * inputs


def with_network(recipe: Recipe, network: Network) -> Recipe:
    """The recipe with its network factorised: bits and widths of new layers follow those of the old ones."""
    before = recipe.network
    weight_bits = dict(zip((layer.name for layer in before.weighted), recipe.weight_bits))
    weight_bits |= {basis_name(name): bits for name, bits in weight_bits.items()}
    known_bits = dict(zip((layer.name for layer in before.activations), recipe.activation_bits))
    bits = recipe.activation_bits[0] if recipe.activation_bits else recipe.input_bits
    activation_bits = []
    for layer in network.activations:
        bits = known_bits.get(layer.name, bits)
        activation_bits.append(bits)
    kept = dict(zip((coupling.name for coupling in find_couplings(before)), recipe.keep))
    return replace(
        recipe,
        network=network,
        weight_bits=tuple(weight_bits[layer.name] for layer in network.weighted),
        activation_bits=tuple(activation_bits),
        keep=tuple(kept.get(coupling.name, coupling.channels) for coupling in find_couplings(network)),
    )


def factorable(model: QuantNetwork) -> tuple[str, ...]:
    """The layers that one matrix multiplication describes, and whose weights have a size."""
    return tuple(
        name
        for name in model.weighted_layers
        if name not in model.bipolar_layers and _is_matrix(model.get_submodule(name))
    )


def _is_matrix(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
