"""What a method may do while a network trains; without one, training only keeps dropped channels at zero."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .model import QuantNetwork
from .recipes import Recipe


class Method:
    """Called by ``fit`` around every step; steps count from 0 over all epochs of the phase.

    What a method remembers from step to step is in ``state``, from which a killed run continues.
    """

    def optimizer(self, model: QuantNetwork, recipe: Recipe) -> torch.optim.Optimizer:
        """Called once, before ``start``; ``fit`` sets its learning rate, which the recipe's warms up and anneals."""
        return torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)

    def start(self, model: QuantNetwork, steps: int) -> None:
        """Before the first step, or the first one after a stop, of ``steps`` in all."""

    def before_step(self, model: QuantNetwork, step: int) -> None:
        """Before the outputs are computed."""

    def before_update(self, model: QuantNetwork, step: int) -> None:
        """The gradients are there."""

    def after_step(self, model: QuantNetwork, step: int) -> None:
        """The weights have changed."""
        for group in model.groups():
            group.hold()

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of ``state``, after ``start``."""
