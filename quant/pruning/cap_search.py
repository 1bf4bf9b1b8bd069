"""CaP within a budget: how few channels each group can do with, by bisection against a score on held-out samples."""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from ...errors import GraphError
from ..evaluate import evaluate
from ..masks import ChannelGroup
from ..model import QuantNetwork
from ..recipes import Recipe
from ..tasks import find_task
from .cap import CapResult, compensate, constant_channels, describe, keep_first, rank
from .readers import POSITIONS, Reader, measure_readers


@dataclass(frozen=True)
class CapTrial:
    """A trial of ``keep`` channels in a group, which succeeded if the score reaches the threshold.

    number: of the group, from 1, of so many groups.
    """

    group: str
    number: int
    groups: int
    keep: int
    score: float
    threshold: float


def search(
    model: QuantNetwork,
    recipe: Recipe,
    inputs: Tensor,
    held_inputs: Tensor,
    held_targets: Tensor,
    *,
    max_drop: float,
    round_to: int = 1,
    steps: int = 5,
    excluded: Collection[str] = (),
    positions: int = POSITIONS,
    progress: Callable[[CapTrial], None] = lambda trial: None,
) -> CapResult:
    """Drop as many channels as a drop of the score by ``max_drop`` allows, and compensate their readers, in place.

    inputs: calibration samples. held_inputs, held_targets: other samples, never of the test set, on which the score is
    measured; where the network was trained on them, they show less of the drop than others will. max_drop: in points of
    percent, or dB where the score is in dB; after each group, from input to output, an equal part more of it is free.
    round_to: widths are multiples of it, or all channels. steps: trials for each group, each of which halves what is in
    doubt; the first is to drop the constant channels, if there are any. excluded: layers whose channels stay. A group
    that can lose nothing is left as it is. Otherwise as ``cap``.
    """
    if not max_drop >= 0:
        raise GraphError(f"max_drop: {max_drop:g} points were given; give 0 or more")
    if round_to < 1 or steps < 1:
        raise GraphError(f"round_to, steps: {round_to} and {steps} were given; both must be at least 1")
    budget = max_drop / (1 if find_task(recipe.task).metric == "psnr_db" else 100)
    names = {layer: name for name, layer in model.named_children()}
    groups = [
        group for group in model.groups() if not {names[writer.weights.layer] for writer in group.writers} & {*excluded}
    ]
    reference, found = copy.deepcopy(model), []

    def measure() -> float:
        return evaluate(model, recipe, held_inputs.cpu().numpy(), held_targets.cpu().numpy())

    scores = [measure()]
    for number, group in enumerate(groups, 1):
        readers = measure_readers(model, reference, group, inputs, positions=positions)
        threshold = scores[0] - budget * number / len(groups)
        trials = _Trials(model, group, readers, measure, threshold, {int(group.kept.sum()): scores[-1]})
        for keep in trials.search(round_to, steps):
            progress(CapTrial(group.name, number, len(groups), keep, trials.scores[keep], threshold))
        found.append(describe(group, readers))
        scores.append(trials.scores[found[-1].kept])
    return CapResult(tuple(found), tuple(scores))


class _Trials:
    """Of widths for one group, each starting from the model as it is now; scores: known ones, by width."""

    def __init__(
        self,
        model: QuantNetwork,
        group: ChannelGroup,
        readers: Sequence[Reader],
        measure: Callable[[], float],
        threshold: float,
        scores: dict[int, float],
    ) -> None:
        self._group, self._readers, self._measure, self._threshold = group, readers, measure, threshold
        self.scores = scores
        self._order = rank(group, readers)
        self._tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
        self._before = [tensor.clone() for tensor in self._tensors]

    def search(self, round_to: int, steps: int) -> Iterator[int]:
        """Leave the least width that is found to reach the threshold; gives each that was tried.

        All channels are known to reach it. The first trial is without the constant ones, if there are any.
        """
        channels = len(self._order)
        widths = [*range(round_to, channels, round_to), channels]
        varying = channels - int(constant_channels(self._group, self._readers).sum())
        low, high = 0, len(widths) - 1
        exact = next(place for place, width in enumerate(widths) if width >= varying)
        middle = exact if exact < high else high // 2
        while low < high and steps:
            keep, steps = widths[middle], steps - 1
            self._make(keep)
            self.scores[keep] = self._measure()
            yield keep
            if self.scores[keep] >= self._threshold:
                high = middle
            else:
                low = middle + 1
            middle = (low + high) // 2
        self._make(widths[high])

    def _make(self, keep: int) -> None:
        for tensor, value in zip(self._tensors, self._before):
            tensor.copy_(value)
        if keep < len(self._order):
            compensate(self._group, keep_first(self._group, self._order, keep), self._readers)
