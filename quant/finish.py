"""What a finished model leaves in its run folder, from which hardware can be made."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors

from ..errors import BuildError
from .checkpoint import model_state
from .data import Dataset
from .density import density_of, in_figures
from .evaluate import BATCH, evaluate, score_of
from .export import export
from .files import write_arrays, write_bytes, write_json
from .fit import History
from .masks import describe_masks, fold_masks
from .model import QuantNetwork
from .recipes import Recipe
from .tasks import find_task
from .truth import record_codes, samples_within

TRUTH_BYTES = 100_000_000  # of codes in truth.npz, before compression


@dataclass(frozen=True)
class Metrics:
    """The finished model on the whole test set: ``score`` is its accuracy, psnr_db or iou, as ``metric`` says.

    images: of the test set. baseline: the score of what the network has to beat, such as bicubic interpolation.
    truth_images: how many of the first test images truth.npz holds. weight_mbit, feature_mbit: memory of the weights
    and feature maps that pruning has left, in Mbit; density: the score, in percent or dB, per Mbit of both.
    """

    metric: str
    score: float
    images: int
    epochs: int
    train_images: int
    truth_images: int
    baseline: float | None
    weight_mbit: float
    feature_mbit: float
    density: float

    def record(self) -> dict[str, Any]:
        """The values as JSON, the score under the name of its metric."""
        values = asdict(self)
        del values["score"]
        return {self.metric: self.score} | values

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Metrics":
        """The reverse of ``record``; raises BuildError where it is of another version."""
        values = dict(record)
        try:
            return cls(score=values.pop(values["metric"]), **values)
        except (KeyError, TypeError):
            raise BuildError("metrics.json: is not as this version of Espalier writes it; train anew") from None


def finish(
    model: QuantNetwork,
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    history: History,
    more: Callable[[Metrics], Mapping[str, Any]] = lambda metrics: {},
) -> Metrics:
    """Score ``model`` and write its files into ``folder``; model.onnx, written last, says that all are there.

    more: from the metrics to what else metrics.json is to hold.
    """
    folded = fold_masks(model).eval()
    inputs, targets = dataset.test_inputs, dataset.test_targets
    baseline = dataset.baseline
    sample = torch.from_numpy(inputs[: samples_within(TRUTH_BYTES, folded, torch.from_numpy(inputs[:1]))])
    metric, score = find_task(recipe.task).metric, evaluate(folded, recipe, inputs, targets)
    density = density_of(recipe, {group.name: int(group.kept.sum()) for group in model.groups()})
    metrics = Metrics(
        metric=metric,
        score=score,
        images=len(targets),
        epochs=len(history),
        train_images=len(dataset.train_inputs),
        truth_images=len(sample),
        baseline=None if baseline is None else score_of(recipe, *map(torch.from_numpy, (baseline, targets))),
        weight_mbit=density.weight_mbit,
        feature_mbit=density.feature_mbit,
        density=density.of(in_figures(metric, score)),
    )
    kind = "labels" if recipe.task == "classify" else "targets"
    write_arrays(folder / "test.npz", {"inputs": inputs, kind: targets})
    write_arrays(folder / "truth.npz", record_codes(folded, sample, BATCH))
    write_json(folder / "prune.json", {"groups": describe_masks(model.groups())})
    write_json(folder / "recipe.json", recipe.record())
    write_bytes(folder / "model.safetensors", save_tensors(model_state(model)))
    write_json(folder / "metrics.json", {"history": history, "result": metrics.record(), **more(metrics)})
    export(folded, torch.from_numpy(inputs[:1]).float(), folder / "model.onnx")
    return metrics
