"""Fitting: epochs of training with checkpoints, from which a killed run continues."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import GraphError
from .checkpoint import Checkpoint, collect_state, load_last_checkpoint, restore_state, save_checkpoint
from .data import Dataset
from .evaluate import device_of, evaluate, total
from .method import Method
from .model import QuantNetwork
from .non_finite import find_non_finite
from .recipes import Recipe
from .tasks import augment, find_task

WARM_UP = 0.05  # share of the steps in which the learning rate rises
EARLY_SAMPLES = 1000  # of the test set, for the score after each epoch
METHOD = "method."  # before the names of what a method remembers


@dataclass(frozen=True)
class Progress:
    """Where training is, after each batch: epoch and batch count from 1; loss and score are the epoch's so far.

    metric: what the score is, accuracy, psnr_db or iou. test_score: of the first test samples, after an epoch.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    metric: str
    score: float
    test_score: float | None


Report = Callable[[Progress], None]
History = list[dict[str, Any]]


def fit(
    model: QuantNetwork,
    recipe: Recipe,
    dataset: Dataset,
    checkpoints: Path,
    config: str,
    *,
    method: Method | None = None,
    progress: Report = lambda state: None,
    record: Callable[[History], None] = lambda history: None,
) -> History:
    """Train ``model`` in place for the recipe's epochs, where it lies; one record of figures per epoch.

    Continues from the last of ``checkpoints``, which must be of a run with the digest ``config``. record: called with
    the history after each epoch, before its checkpoint. Raises GraphError where the loss is no number, with the
    checkpoint of the epoch before in place, and BuildError.
    """
    method = method or Method()
    optimizer = method.optimizer(model, recipe)
    batches = count_batches(recipe, dataset)
    method.start(model, recipe.epochs * batches)
    history: History = []
    checkpoint = load_last_checkpoint(checkpoints, config)
    if checkpoint is not None:
        restore_state(model, optimizer, checkpoint.tensors)
        names = [name for name in checkpoint.tensors if name.startswith(METHOD)]
        method.restore({name.removeprefix(METHOD): checkpoint.tensors[name] for name in names})
        history = checkpoint.history
    metric = find_task(recipe.task).metric
    early = dataset.test_inputs[:EARLY_SAMPLES], dataset.test_targets[:EARLY_SAMPLES]
    for epoch in range(len(history), recipe.epochs):
        loss, score = _run_epoch(model, optimizer, recipe, dataset, epoch, method, progress)
        test_score = evaluate(model, recipe, *early)
        channels = [int(group.kept.sum()) for group in model.groups()]
        figures = {"epoch": epoch + 1, "loss": loss, metric: score, f"test_{metric}": test_score, "channels": channels}
        history = [*history, figures]
        record(history)
        remembered = {METHOD + name: tensor for name, tensor in method.state().items()}
        tensors = collect_state(model, optimizer) | remembered
        save_checkpoint(checkpoints, Checkpoint(epoch + 1, history, tensors), config)
        progress(Progress(epoch + 1, recipe.epochs, batches, batches, loss, metric, score, test_score))
    return history


def count_batches(recipe: Recipe, dataset: Dataset) -> int:
    """Steps in an epoch."""
    # An incomplete last batch is left out: batch normalization would take its noise for the data's.
    return max(1, len(dataset.train_inputs) // recipe.batch_size)


def check_delays(recipe: Recipe, dataset: Dataset) -> None:
    """Raise GraphError where a whole training would be over before it is quantized."""
    steps = recipe.epochs * count_batches(recipe, dataset)
    if steps and max(recipe.delays) >= steps:
        raise GraphError(
            f"--delays: {max(recipe.delays)} steps were given, but the training has only {steps}; give fewer, or more "
            "epochs"
        )


def _run_epoch(
    model: QuantNetwork,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    dataset: Dataset,
    epoch: int,
    method: Method,
    progress: Report,
) -> tuple[float, float]:
    """Mean loss and score over the epoch, measured while the weights change."""
    model.train()
    task, device = find_task(recipe.task), device_of(model)
    inputs, targets = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_targets)
    batches, total_loss, counts, seen = count_batches(recipe, dataset), 0.0, (0.0, 0.0), 0
    order = torch.randperm(len(inputs))
    for batch in range(batches):
        step = epoch * batches + batch
        chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(recipe, step, recipe.epochs * batches)
        images = augment(inputs[chosen].float(), flip=recipe.flip, shift=recipe.shift).to(device)
        wanted = targets[chosen].to(device)
        method.before_step(model, step)
        outputs, loss = _step(model, optimizer, task.loss, images, wanted, method, step)
        if not math.isfinite(loss):
            where = find_non_finite(model, images)
            raise GraphError(
                f"epoch {epoch + 1}, batch {batch + 1}: loss is {loss}{f', from {where} on' if where else ''}; lower "
                f"--learning-rate, now {recipe.learning_rate}; the checkpoint of epoch {epoch} is the last good one"
            )
        total_loss += loss * len(chosen)
        counts = total(counts, task.count(outputs, wanted, recipe.margin))
        seen += len(chosen)
        state = epoch + 1, recipe.epochs, batch + 1, batches, total_loss / seen, task.metric, task.score(*counts)
        progress(Progress(*state, None))
    return total_loss / seen, task.score(*counts)


def _step(
    model: QuantNetwork,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    method: Method,
    step: int,
) -> tuple[Tensor, float]:
    optimizer.zero_grad()
    outputs = model(inputs)
    loss = loss_of(outputs, targets)
    value = loss.item()
    if math.isfinite(value):
        loss.backward()
        method.before_update(model, step)
        optimizer.step()
        model.clip_bipolar_weights()
        method.after_step(model, step)
    return outputs.detach(), value


def _learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rises over the warm-up, then falls to zero along a cosine."""
    share = (step + 1) / steps
    return recipe.learning_rate * min(1.0, share / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))
