"""How good a network's answers are on a test set: accuracy where it has labels, else the figure that training named."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from ..ir.execute import dequantize_outputs
from ..ir.graph import Graph, Ints
from .data import accuracy, load_arrays

BATCH = 250  # frames whose reals are held at once
GOALS = ("labels", "targets")
MEMORY = ("weight_mbit", "feature_mbit")
"""What pruning leaves of weights and feature maps, in Mbit."""
SHIFTS = ("average_shifts", "storage_mbit", "compression")
"""Of decomposed weights: shifts of a group, what they store in Mbit, and how many times less than plain weights."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Frames as the model takes them, by input name or of the only input; labels (frames,) or targets as the model's
    first output, (frames, ...), or neither. metric: of the targets, psnr_db or iou; margin: pixels at the edge of an
    image that do not count."""

    inputs: Mapping[str, NDArray] | NDArray
    labels: Ints | None = None
    targets: NDArray | None = None
    metric: str = ""
    margin: int = 0

    def score(self, graph: Graph, outputs: Mapping[str, Ints]) -> dict[str, float]:
        """The figure by its name; empty where the test set asks for none."""
        if self.labels is not None:
            return {"accuracy": accuracy(graph, outputs, self.labels)}
        if self.targets is None or self.metric not in METRICS:
            return {}
        port = graph.outputs[0].name
        if outputs[port].size != self.targets.size:
            raise BuildError(
                f"targets of shape {list(self.targets.shape)} for output {port} of shape {list(outputs[port].shape)}; "
                "train again, or name model.onnx instead of its folder"
            )
        part = whole = 0.0
        for first in range(0, len(self.targets), BATCH):
            some = {name: integers[first : first + BATCH] for name, integers in outputs.items()}
            reals, wanted = dequantize_outputs(graph, some)[port], self.targets[first : first + BATCH]
            counts = METRICS[self.metric](*(self._inner(image.reshape(wanted.shape)) for image in (reals, wanted)))
            part, whole = part + counts[0], whole + counts[1]
        return {self.metric: FIGURES[self.metric](part, whole)}

    def _inner(self, images: NDArray) -> NDArray:
        inner = slice(self.margin, -self.margin) if self.margin else slice(None)
        return images[..., inner, inner].astype(np.float64)


def _errors(images: NDArray, targets: NDArray) -> tuple[float, float]:
    """The sum of squared errors of pixels from 0 to 1, and how many pixels."""
    return float(np.square(images.clip(0, 1) - targets).sum()), float(targets.size)


def _overlap(images: NDArray, targets: NDArray) -> tuple[float, float]:
    """How many pixels are rightly marked, and how many are marked at all."""
    found, wanted = images > 0, targets > 0.5
    return float((found & wanted).sum()), float((found | wanted).sum())


METRICS = {"psnr_db": _errors, "iou": _overlap}
FIGURES = {
    "psnr_db": lambda error, pixels: 10 * math.log10(pixels / error) if error else math.inf,
    "iou": lambda both, either: both / either if either else 1.0,
}


def density(scores: Mapping[str, float], memory: Mapping[str, float]) -> dict[str, float]:
    """The first of the scores, in percent or dB, per Mbit of all MEMORY; empty where one of both is not known."""
    if not scores or set(memory) != set(MEMORY):
        return {}
    name, score = next(iter(scores.items()))
    return {"density": (score if name == "psnr_db" else 100 * score) / sum(memory.values())}


def show_score(name: str, score: float) -> str:
    """The figure for people."""
    return f"{score:.2f} dB" if name == "psnr_db" else f"{score:.2%}"


def read_tests(path: Path, metric: str = "", margin: int = 0) -> HeldOut:
    """The test set of a run folder: inputs, or an array for each input by its name, and labels, targets or neither."""
    arrays = load_arrays(path)
    what = "train again, or name model.onnx instead of its folder"
    if not isinstance(arrays, dict) or not set(arrays) - set(GOALS):
        raise BuildError(f"{path}: holds no inputs; {what}")
    inputs = {name: array.astype(np.float32) for name, array in arrays.items() if name not in GOALS}
    frames = {name: len(np.atleast_1d(array)) for name, array in arrays.items()}
    count = frames[next(iter(inputs))]
    for name, found in frames.items():
        if found != count:
            raise BuildError(f"{path}: holds {found} {name} for {count} inputs; {what}")
    labels, targets = (arrays.get(name) for name in GOALS)
    if labels is not None and (labels.dtype.kind not in "iub" or labels.ndim != 1):
        raise BuildError(f"{path}: its labels are {labels.dtype}{list(labels.shape)}, need one class a frame; {what}")
    given = inputs["inputs"] if list(inputs) == ["inputs"] else inputs
    return HeldOut(given, None if labels is None else labels.astype(np.int64), targets, metric, margin)
