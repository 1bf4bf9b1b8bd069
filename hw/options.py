"""What can be built for each unit: folds with their engine, multipliers and memory, and what each of them takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..ir.graph import Bounds, Ints
from .budget import KINDS, Budget, Spent, spent
from .count_parts import add_all
from .count_units import prepare_count
from .folds import MATRICES, Choice, Fold
from .memory import choose_style
from .plan import LayerPlan
from .resources import find_model
from .unit import Unit

SPARE_SHARE, SPARE_SIZE = 2, 64
"""A fold of more products a cycle than so many times the fewest that keep pace, and so many more, is not worth a
thought: no converter that it might save costs as much."""


@dataclass(frozen=True)
class Option:
    """One way to build a unit; area: as `Budget` counts."""

    fold: Fold
    layer: LayerPlan
    spent: Spent
    area: int

    @property
    def takes(self) -> tuple[int, ...]:
        return self.fold.takes

    @property
    def makes(self) -> int:
        return self.fold.makes


@dataclass(frozen=True)
class Options:
    """Several of them for one unit."""

    unit: Unit
    options: tuple[Option, ...]

    @cached_property
    def costs(self) -> Ints:
        """(options, columns): the area, each kind of resource, the multipliers."""
        return np.array(
            [(one.area, *(getattr(one.spent, kind) for kind in KINDS), one.fold.multipliers) for one in self.options]
        )

    @cached_property
    def lanes(self) -> Ints:
        """(options, ends): the lanes of each input, then of the result."""
        return np.array([(*option.takes, option.makes) for option in self.options])


class Catalogue:
    """All options of a unit; what they take is found out when it is asked for.

    given: what the user fixed of the layer.
    """

    def __init__(self, choice: Choice, given: Mapping[str, Any], bounds: Mapping[str, Bounds], worth: Budget):
        self.unit, self._given, self._worth = choice.unit, given, worth
        self._folds = sorted(choice.folds, key=lambda fold: fold.cycles)
        self.cycles = np.array([fold.cycles for fold in self._folds])
        self._sizes = np.array([fold.size for fold in self._folds])
        # Layers of constant adders are thought of at any rate: their products say little of what they take.
        self._is_constant = np.array([fold.engine == "spatial" for fold in self._folds])
        self._count = prepare_count(choice.unit, bounds)
        self._known: dict[int, list[Option]] = {}

    def within(self, cycles: int) -> Options:
        """The options of at most so many cycles a frame that are worth a thought."""
        met = int(np.searchsorted(self.cycles, cycles, side="right"))
        sizes = self._sizes[:met]
        most = SPARE_SHARE * sizes.min(initial=1 << 60) + SPARE_SIZE
        kept = np.flatnonzero((sizes <= most) | self._is_constant[:met])
        return Options(self.unit, tuple(one for place in kept.tolist() for one in self._at(place)))

    def _at(self, place: int) -> list[Option]:
        if place not in self._known:
            fold = self._folds[place]
            found = [self._option(fold, layer) for layer in _layers(self.unit, fold, self._given)]
            self._known[place] = [one for one in found if "multiplier" in self._given or not _is_vain(one)]
        return self._known[place]

    def _option(self, fold: Fold, layer: LayerPlan) -> Option:
        resources = find_model(self._worth.family).estimate(add_all(self._count(layer, {}).values()))
        taken = spent(resources, self._worth.family)
        return Option(fold, layer, taken, self._worth.area(taken))


def _layers(unit: Unit, fold: Fold, given: Mapping[str, Any]) -> list[LayerPlan]:
    """The fold with each kind of multiplier and memory that makes a difference."""
    base = LayerPlan(**{**given, "engine": fold.engine, "pe": fold.pe, "simd": fold.simd, "order": fold.order})
    if unit.kind not in MATRICES or fold.engine == "spatial":
        return [base]
    if fold.engine != "mac":
        return [base] if "memory" in given else [replace(base, memory=style) for style in ("auto", "lut", "block")]
    multipliers = [base.multiplier] if "multiplier" in given or not _multiplies(unit) else ["lut", "dsp"]
    memories = [base.memory] if "memory" in given else ["auto", *_other_memory(unit, fold)]
    return [replace(base, multiplier=one, memory=other) for one in multipliers for other in memories]


def _is_vain(option: Option) -> bool:
    """Whether products meant for DSP blocks become logic: too narrow ones, or all where a device has none."""
    return option.layer.multiplier == "dsp" and not option.spent.dsp


def _multiplies(unit: Unit) -> bool:
    """Whether its products are too large for a lookup table or two."""
    return min(unit.weight_bits, unit.source.dtype.bits) > 2


def _other_memory(unit: Unit, fold: Fold) -> list[str]:
    """The style that "auto" does not take, where there is a choice."""
    node: Any = unit.nodes[0]
    width = unit.weight_bits * fold.pe * fold.simd
    words = -(-node.weights.size // (fold.pe * fold.simd))
    if words <= 16:
        return []
    return ["lut" if choose_style(words, width) == "block" else "block"]


def drop_beaten(options: Options, bits: Sequence[int], kinds: Sequence[int]) -> Options:
    """Without the options that another one, of those as fast as they, beats in all that counts even with a converter at
    each end where its lanes are others.

    bits: of a lane at each end. kinds: the columns of ``costs`` that count, the area or the lookup tables first.
    """
    costs, lanes = options.costs[:, kinds], options.lanes
    order = np.lexsort((*reversed([*lanes.T]), *reversed([*costs.T])))
    kept: list[int] = []
    for place in order:
        if kept:
            others = np.array(kept)
            more = _conversion(lanes[others], lanes[place], bits)
            beaten = (costs[others] <= costs[place]).all(axis=1) & (costs[others][:, 0] + more <= costs[place][0])
            if beaten.any():
                continue
        kept.append(int(place))
    return Options(options.unit, tuple(options.options[place] for place in sorted(kept)))


def _conversion(lanes: Ints, wanted: Ints, bits: Sequence[int]) -> Ints:
    """About what converters take that bring ``lanes``, (options, ends), to those ``wanted``: their queue and what
    chooses among the lanes that they hold."""
    widest = np.maximum(lanes, wanted) * np.array(bits)
    several = 30 + 3 * widest
    return np.where((lanes == wanted) | (lanes == 0), 0, several).sum(axis=1)
