"""Soft threshold reparameterization (STR): layers learn how many of their weights are zero (Kusupati et al. 2020)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...errors import GraphError
from ..evaluate import device_of
from ..method import Method
from ..model import QuantNetwork
from ..networks.coupling import Coupling, find_couplings
from ..networks.layers import Network
from ..recipes import Recipe
from .allocation import keep_counts
from .sgd import decaying_sgd, weight_of

LARGEST_EXPONENT = 1e6  # leaves one channel of a layer of which STR took a hundred-thousandth
BISECTIONS = 60
TINY = 1e-9  # of a channel, that sums of shares may be off by


class SoftThreshold(Method):
    """Trains weights sign(W) relu(|W| - sigmoid(s)), with W latent and one s for each layer.

    Nothing asks for zeros but the decay, of W and of s alike, which draws s from a very negative ``start`` towards 0:
    more ``decay``, or more steps, leave fewer weights. Between steps the model holds the thresholded weights, so that
    it is scored, saved and exported as any other. The recipe's learning rate is one for SGD, about 0.1.
    """

    def __init__(self, decay: float, start: float = -8.0) -> None:
        self._decay, self._start = decay, start
        self._optimizer: torch.optim.Optimizer
        self._thresholds: dict[str, nn.Parameter] = {}  # s by layer
        self._latent: dict[str, Tensor] = {}  # W by layer

    def optimizer(self, model: QuantNetwork, recipe: Recipe) -> torch.optim.Optimizer:
        if model.bipolar_layers:
            raise GraphError(
                f"{model.bipolar_layers[0]}: str makes weights zero, which 1-bit weights cannot be; give 2 to 8 bits"
            )
        start = torch.tensor(self._start, device=device_of(model))
        self._thresholds = {name: nn.Parameter(start.clone()) for name in model.weighted_layers}
        self._optimizer = decaying_sgd(model, recipe.learning_rate, self._decay, self._thresholds.values())
        return self._optimizer

    def start(self, model: QuantNetwork, steps: int) -> None:
        self._cut(model)

    def before_update(self, model: QuantNetwork, step: int) -> None:
        for name, threshold in self._thresholds.items():
            weight = weight_of(model, name)
            gradient, signs = weight.grad, weight.detach().sign()
            slope = threshold.detach().sigmoid() * (1 - threshold.detach().sigmoid())
            threshold.grad = -slope * (gradient * signs).sum()
            gradient.mul_(signs.abs())
            weight.detach().copy_(self._latent[name])

    def after_step(self, model: QuantNetwork, step: int) -> None:
        self._cut(model)  # zeros, those of dropped channels too, get no gradient

    def state(self) -> dict[str, Tensor]:
        tensors = {f"latent.{name}": tensor for name, tensor in self._latent.items()}
        for name, threshold in self._thresholds.items():
            tensors[f"threshold.{name}"] = threshold.detach()
            tensors[f"momentum.{name}"] = self._optimizer.state[threshold]["momentum_buffer"]
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, threshold in self._thresholds.items():
            self._latent[name].copy_(tensors[f"latent.{name}"])
            threshold.detach().copy_(tensors[f"threshold.{name}"])
            momentum = tensors[f"momentum.{name}"].to(threshold.device, copy=True)
            self._optimizer.state[threshold]["momentum_buffer"] = momentum

    def _cut(self, model: QuantNetwork) -> None:
        """Take the model's weights for latent ones, and put the thresholded ones in their place."""
        for name, threshold in self._thresholds.items():
            weight = weight_of(model, name).detach()
            self._latent[name] = weight.clone()
            weight.copy_(weight.sign() * (weight.abs() - threshold.detach().sigmoid()).relu())


def sparsity_by_layer(model: QuantNetwork) -> dict[str, float]:
    """Which share of each layer's weights is zero."""
    return {name: float((weight_of(model, name) == 0).float().mean()) for name in model.weighted_layers}


def learned_keep(network: Network, sparsity: Mapping[str, float], overall: float, round_to: int = 1) -> tuple[int, ...]:
    """Channels that stay per coupling, as in a recipe's ``keep``, when STR's ``sparsity`` by layer is their budget.

    A group whose layers have the mean density d keeps the share d^t of its channels, one t for all groups: whole layers
    stay whole, and at t = 1/2 a layer's weights, which shrink with the widths on both sides, are about as many as STR
    left. t is the smallest at which the share ``overall``, 0 to below 1, of all these channels goes, after rounding to
    multiples of ``round_to``. Raises GraphError where the layers that STR left whole are too many for that.
    """
    if not 0 <= overall < 1:
        raise GraphError(f"sparsity: {overall:g} was given; it must be a share of the channels, 0 to below 1")
    couplings = find_couplings(network)
    densities = {coupling.name: _density(coupling, sparsity) for coupling in couplings}
    wanted = (1 - overall) * sum(coupling.channels for coupling in couplings) + TINY

    def widths(exponent: float) -> tuple[int, ...]:
        shares = {group.name: 1 - max(densities[group.name] ** exponent, 1 / group.channels) for group in couplings}
        return keep_counts(network, shares, round_to=round_to)

    if sum(widths(LARGEST_EXPONENT)) > wanted:
        raise GraphError(
            f"sparsity: {overall:g} of the channels are to go, but the layers that STR left whole, and {round_to} of "
            f"the others, are {sum(widths(LARGEST_EXPONENT))}; ask for less, or train with more decay"
        )
    low, high = 0.0, LARGEST_EXPONENT
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if sum(widths(middle)) <= wanted else (middle, high)
    return widths(high)


def _density(coupling: Coupling, sparsity: Mapping[str, float]) -> float:
    """The mean over the layers that compute these channels."""
    layers = [place.layer for place in coupling.writers]
    if missing := [name for name in layers if name not in sparsity]:
        raise GraphError(
            f"{missing[0]}: no sparsity is given for it; give one for each layer, as sparsity_by_layer does"
        )
    for name in layers:
        if not 0 <= sparsity[name] <= 1:
            raise GraphError(f"sparsity of {name}: {sparsity[name]:g} was given; it must be a share of its weights")
    return 1 - sum(sparsity[name] for name in layers) / len(layers)
