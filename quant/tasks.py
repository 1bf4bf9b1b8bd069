"""Tasks: what is asked of a network's outputs, as a loss to train with and a score to report."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import GraphError


@dataclass(frozen=True)
class Task:
    """``count`` gives a batch's two sums (part, whole) that add up over batches; ``score`` makes the figure of them.

    metric: the figure's name; better scores are higher.
    """

    metric: str
    loss: Callable[[Tensor, Tensor], Tensor]
    count: Callable[[Tensor, Tensor, int], tuple[float, float]]
    score: Callable[[float, float], float]


def _count_correct(logits: Tensor, labels: Tensor, margin: int) -> tuple[float, float]:
    return float((logits.argmax(1) == labels).sum()), float(len(labels))


def _count_error(images: Tensor, targets: Tensor, margin: int) -> tuple[float, float]:
    """Sum of squared errors of pixels from 0 to 1, and how many they are, without ``margin`` pixels at the edge."""
    if margin:
        images, targets = (part[..., margin:-margin, margin:-margin] for part in (images, targets))
    return float((images.clamp(0, 1) - targets).double().square().sum()), float(targets.numel())


def _count_overlap(logits: Tensor, targets: Tensor, margin: int) -> tuple[float, float]:
    found, wanted = logits > 0, targets > 0.5
    return float((found & wanted).sum()), float((found | wanted).sum())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _decibels(error: float, pixels: float) -> float:
    """Peak signal-to-noise ratio, of the mean error over all images."""
    return 10 * math.log10(pixels / error) if error else math.inf


_IMAGE = Task("psnr_db", lambda images, wanted: nn.functional.mse_loss(images, wanted), _count_error, _decibels)
TASKS = {
    "classify": Task(
        "accuracy", lambda logits, labels: nn.functional.cross_entropy(logits, labels), _count_correct, _share
    ),
    "copy": _IMAGE,
    "enlarge": _IMAGE,
    "segment": Task(
        "iou",
        lambda logits, wanted: nn.functional.binary_cross_entropy_with_logits(logits, wanted),
        _count_overlap,
        _share,
    ),
}


def find_task(name: str) -> Task:
    if name not in TASKS:
        raise GraphError(f"unknown task {name!r}; known tasks: {', '.join(TASKS)}")
    return TASKS[name]


def augment(inputs: Tensor, *, flip: bool, shift: tuple[int, int]) -> Tensor:
    """Each image mirrored or not and moved by up to ``shift`` pixels (vertical, horizontal), edges repeated."""
    if flip:
        chosen = torch.rand(len(inputs)) < 0.5
        inputs = torch.where(chosen[:, None, None, None], inputs.flip(3), inputs)
    if not any(shift):
        return inputs
    rows, columns = (_moved(len(inputs), size, most) for size, most in zip(inputs.shape[2:], shift))
    images = torch.arange(len(inputs))[:, None, None]
    return inputs.movedim(1, 3)[images, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def _moved(images: int, size: int, most: int) -> Tensor:
    offsets = torch.randint(-most, most + 1, (images, 1))
    return (torch.arange(size) + offsets).clamp(0, size - 1)
