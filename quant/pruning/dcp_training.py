"""Training with auxiliary losses, which makes a network's inner features tell what the task asks for."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...errors import GraphError
from ..data import Dataset
from ..evaluate import device_of
from ..fit import count_batches
from ..model import QuantNetwork
from ..recipes import Recipe
from ..tasks import augment, find_task
from .dcp_options import DcpOptions
from .dcp_selection import run_steps, sums_of


def train_with_heads(
    model: QuantNetwork,
    heads: nn.ModuleDict,
    recipe: Recipe,
    dataset: Dataset,
    options: DcpOptions,
    progress: Callable[[int, int, float], None],
) -> None:
    """Train both in place: for each batch a step on the sum of the auxiliary losses, then one on the output's.

    heads: by the layer whose sums they look at. progress: called with the steps done, all steps and the loss.
    Raises GraphError where the loss is no number.
    """
    optimizer = torch.optim.Adam([*model.parameters(), *heads.parameters()])
    batches, device = count_batches(recipe, dataset), device_of(model)
    inputs, targets = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_targets)
    steps = options.auxiliary_epochs * batches
    model.train()
    heads.train()
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(inputs))
        chosen = order[step % batches * recipe.batch_size :][: recipe.batch_size]
        images = augment(inputs[chosen].float(), flip=recipe.flip, shift=recipe.shift).to(device)
        for group in optimizer.param_groups:
            group["lr"] = options.auxiliary_lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = _train_step(model, heads, recipe, images, targets[chosen].to(device), optimizer)
        if not math.isfinite(loss):
            raise GraphError(
                f"training with auxiliary losses, step {step + 1} of {steps}: the loss is {loss}; lower auxiliary_lr, "
                f"now {options.auxiliary_lr}"
            )
        progress(step + 1, steps, loss)
    optimizer.zero_grad()


def _train_step(
    model: QuantNetwork,
    heads: nn.ModuleDict,
    recipe: Recipe,
    images: Tensor,
    targets: Tensor,
    optimizer: torch.optim.Optimizer,
) -> float:
    """The loss of the output."""
    loss_of = find_task(recipe.task).loss
    if heads:
        end = max(index for index, step in enumerate(model.steps) if step.module in heads) + 1
        results = run_steps(model, model.steps[:end], {"inputs": images})
        losses = [loss_of(head(results[sums_of(model, name)]), targets) for name, head in heads.items()]
        _update(torch.stack(losses).sum(), optimizer)
    loss = loss_of(model(images), targets)
    _update(loss, optimizer)
    return loss.item()


def _update(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
