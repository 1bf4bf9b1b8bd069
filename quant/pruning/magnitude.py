"""Gradual magnitude pruning of single weights, what STR is measured against (Zhu, Gupta 2017)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import GraphError
from ..method import Method
from ..model import QuantNetwork
from ..recipes import Recipe
from .allocation import check_layer
from .schedules import Window
from .sgd import decaying_sgd, weight_of


class MagnitudePruning(Method):
    """Zeroes the share ``sparsity`` of every layer's weights, or of those named: the smallest, more and more, for good.

    The share rises over the ``window``, from which to which share of the steps, as s (1 - (1 - progress)^3).
    """

    def __init__(self, sparsity: float | Mapping[str, float], window: tuple[float, float], decay: float) -> None:
        self._asked, self._shares_of_steps, self._decay = sparsity, window, decay
        self._sparsity: dict[str, float] = {}
        self._alive: dict[str, Tensor] = {}

    def optimizer(self, model: QuantNetwork, recipe: Recipe) -> torch.optim.Optimizer:
        return decaying_sgd(model, recipe.learning_rate, self._decay)

    def start(self, model: QuantNetwork, steps: int) -> None:
        names = model.weighted_layers
        asked = self._asked if isinstance(self._asked, Mapping) else dict.fromkeys(names, self._asked)
        for name, share in asked.items():
            _check(name, share, names)
        self._sparsity = dict(asked)
        self._window = Window.of_shares(steps, *self._shares_of_steps)

    def before_update(self, model: QuantNetwork, step: int) -> None:
        self._alive = {name: weight_of(model, name) != 0 for name in self._sparsity}

    def after_step(self, model: QuantNetwork, step: int) -> None:
        super().after_step(model, step)
        length = self._window.end - self._window.start
        progress = min(1.0, max(0.0, (step + 1 - self._window.start) / length))
        for name, share in self._sparsity.items():
            weight = weight_of(model, name).detach()
            weight *= self._alive[name]
            count = round(share * (1 - (1 - progress) ** 3) * weight.numel())
            weight.view(-1)[weight.abs().flatten().argsort(stable=True)[:count]] = 0


def _check(name: str, share: float, names: tuple[str, ...]) -> None:
    check_layer(name, names)
    if not 0 <= share < 1:
        raise GraphError(f"sparsity of {name}: {share:g} was given; it must be a share of its weights, 0 to below 1")
