"""Bits for each layer and each activation: few where that costs least, so that a network fits a memory."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import GraphError
from .calibrate import NormCorrection, quantize_tensors
from .density import density_of, in_figures
from .evaluate import BATCH, device_of, score_of
from .model import QuantNetwork
from .recipes import Recipe
from .tasks import find_task

MOST, LEAST = 8, 2
"""Bits that are begun with, and that are left at least."""


@dataclass(frozen=True)
class Decision:
    """``layer`` was lowered to ``bits``; what the network scores then, its loss, and the memory it takes."""

    layer: str
    bits: int
    score: float
    loss: float
    mbit: float


@dataclass(frozen=True)
class Allocation:
    """A recipe with its bits chosen, by which decisions from 8 bits on, and what they were measured from.

    score: of the model given. mbit: the weights and features that are left.
    """

    recipe: Recipe
    score: float
    mbit: float
    trace: tuple[Decision, ...]


def allocate_widths(
    model: QuantNetwork,
    recipe: Recipe,
    inputs: Tensor,
    targets: Tensor,
    *,
    budget_mbit: float | None = None,
    max_drop: float | None = None,
    calibration: int = 256,
    progress: Callable[[Decision], None] = lambda decision: None,
) -> Allocation:
    """The bits with which ``model`` is to be quantized, from 8 down to 2, until its memory is within ``budget_mbit``.

    Or, with ``max_drop``, as few as cost at most so many points, percent or dB, of the score. Each decision lowers the
    weights of one layer, or one activation, by a bit, where quantization by calibration raises the loss least per Mbit
    that is saved; savings beyond the budget do not count. The loss speaks for the score, which on few samples only
    jumps. Both are measured on ``inputs`` and ``targets``, samples that are not for the test, without the first
    ``calibration`` of them, by which is calibrated. Raises GraphError.
    """
    if (budget_mbit is None) == (max_drop is None):
        raise GraphError("the widths need one limit: give either a budget in Mbit or the largest drop of the score")
    if calibration < 2 or len(inputs) < 2 * calibration:
        raise GraphError(
            f"{len(inputs)} samples are too few to choose widths by; give at least {2 * calibration}, of which "
            f"{calibration} calibrate"
        )
    search = _Search(model, recipe, inputs, targets, calibration)
    lowest = search.score - (max_drop if max_drop is not None else torch.inf)
    trace: list[Decision] = []
    while budget_mbit is None or search.mbit() > budget_mbit:
        decision = search.lower(lowest, budget_mbit or 0.0)
        if decision is None:
            break
        trace.append(decision)
        progress(decision)
    if budget_mbit is not None and search.mbit() > budget_mbit:
        raise GraphError(
            f"--budget: {budget_mbit:g} Mbit cannot be met; {search.mbit():g} Mbit are left at {LEAST} bits "
            "everywhere; prune more, or give a larger budget"
        )
    return Allocation(search.recipe(), search.score, search.mbit(), tuple(trace))


class _Search:
    """The widths so far, and what a further bit less would cost."""

    def __init__(self, model: QuantNetwork, recipe: Recipe, inputs: Tensor, targets: Tensor, count: int) -> None:
        self._given = recipe
        calibration, self._inputs, self._targets = inputs[:count], inputs[count:], targets[count:]
        self._weighted = [layer.name for layer in recipe.network.weighted]
        self._activations = [layer.name for layer in recipe.network.activations]
        self._bits = dict.fromkeys([*self._weighted, *self._activations], MOST)
        self._kept = {group.name: int(group.kept.sum()) for group in model.groups()}
        self._made = {
            bits: quantize_tensors(model, self._with(dict.fromkeys(self._bits, bits)), calibration)
            for bits in range(LEAST, MOST + 1)
        }
        self._correction = NormCorrection(model, calibration)
        self._model = copy.deepcopy(self._made[MOST])
        self.score = self._figures(model)[0]
        self._loss = self._measured(self._bits)[1]
        self._costs = dict.fromkeys(self._bits, -torch.inf)  # as last measured

    def recipe(self) -> Recipe:
        return self._with(self._bits)

    def mbit(self) -> float:
        return self._mbit_of(self._bits)

    def lower(self, lowest: float, budget_mbit: float) -> Decision | None:
        """Take the bit that costs least, of those that leave the score at ``lowest`` or above; None if none does.

        Only those that were cheapest when last measured are measured again, since costs hardly fall.
        """
        fresh: dict[str, tuple[float, float]] = {}
        while self._costs:
            name = min(self._costs, key=self._costs.__getitem__)
            if name in fresh:
                return self._accept(name, fresh[name])
            bits = self._bits | {name: self._bits[name] - 1}
            score, loss = self._measured(bits)
            if score < lowest:
                del self._costs[name]
                continue
            fresh[name] = score, loss
            saved = self.mbit() - max(self._mbit_of(bits), budget_mbit)
            self._costs[name] = (loss - self._loss) / saved
        return None

    def _accept(self, name: str, figures: tuple[float, float]) -> Decision:
        self._bits[name] -= 1
        self._loss = figures[1]
        if self._bits[name] == LEAST:
            del self._costs[name]
        return Decision(name, self._bits[name], *figures, self.mbit())

    def _with(self, bits: dict[str, int]) -> Recipe:
        weights, activations = (tuple(bits[name] for name in names) for names in (self._weighted, self._activations))
        return replace(self._given, weight_bits=weights, activation_bits=activations)

    def _mbit_of(self, bits: dict[str, int]) -> float:
        return density_of(self._with(bits), self._kept).mbit

    def _measured(self, bits: dict[str, int]) -> tuple[float, float]:
        """Score and loss with these bits, by calibration; each tensor has been quantized before, to every width."""
        for name, width in bits.items():
            self._model.set_submodule(name, self._made[width].get_submodule(name))
        self._correction.apply(self._model)
        return self._figures(self._model)

    def _figures(self, model: QuantNetwork) -> tuple[float, float]:
        device, task = device_of(model.eval()), find_task(self._given.task)
        with torch.no_grad():
            outputs = torch.cat([model(batch.to(device).float()).cpu() for batch in self._inputs.split(BATCH)])
        score = in_figures(task.metric, score_of(self._given, outputs, self._targets))
        return score, float(task.loss(outputs, self._targets))
