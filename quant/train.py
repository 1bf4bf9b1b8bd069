"""Training: from a recipe to a run folder with a model that hardware can be made of."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import BuildError, GraphError
from .checkpoint import Checkpoint, collect_state, load_last_checkpoint, restore_state, save_checkpoint
from .data import Dataset, load_dataset
from .export import export
from .files import read_json, write_arrays, write_json
from .masks import describe_masks, fold_masks
from .model import QuantNetwork
from .prune import prune_groups
from .recipes import Recipe
from .tasks import augment, find_task
from .truth import record_codes, samples_within

WARM_UP = 0.05  # share of the steps in which the learning rate rises
EARLY_SAMPLES = 1000  # of the test set, for the score after each epoch
BATCH = 250  # samples evaluated at once
TRUTH_BYTES = 100_000_000  # of codes in truth.npz, before compression


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


@dataclass(frozen=True)
class Metrics:
    """The finished model on the whole test set: ``score`` is its accuracy, psnr_db or iou, as ``metric`` says.

    images: of the test set. baseline: the score of what the network has to beat, such as bicubic interpolation.
    truth_images: how many of the first test images truth.npz holds.
    """

    metric: str
    score: float
    images: int
    epochs: int
    train_images: int
    truth_images: int
    baseline: float | None

    def record(self) -> dict[str, Any]:
        """The values as JSON, the score under the name of its metric."""
        values = asdict(self)
        del values["score"]
        return {self.metric: self.score} | values

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Metrics":
        values = dict(record)
        return cls(score=values.pop(values["metric"]), **values)


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
            return Metrics.of_record(read_json(folder / "metrics.json")["result"])
        with _torch_state(threads, recipe.seed):
            model = _fit(recipe, dataset, folder, _digest(config), progress or (lambda state: None))
            return _finish(model, recipe, dataset, folder)


def _fit(
    recipe: Recipe, dataset: Dataset, folder: Path, config: str, progress: Callable[[Progress], None]
) -> QuantNetwork:
    model = QuantNetwork(recipe)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    checkpoints = folder / "checkpoints"
    checkpoint = load_last_checkpoint(checkpoints, config)
    history: list[dict[str, Any]] = []
    if checkpoint is not None:
        restore_state(model, optimizer, checkpoint.tensors)
        history = checkpoint.history
    metric, batches = find_task(recipe.task).metric, _batches(recipe, dataset)
    early = dataset.test_inputs[:EARLY_SAMPLES], dataset.test_targets[:EARLY_SAMPLES]
    for epoch in range(len(history), recipe.epochs):
        prune_groups(model.groups(), recipe.keep, epoch, recipe.epochs)
        loss, score = _run_epoch(model, optimizer, recipe, dataset, epoch, progress)
        test_score = _evaluate(model, recipe, *early)
        channels = [int(group.kept.sum()) for group in model.groups()]
        record = {"epoch": epoch + 1, "loss": loss, metric: score, f"test_{metric}": test_score}
        history = [*history, {**record, "channels": channels}]
        write_json(folder / "metrics.json", {"history": history})
        save_checkpoint(checkpoints, Checkpoint(epoch + 1, history, collect_state(model, optimizer)), config)
        progress(Progress(epoch + 1, recipe.epochs, batches, batches, loss, metric, score, test_score))
    return model


def _run_epoch(
    model: QuantNetwork,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    dataset: Dataset,
    epoch: int,
    progress: Callable[[Progress], None],
) -> tuple[float, float]:
    """Mean loss and score over the epoch, measured while the weights change."""
    model.train()
    task = find_task(recipe.task)
    inputs, targets = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_targets)
    batches, total_loss, counts, seen = _batches(recipe, dataset), 0.0, (0.0, 0.0), 0
    order = torch.randperm(len(inputs))
    for batch in range(batches):
        chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
        rate = _learning_rate(recipe, epoch * batches + batch, recipe.epochs * batches)
        images = augment(inputs[chosen].float(), flip=recipe.flip, shift=recipe.shift)
        outputs, loss = _step(model, optimizer, task.loss, images, targets[chosen], rate)
        if not math.isfinite(loss):
            raise GraphError(f"epoch {epoch + 1}: loss is {loss}; lower --learning-rate, now {recipe.learning_rate}")
        total_loss += loss * len(chosen)
        counts = _total(counts, task.count(outputs, targets[chosen], recipe.margin))
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
    rate: float,
) -> tuple[Tensor, float]:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    outputs = model(inputs)
    loss = loss_of(outputs, targets)
    loss.backward()
    optimizer.step()
    model.clip_bipolar_weights()
    for group in model.groups():
        group.hold()
    return outputs.detach(), loss.item()


def _batches(recipe: Recipe, dataset: Dataset) -> int:
    # An incomplete last batch is left out: batch normalization would take its noise for the data's.
    return max(1, len(dataset.train_inputs) // recipe.batch_size)


def _learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rises over the warm-up, then falls to zero along a cosine."""
    share = (step + 1) / steps
    return recipe.learning_rate * min(1.0, share / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))


def _evaluate(model: nn.Module, recipe: Recipe, inputs: NDArray, targets: NDArray) -> float:
    model.eval()
    with torch.no_grad():
        outputs = [model(batch.float()) for batch in torch.from_numpy(inputs).split(BATCH)]
    return _score(recipe, torch.cat(outputs), torch.from_numpy(targets))


def _score(recipe: Recipe, outputs: Tensor, targets: Tensor) -> float:
    task, counts = find_task(recipe.task), (0.0, 0.0)
    for part, wanted in zip(outputs.split(BATCH), targets.split(BATCH)):
        counts = _total(counts, task.count(part, wanted, recipe.margin))
    return task.score(*counts)


def _total(counts: tuple[float, float], more: tuple[float, float]) -> tuple[float, float]:
    return counts[0] + more[0], counts[1] + more[1]


def _finish(model: QuantNetwork, recipe: Recipe, dataset: Dataset, folder: Path) -> Metrics:
    folded = fold_masks(model).eval()
    inputs, targets = dataset.test_inputs, dataset.test_targets
    baseline = dataset.baseline
    sample = torch.from_numpy(inputs[: samples_within(TRUTH_BYTES, folded, torch.from_numpy(inputs[:1]))])
    history = read_json(folder / "metrics.json")["history"]
    metrics = Metrics(
        metric=find_task(recipe.task).metric,
        score=_evaluate(folded, recipe, inputs, targets),
        images=len(targets),
        epochs=len(history),
        train_images=len(dataset.train_inputs),
        truth_images=len(sample),
        baseline=None if baseline is None else _score(recipe, *map(torch.from_numpy, (baseline, targets))),
    )
    kind = "labels" if recipe.task == "classify" else "targets"
    write_arrays(folder / "test.npz", {"inputs": inputs, kind: targets})
    write_arrays(folder / "truth.npz", record_codes(folded, sample, BATCH))
    write_json(folder / "prune.json", {"groups": describe_masks(model.groups())})
    write_json(folder / "metrics.json", {"history": history, "result": metrics.record()})
    export(folded, torch.from_numpy(inputs[:1]).float(), folder / "model.onnx")
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
