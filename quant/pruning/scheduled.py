"""Pruning while the network trains: any criterion, on any schedule."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from ...errors import GraphError
from ..masks import ChannelGroup, Writer
from ..method import Method
from ..model import QuantNetwork
from .criteria import Criterion, Statistic
from .schedules import Event, Schedule, Window


class ScheduledPruning(Method):
    """Leaves ``keep`` channels of each group, in the order of ``model.groups()``.

    window: from which to which share of the steps channels are dropped. seed: of the random criterion. A group's mask
    may bring channels back until its last event, but none that was dropped before the training; from then on their
    weights are held at zero.
    """

    def __init__(
        self, criterion: Criterion, schedule: Schedule, keep: Sequence[int], window: tuple[float, float], seed: int = 0
    ):
        self._criterion, self._schedule, self._keep, self._seed = criterion, schedule, tuple(keep), seed
        self._window = window
        self.events: list[Event] = []
        self._means: dict[int, list[RunningMean]] = {}
        self._alive: list[Tensor] = []

    def start(self, model: QuantNetwork, steps: int) -> None:
        groups = model.groups()
        self._alive = [group.kept for group in groups]
        if emptied := [group.name for group, left in zip(groups, self._keep, strict=True) if left < 1]:
            raise GraphError(f"{emptied[0]}: none of its channels would stay; keep at least 1")
        pruned = tuple(group for group, left in zip(groups, self._keep, strict=True) if left < group.channels)
        self._criterion.check(pruned)
        window = Window.of_shares(steps, *self._window)
        self.events = self._schedule([group.channels for group in groups], self._keep, window)
        if late := [event for event in self.events if event.step >= steps]:
            raise GraphError(
                f"{groups[late[0].group].name}: would be pruned in step {late[0].step + 1} of {steps}; train for more "
                "epochs, or with smaller batches"
            )
        if self._criterion.statistic:
            self._means = {
                event.group: [RunningMean(self._criterion.statistic) for _ in groups[event.group].writers]
                for event in self.events
            }

    def before_step(self, model: QuantNetwork, step: int) -> None:
        groups = model.groups()
        for event in self.events:
            if event.step == step:
                self._choose(groups[event.group], event)
        for number, means in self._means.items():
            gathering = [event for event in self.events if event.group == number and event.since <= step < event.step]
            for writer, mean in zip(groups[number].writers, means):
                if any(event.since == step for event in gathering):
                    mean.reset()
                _watch(writer, mean, bool(gathering))

    def after_step(self, model: QuantNetwork, step: int) -> None:
        open_groups = {event.group for event in self.events if not self._is_final(event.group, step)}
        for number, group in enumerate(model.groups()):
            if number not in open_groups:
                group.hold()

    def state(self) -> dict[str, Tensor]:
        return {
            f"{number}.{place}.{name}": tensor
            for number, means in self._means.items()
            for place, mean in enumerate(means)
            for name, tensor in mean.state().items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for number, means in self._means.items():
            for place, mean in enumerate(means):
                mean.restore(tensors[f"{number}.{place}.mean"], tensors[f"{number}.{place}.count"])

    def _is_final(self, number: int, step: int) -> bool:
        return any(event.final and event.group == number and event.step <= step for event in self.events)

    def _choose(self, group: ChannelGroup, event: Event) -> None:
        alive = group.kept if self._is_final(event.group, event.step - 1) else self._alive[event.group]
        importance = torch.where(alive, self._importance(group, event.group), -torch.inf)
        group.mask(keep_largest(importance, event.keep) & alive)
        if event.final:
            group.hold()

    def _importance(self, group: ChannelGroup, number: int) -> Tensor:
        if self._criterion.of_weights:
            return self._criterion.of_weights(group)
        if self._criterion.statistic:
            return mean_over_writers(self._criterion, group, self._means[number])
        generator = torch.Generator().manual_seed(self._seed * 1009 + number)
        return torch.rand(group.channels, generator=generator).to(group.kept.device)


def prune_now(
    groups: Sequence[ChannelGroup], keep: Sequence[int], importance: Callable[[ChannelGroup], Tensor]
) -> None:
    """Drop all but ``keep`` channels of each group at once and for good."""
    for group, count in zip(groups, keep, strict=True):
        group.keep(keep_largest(torch.where(group.kept, importance(group), -torch.inf), count))


def keep_largest(importance: Tensor, count: int) -> Tensor:
    """Which are the ``count`` most important, bool of the same shape; the lower index wins a tie."""
    kept = torch.zeros_like(importance, dtype=torch.bool)
    kept[torch.argsort(importance, descending=True, stable=True)[:count]] = True
    return kept


class RunningMean:
    """The mean over all batches since ``reset`` of a statistic of what comes."""

    def __init__(self, statistic: Statistic) -> None:
        self._statistic = statistic
        self.reset()

    def reset(self) -> None:
        self.value, self._count = torch.zeros(0), 0

    def __call__(self, values: Tensor) -> None:
        found = self._statistic(values.detach())
        self.value = found if self._count == 0 else self.value + (found - self.value) / (self._count + 1)
        self._count += 1

    def state(self) -> dict[str, Tensor]:
        return {"mean": self.value, "count": torch.tensor(self._count)}

    def restore(self, mean: Tensor, count: Tensor) -> None:
        self.value, self._count = mean, int(count)


def mean_over_writers(criterion: Criterion, group: ChannelGroup, means: Sequence[RunningMean]) -> Tensor:
    """The importance of a group's channels by the statistics of all that computes them, one mean per writer."""
    found = [
        group.of(mean.value, writer)
        for writer, mean in zip(group.writers, means)
        if writer.mask.rectified or not criterion.needs_zeros
    ]
    return torch.stack(found).mean(0)


def _watch(writer: Writer, mean: RunningMean, is_gathering: bool) -> None:
    with suppress(ValueError):
        writer.mask.watchers.remove(mean)
    if is_gathering:
        writer.mask.watchers.append(mean)
