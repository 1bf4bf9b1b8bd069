"""One option for each unit, all chosen together: the least area, or the least of it within limits, by CP-SAT."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..ir.graph import Graph
from .budget import KINDS, Budget, Spent, spent
from .count_moves import convert
from .matching import End, find_meetings
from .options import Catalogue, Option, Options, drop_beaten
from .resources import find_model

EFFORT = 60.0
"""Of the solver, in its own measure of time, which is the same on every machine: about as many seconds."""


@dataclass(frozen=True)
class Chosen:
    """The option of each unit; what they take together with the converters between them; is_best: it is proved."""

    options: Mapping[str, Option]
    spent: Spent
    area: int
    is_best: bool

    @property
    def cycles(self) -> int:
        return max((option.fold.cycles for option in self.options.values()), default=1)


@dataclass(frozen=True)
class Stream:
    """From one unit to another, by names; ends: of the stream at each. number: the input of the second."""

    maker: str
    taker: str
    made: End
    read: End


class Chooser:
    """Chooses among the options of all units of a graph, for one rate after the other."""

    def __init__(self, graph: Graph, catalogues: Sequence[Catalogue], worth: Budget, multipliers: int | None = None):
        self.catalogues, self._worth, self._multipliers = catalogues, worth, multipliers
        meetings = find_meetings(graph, [one.unit for one in catalogues])
        self._streams = [Stream(one, other, made, read) for (one, made), (other, read) in meetings if one != other]
        self._found: dict[int, Chosen | None] = {}

    def within(self, worth: Budget) -> "Chooser":
        """The same with other limits."""
        other = copy(self)
        other._worth, other._found = worth, {}
        return other

    @property
    def levels(self) -> list[int]:
        """The cycles a frame at which something changes, ascending; the first is the fastest that there is."""
        fastest = max((int(one.cycles[0]) for one in self.catalogues), default=1)
        return sorted({fastest} | {int(c) for one in self.catalogues for c in one.cycles if c > fastest})

    def choose(self, cycles: int) -> Chosen | None:
        """Of least area at so many cycles a frame or fewer; None where the limits do not allow it."""
        if cycles not in self._found:
            self._found[cycles] = self._solve(cycles)
        return self._found[cycles]

    def least(self, cycles: int) -> Spent:
        """The least of each resource alone that any choice takes, without converters."""
        met = [one.within(cycles) for one in self.catalogues]
        return Spent(*(sum(int(one.costs[:, 1 + kind].min()) for one in met) for kind in range(len(KINDS))))

    def _solve(self, cycles: int) -> Chosen | None:
        met = [one.within(cycles) for one in self.catalogues]
        if any(not one.options for one in met) or self._is_hopeless(cycles):
            return None
        if not met:
            return Chosen({}, Spent(), 0, True)
        columns = [1, 3, 4] if self._worth.limits else [0]
        if self._multipliers is not None:
            columns.append(5)
        kept = {one.unit.name: drop_beaten(one, _bits(one), columns) for one in met}
        return self._model(kept)

    def _is_hopeless(self, cycles: int) -> bool:
        """Whether each unit at its smallest is too much together."""
        return bool(self._worth.limits) and bool(self._worth.exceeded(self.least(cycles)))

    def _model(self, kept: Mapping[str, Options]) -> Chosen | None:
        from ortools.sat.python import cp_model  # a large library

        model = cp_model.CpModel()
        picks = {name: [model.new_bool_var("") for _ in one.options] for name, one in kept.items()}
        total: dict[str, list[Any]] = {kind: [] for kind in ("area", *KINDS, "multipliers")}

        def pay(kinds: Sequence[str], amounts: Sequence[int], pick: Any) -> None:
            for kind, amount in zip(kinds, amounts):
                if amount:
                    total[kind].append(int(amount) * pick)

        for name, one in kept.items():
            model.add_exactly_one(picks[name])
            for pick, costs in zip(picks[name], one.costs):
                pay(tuple(total), costs, pick)
        for stream in self._streams:
            for pick, taken in self._meet(model, stream, kept, picks):
                pay(("area", *KINDS), (self._worth.area(taken), *(getattr(taken, kind) for kind in KINDS)), pick)
        for kind, most in self._worth.limits.items():
            model.add(sum(total[kind]) <= most)
        if self._multipliers is not None:
            model.add(sum(total["multipliers"]) <= self._multipliers)
        model.minimize(sum(total["area"]))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1  # several would race, and the first to end would decide
        solver.parameters.random_seed = 1
        solver.parameters.cp_model_probing_level = 0  # takes two thirds of the time and finds next to nothing
        solver.parameters.max_deterministic_time = EFFORT
        status = solver.solve(model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        options = {
            name: one.options[next(place for place, pick in enumerate(picks[name]) if solver.value(pick))]
            for name, one in kept.items()
        }
        found = {kind: int(solver.value(sum(total[kind]))) for kind in KINDS}
        return Chosen(options, Spent(**found), int(solver.value(sum(total["area"]))), status == cp_model.OPTIMAL)

    def _meet(self, model: Any, stream: Stream, kept: Mapping[str, Options], picks: Mapping[str, Sequence[Any]]):
        """Each pair of lanes in which the ends of a stream can meet, as a variable, and what its converter takes."""
        made = _by_lanes(stream.made, kept[stream.maker].options, picks[stream.maker])
        read = _by_lanes(stream.read, kept[stream.taker].options, picks[stream.taker])
        costs = {(a, b): self._converter(stream, a, b) for a in made for b in read}
        if not any(costs.values()):
            return []
        pairs = {pair: model.new_bool_var("") for pair in costs}
        # Of all pairs with one end the one that is picked: such rows leave the linear relaxation nothing to guess.
        for a, several in made.items():
            model.add(sum(pairs[a, b] for b in read) == sum(several))
        for b, several in read.items():
            model.add(sum(pairs[a, b] for a in made) == sum(several))
        return [(pairs[pair], taken) for pair, taken in costs.items() if taken]

    def _converter(self, stream: Stream, made: int, read: int) -> Spent | None:
        """None where none is needed."""
        if stream.made.meets(made, stream.read, read):
            return None
        return _price(stream.made.type, made, stream.read.type, read, self._worth.family)


@lru_cache(maxsize=200_000)
def _price(made_as: Any, made: int, read_as: Any, read: int, family: Any) -> Spent:
    return spent(find_model(family).estimate(convert(made_as, made, read_as, read)), family)


def _by_lanes(end: End, options: Sequence[Option], picks: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for option, pick in zip(options, picks):
        found.setdefault(end.lanes(option.fold), []).append(pick)
    return found


def _bits(options: Options) -> list[int]:
    """Of a lane at each end of a unit."""
    unit = options.unit
    return [*(source.dtype.bits for source in unit.sources), unit.result.dtype.bits]
