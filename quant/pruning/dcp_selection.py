"""Greedy choice of a group's channels by the gradient of a loss that asks for the features and for the decision."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import GraphError
from ..masks import ChannelGroup
from ..model import QuantNetwork, Step
from .dcp_options import DcpOptions

MOMENTUM = 0.9  # Nesterov's


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets, both (images, ...), on the model's device, from which ``size`` are computed at once."""

    inputs: Tensor
    targets: Tensor
    size: int


@dataclass(frozen=True, eq=False)
class Discrimination:
    """``loss`` of what ``head`` makes of the result of the module ``place``, against the targets."""

    place: str
    head: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]


class Objective:
    """L(W) = L_M + lam * L_S, W being the weights by which the readers of ``group`` multiply its channels.

    L_M: the sum over readers of |O_base - O|^2 / 2Q, where O is what a reader computes in ``model``, O_base in
    ``base``, and Q how many numbers that are; channels of O dropped already do not count. L_S: the discrimination; it
    is alone if lam is infinite. Normalizations evaluate. What comes before the first reader is computed once.
    """

    def __init__(
        self,
        model: QuantNetwork,
        base: QuantNetwork,
        group: ChannelGroup,
        discrimination: Discrimination,
        lam: float,
        samples: Samples,
    ) -> None:
        self.group, self.samples = group, samples
        self.layers: list[Any] = list(dict.fromkeys(part.layer for part in group.readers))
        self._model, self._discrimination, self._lam = model, discrimination, lam
        names = {module: name for name, module in model.named_modules()}
        readers = [names[layer] for layer in self.layers]
        modules = [step.module for step in model.steps]
        places = [modules.index(name) for name in readers]
        first, last = min(places), max(places)
        end = max(last, modules.index(discrimination.place)) if lam else last
        self._steps = model.steps[first : end + 1]
        computed = {step.result for step in self._steps}
        needed = {name for step in self._steps for name in step.sources} - computed
        self._given = _collect(model, model.steps[:first], samples, needed)
        self._kept = {sums_of(model, name): _kept_outputs(model, name) for name in [*readers, discrimination.place]}
        self._wanted = _collect(base, base.steps[: last + 1], samples, {sums_of(model, name) for name in readers})

    def __call__(self, images: Tensor) -> Tensor:
        """The mean over the images of these numbers, with the weights as they are."""
        results = run_steps(self._model, self._steps, {name: part[images] for name, part in self._given.items()})
        parts = []
        if self._lam < math.inf:
            parts += [self._error(results[name], wanted[images], name) / 2 for name, wanted in self._wanted.items()]
        if self._lam > 0:
            weight = self._lam if self._lam < math.inf else 1.0
            parts.append(weight * self._discriminate(results, self.samples.targets[images]))
        return torch.stack(parts).sum()

    def gradients(self, loss: Tensor) -> tuple[Tensor, ...]:
        """Of a result of the objective by the weights of each of ``layers``."""
        return torch.autograd.grad(loss, [layer.weight for layer in self.layers])

    def of_all(self) -> tuple[float, list[Tensor]]:
        """The mean over all images, and its gradients."""
        value, gradients = 0.0, [torch.zeros_like(layer.weight) for layer in self.layers]
        count = len(self.samples.inputs)
        for images in torch.arange(count).split(self.samples.size):
            loss, share = self(images), len(images) / count
            value += share * loss.item()
            gradients = [whole + share * part for whole, part in zip(gradients, self.gradients(loss))]
        return value, gradients

    def _error(self, sums: Tensor, wanted: Tensor, name: str) -> Tensor:
        kept = self._kept[name]
        return (sums - wanted if kept is None else (sums - wanted)[:, kept]).square().mean()

    def _discriminate(self, results: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        name = sums_of(self._model, self._discrimination.place)
        sums, kept = results[name], self._kept[name]
        if kept is not None:
            sums = sums * kept.view(1, -1, *[1] * (sums.ndim - 2))
        return self._discrimination.loss(self._discrimination.head(sums), targets)


def run_steps(model: QuantNetwork, steps: Iterable[Step], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The results of some of the model's steps by name, and those given."""
    results = dict(given)
    for step in steps:
        results[step.result] = model.get_submodule(step.module)(*(results[name] for name in step.sources))
    return results


def channel_scores(group: ChannelGroup, gradients: Mapping[Any, Tensor]) -> Tensor:
    """How fast the objective changes with the weights on each channel: sum_out |G[out, channel]|, shape (channels,).

    gradients: by reader, shaped like its weights; |.| is the Frobenius norm of a kernel's. With several readers each
    one's scores are divided by their sum over the channels, so that all have the same say.
    """
    scores = torch.zeros(group.channels, device=group.kept.device)
    for part in group.readers:
        kernels = part.of(gradients[part.layer], group.channels).transpose(1, 2)  # (channels, outputs, repeats, ...)
        found = kernels.flatten(2).norm(dim=2).sum(1)
        scores += found / found.sum() if found.any() else 0
    return scores


def select(
    objective: Objective, most: int, options: DcpOptions, progress: Callable[[int, int, float], None]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Prune the objective's group; the channels kept in the order of choice, and the objective before and after each.

    Readers lose all weights on the group's channels; those on chosen channels come back as they were, and are then
    optimised. progress: called with the channels chosen, how many will be at most, and the objective. Raises GraphError
    where that is no number.
    """
    group = objective.group
    views = [part.weights(group.channels) for part in group.readers]
    before = [view.clone() for view in views]
    for view in views:
        view.zero_()
    target = min(_round_up(most, options.round_to), int(group.kept.sum()))
    is_open, losses = group.kept, []
    order: list[int] = []
    while True:
        loss, gradients = objective.of_all()
        losses.append(_finite(loss, group, options))
        if _is_flat(losses, options.eps):
            target = min(target, _round_up(len(order), options.round_to))
        progress(len(order), target, loss)
        if len(order) >= target:
            break
        scores = channel_scores(group, dict(zip(objective.layers, gradients)))
        ranking = torch.argsort(torch.where(is_open, scores, -1), descending=True, stable=True)
        chosen = ranking[: min(options.channels_per_round, target - len(order))]
        order += chosen.tolist()
        is_open[chosen] = False
        for view, weight in zip(views, before):
            view[chosen] = weight[chosen]
        _optimise(objective, order, options)
    group.keep(group.kept & ~is_open)
    return tuple(order), tuple(losses)


def _optimise(objective: Objective, order: Sequence[int], options: DcpOptions) -> None:
    """Train the weights on the channels chosen, by random batches; the learning rate falls to zero."""
    group, rate, steps = objective.group, options.selection_lr, options.selection_steps
    optimizer = torch.optim.SGD([layer.weight for layer in objective.layers], rate, MOMENTUM, nesterov=True)
    is_free = [torch.zeros_like(layer.weight) for layer in objective.layers]
    by_layer = dict(zip(objective.layers, is_free))
    for part in group.readers:
        part.of(by_layer[part.layer], group.channels)[list(order)] = 1
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        images = torch.randperm(len(objective.samples.inputs))[: objective.samples.size]
        for layer, gradient, free in zip(objective.layers, objective.gradients(objective(images)), is_free):
            layer.weight.grad = gradient * free
        optimizer.step()
    optimizer.zero_grad()


def _is_flat(losses: Sequence[float], eps: float | None) -> bool:
    # The first channels alone may do more harm than none, which says nothing about those to come.
    return eps is not None and losses[-1] < losses[0] and losses[-2] - losses[-1] <= eps * losses[0]


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _finite(loss: float, group: ChannelGroup, options: DcpOptions) -> float:
    if not math.isfinite(loss):
        raise GraphError(f"{group.name}: the loss is {loss}; lower selection_lr, now {options.selection_lr}")
    return loss


def sums_of(model: QuantNetwork, name: str) -> str:
    """Under which name the results of the module are."""
    return next(step.result for step in model.steps if step.module == name)


def _kept_outputs(model: QuantNetwork, name: str) -> Tensor | None:
    """Which of a layer's channels its mask keeps, bool of shape (channels,); None where no mask is behind it."""
    mask = dict(model.named_modules()).get(f"{name}_mask")
    return None if mask is None else mask.kept > 0  # type: ignore[union-attr]


@torch.no_grad()
def _collect(model: QuantNetwork, steps: Sequence[Step], samples: Samples, names: set[str]) -> dict[str, Tensor]:
    parts = []
    for inputs in samples.inputs.split(samples.size):
        results = run_steps(model, steps, {"inputs": inputs})
        parts.append({name: results[name] for name in names})
    return {name: torch.cat([part[name] for part in parts]) for name in sorted(names)}
