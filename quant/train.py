"""Training: from a recipe to a run folder with a model that hardware can be made of."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from ..errors import BuildError, GraphError
from .checkpoint import Checkpoint, collect_state, load_last_checkpoint, restore_state, save_checkpoint
from .data import Dataset, load_dataset
from .export import export
from .files import read_json, write_arrays, write_json
from .masks import describe_masks, fold_masks
from .model import QuantMLP
from .prune import prune_groups
from .recipes import Recipe
from .truth import record_codes

WARM_UP = 0.05  # share of the steps in which the learning rate rises


@dataclass(frozen=True)
class Progress:
    """Where training is, after each batch: epoch and batch count from 1; loss and accuracy are the epoch's so far."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    test_accuracy: float | None


@dataclass(frozen=True)
class Metrics:
    """The finished model on the test set."""

    accuracy: float
    correct: int
    images: int
    epochs: int


def train(
    recipe: Recipe,
    folder: Path,
    *,
    data: Path | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Metrics:
    """Train ``recipe`` into the run folder ``folder``, continuing from its last checkpoint if it has one.

    model.onnx is written last: a folder that has it is finished, and its metrics are returned. The same recipe, data,
    machine and number of threads give the same bytes. Raises BuildError, also for a folder of another run.
    """
    dataset = load_dataset(recipe, data)
    config = {"recipe": recipe.record(), "data": dataset.digest(), "threads": threads}
    with _open_folder(folder, config):
        if (folder / "model.onnx").exists():
            return Metrics(**read_json(folder / "metrics.json")["result"])
        with _torch_state(threads, recipe.seed):
            model = _fit(recipe, dataset, folder, _digest(config), progress or (lambda state: None))
            return _finish(model, dataset, folder)


def _fit(recipe: Recipe, dataset: Dataset, folder: Path, config: str, progress: Callable[[Progress], None]) -> QuantMLP:
    model = QuantMLP(recipe)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    checkpoints = folder / "checkpoints"
    checkpoint = load_last_checkpoint(checkpoints, config)
    history: list[dict[str, Any]] = []
    if checkpoint is not None:
        restore_state(model, optimizer, checkpoint.tensors)
        history = checkpoint.history
    for epoch in range(len(history), recipe.epochs):
        prune_groups(model.groups(), recipe.keep, epoch, recipe.epochs)
        loss, accuracy = _run_epoch(model, optimizer, recipe, dataset, epoch, progress)
        test_accuracy = _count_correct(model, dataset) / len(dataset.test_labels)
        channels = [int(group.kept.sum()) for group in model.groups()]
        record = {"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, "test_accuracy": test_accuracy}
        history = [*history, {**record, "channels": channels}]
        write_json(folder / "metrics.json", {"history": history})
        save_checkpoint(checkpoints, Checkpoint(epoch + 1, history, collect_state(model, optimizer)), config)
        batches = _batches(recipe, dataset)
        progress(Progress(epoch + 1, recipe.epochs, batches, batches, loss, accuracy, test_accuracy))
    return model


def _run_epoch(
    model: QuantMLP,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    dataset: Dataset,
    epoch: int,
    progress: Callable[[Progress], None],
) -> tuple[float, float]:
    """Mean loss and accuracy over the epoch, measured while the weights change."""
    model.train()
    inputs, labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
    batches, total_loss, correct, seen = _batches(recipe, dataset), 0.0, 0, 0
    order = torch.randperm(len(inputs))
    for batch in range(batches):
        chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
        rate = _learning_rate(recipe, epoch * batches + batch, recipe.epochs * batches)
        logits, loss = _step(model, optimizer, inputs[chosen], labels[chosen], rate)
        if not math.isfinite(loss):
            raise GraphError(f"epoch {epoch + 1}: loss is {loss}; lower --learning-rate, now {recipe.learning_rate}")
        total_loss += loss * len(chosen)
        correct += int((logits.argmax(1) == labels[chosen]).sum())
        seen += len(chosen)
        progress(Progress(epoch + 1, recipe.epochs, batch + 1, batches, total_loss / seen, correct / seen, None))
    return total_loss / seen, correct / seen


def _step(
    model: QuantMLP, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor, rate: float
) -> tuple[Tensor, float]:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    logits = model(inputs)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    model.clip_bipolar_weights()
    for group in model.groups():
        group.hold()
    return logits.detach(), loss.item()


def _batches(recipe: Recipe, dataset: Dataset) -> int:
    # An incomplete last batch is left out: batch normalization would take its noise for the data's.
    return max(1, len(dataset.train_inputs) // recipe.batch_size)


def _learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rises over the warm-up, then falls to zero along a cosine."""
    share = (step + 1) / steps
    return recipe.learning_rate * min(1.0, share / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))


def _count_correct(model: nn.Module, dataset: Dataset) -> int:
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(dataset.test_inputs)).argmax(1)
    return int((predicted == torch.from_numpy(dataset.test_labels)).sum())


def _finish(model: QuantMLP, dataset: Dataset, folder: Path) -> Metrics:
    folded = fold_masks(model).eval()
    inputs, labels = dataset.test_inputs, dataset.test_labels
    codes = record_codes(folded, torch.from_numpy(inputs))
    correct = int(np.sum(codes["outputs"].argmax(1) == labels))
    history = read_json(folder / "metrics.json")["history"]
    metrics = Metrics(correct / len(labels), correct, len(labels), len(history))
    write_arrays(folder / "test.npz", {"inputs": inputs, "labels": labels})
    write_arrays(folder / "truth.npz", codes)
    write_json(folder / "prune.json", {"groups": describe_masks(model.groups())})
    write_json(folder / "metrics.json", {"history": history, "result": asdict(metrics)})
    export(folded, torch.from_numpy(inputs[:1]), folder / "model.onnx")
    return metrics


@contextmanager
def _open_folder(folder: Path, config: dict[str, Any]) -> Iterator[None]:
    """Make or check the run folder, and keep other processes out of it; raises BuildError."""
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".train.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise BuildError(f"{folder}: another process is training into it; wait, or choose another folder") from None
    except OSError as error:
        raise BuildError(f"{folder}: cannot be made or written ({error.strerror}); choose another folder") from None
    try:
        _check_config(folder, config)
        yield
    finally:
        lock.release()


def _check_config(folder: Path, config: dict[str, Any]) -> None:
    path = folder / "config.json"
    if not path.exists():
        if others := sorted(p.name for p in folder.iterdir() if p.name != "checkpoints" and not p.name.startswith(".")):
            raise BuildError(f"{folder}: holds other files ({others[0]}) and no config.json; choose an empty folder")
        write_json(path, config)
        return
    found = _flat(read_json(path))
    wanted = _flat(json.loads(json.dumps(config)))
    differences = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
    if differences:
        key = differences[0]
        raise BuildError(
            f"{folder}: is of another run: {key} was {_short(found.get(key))} and is now {_short(wanted.get(key))}; "
            "give the same options to continue it, or choose another folder"
        )


def _flat(config: Any) -> dict[str, Any]:
    """The recipe's options beside data and threads; empty if this is no config at all."""
    if not isinstance(config, dict) or not isinstance(config.get("recipe"), dict):
        return {}
    return {**config["recipe"], **{key: value for key, value in config.items() if key != "recipe"}}


def _short(value: Any) -> str:
    return f"{value[:12]}..." if isinstance(value, str) and len(value) > 40 else str(value)


def _digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


@contextmanager
def _torch_state(threads: int, seed: int) -> Iterator[None]:
    """Torch with ``threads`` threads and a seeded generator, as it was before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
