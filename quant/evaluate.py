"""The score of a model on samples, by the recipe's task."""

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .recipes import Recipe
from .tasks import find_task

BATCH = 250  # samples evaluated at once


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters lie."""
    return next(model.parameters()).device


def evaluate(model: nn.Module, recipe: Recipe, inputs: NDArray, targets: NDArray) -> float:
    """The score of ``model``, which is left in evaluation mode."""
    model.eval()
    device = device_of(model)
    with torch.no_grad():
        outputs = [model(batch.to(device).float()).cpu() for batch in torch.from_numpy(inputs).split(BATCH)]
    return score_of(recipe, torch.cat(outputs), torch.from_numpy(targets))


def score_of(recipe: Recipe, outputs: Tensor, targets: Tensor) -> float:
    task, counts = find_task(recipe.task), (0.0, 0.0)
    for part, wanted in zip(outputs.split(BATCH), targets.split(BATCH)):
        counts = total(counts, task.count(part, wanted, recipe.margin))
    return task.score(*counts)


def total(counts: tuple[float, float], more: tuple[float, float]) -> tuple[float, float]:
    return counts[0] + more[0], counts[1] + more[1]
