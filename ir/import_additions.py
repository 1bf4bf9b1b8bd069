"""Sums of two tensors on different grids: small integer coefficients with which no code of any pair comes out wrong."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .add import Add
from .graph import Ints
from .import_builder import ANY, Builder, Lazy
from .import_functions import MAX_TABLE_CODES, CodeFunction
from .import_layout import plain_layout
from .import_pairs import AllPairs, Pairs, SumTable
from .import_values import QUANTIZERS, Fractions, Grid, Value, represented
from .imported import Join
from .requantize import Requantize

MAX_COEFFICIENT = 1 << 12  # of a ratio of scales that is taken as it is
MAX_SEARCHED = 1 << 10
MAX_PAIRS = 1 << 25  # of codes that are all looked at


@dataclass(frozen=True, eq=False)
class LazyAdd(Lazy):
    """first + factor * second, both without steps, of one layout; factor is 1 or -1."""

    first: Value
    second: Value
    factor: int
    owner: str

    def make(self, builder: Builder, value: Value, consumer: str) -> Value:
        """Where the scales have a simple ratio."""
        exact = self._exact(builder)
        if exact is None:
            raise self._error(builder, f"{consumer} needs the very sum, and their ratio is no small fraction")
        return self._sum(builder, exact)

    def apply(self, builder: Builder, value: Value, end: int, consumer: str) -> Value:
        """By the first coefficients that give the model's result for all pairs of codes."""
        exact, steps = self._exact(builder), value.in_order()
        if exact is not None and not self._is_deterministic(builder):
            return builder.apply(self._sum(builder, exact).with_steps_of(steps), end, consumer)
        if steps.steps[-1].operator not in QUANTIZERS and exact is None:
            raise self._error(
                builder, f"{consumer} needs the very result of {steps.names[-1]}, which no quantizer makes"
            )
        wanted = AllPairs(builder, self.first, self.second, self.factor, steps)
        few = wanted.count <= MAX_PAIRS
        total = None if exact is None else self._sum(builder, exact)
        if exact is not None and total is not None and total.grid is not None:
            # float32 holds sums without noise: they are what the model has.
            agrees = wanted.agree_with_sum(exact, total.grid) if few else not total.grid.noise.any()
            if agrees:
                return builder.apply(total.with_steps_of(steps), end, consumer)
        if not few:
            raise self._error(builder, "they have too many codes to look at all pairs of them")
        for coefficients in self._candidates(builder):
            table = wanted.by_sum(coefficients)
            if table is not None and (table.is_monotone or table.size <= MAX_TABLE_CODES):
                return self._with_table(builder, coefficients, table, steps)
        reason = f"no integers up to {MAX_SEARCHED} give what {steps.names[-1]} gives for all pairs of their codes"
        raise self._error(builder, reason)

    def _with_table(self, builder: Builder, coefficients: Pairs, table: SumTable, steps: Value) -> Value:
        total = self._sum(builder, coefficients)
        _, draft, declared = builder.function_of(total.with_steps_of(steps))
        function = CodeFunction(steps.names[-1], table, builder.bounds[total.tensor], table.is_monotone)
        name = builder.add_function(function, draft, declared)
        return Value(name, total.layout, builder.functions[name].result)

    def _exact(self, builder: Builder) -> Pairs | None:
        """Coefficients that are exactly the ratios of the scales."""
        found = self._oriented(
            builder, [(ratio.numerator, ratio.denominator) for ratio in self._ratios(builder).tolist()]
        )
        return found if all(max(abs(p), abs(q)) <= MAX_COEFFICIENT for p, q in found) else None

    def _ratios(self, builder: Builder) -> Fractions:
        """(channels,): the real of one code of first in those of second."""
        first, second = self._units(builder)
        return first / second

    def _units(self, builder: Builder) -> tuple[Fractions, Fractions]:
        """What one code of each adds to the sum, (channels,)."""
        one, two = self.first.grid, self.second.grid
        assert one is not None and two is not None
        signs = builder.signs[self.first.tensor], builder.signs[self.second.tensor]
        return one.scale * one.step * signs[0], two.scale * two.step * signs[1] * self.factor

    def _candidates(self, builder: Builder) -> Iterator[Pairs]:
        """Ever better approximations of the ratios, whose larger coefficient is at most MAX_SEARCHED."""
        ratios = self._ratios(builder).tolist()
        kinds = {ratio: list(_approximations(ratio)) for ratio in set(ratios)}
        for index in range(max(map(len, kinds.values()))):
            pairs = [kinds[ratio][min(index, len(kinds[ratio]) - 1)] for ratio in ratios]
            yield self._oriented(builder, pairs)

    def _oriented(self, builder: Builder, pairs: list[tuple[int, int]]) -> Pairs:
        """So that the integer sums rise with the real ones."""
        rises = self._units(builder)[1] > 0
        return tuple((p, q) if up else (-p, -q) for (p, q), up in zip(pairs, rises, strict=True))

    def _is_deterministic(self, builder: Builder) -> bool:
        """Whether the model's float32 operands follow from the codes, as they do not where they are sums themselves."""
        return all(value.tensor not in builder.products for value in (self.first, self.second))

    def _error(self, builder: Builder, reason: str) -> GraphError:
        found = [
            f"{value.tensor} in steps of {float(abs(value.grid.scale[0] * value.grid.step)):g}"
            for value in (self.first, self.second)
            if value.grid is not None
        ]
        return GraphError(
            f"{self.owner}: adds {found[0]} to {found[1]}; {reason}; quantize both by one quantizer, or with scales "
            "whose ratio is a small fraction, such as a power of two"
        )

    def _sum(self, builder: Builder, coefficients: Pairs) -> Value:
        """The Add, and as its grid that which is exact if the coefficients are."""
        operands = [self.first, self.second]
        common = coefficients[0]
        if any(pair != common for pair in coefficients):
            factors = [np.array(column, dtype=np.int64) for column in zip(*coefficients, strict=True)]
            operands = [_multiplied(builder, v, f, self.owner) for v, f in zip(operands, factors, strict=True)]
            common = (1, 1)
        (first, one), (second, two) = ((value, value.grid) for value in operands)
        assert one is not None and two is not None
        key = first.tensor, second.tensor, common, self.factor
        if key not in builder.moved:
            name = builder.numbered("add")
            builder.moved[key] = builder.add_node(
                Add(name, (first.tensor, second.tensor), ANY, common), self.owner
            ).name
            signs = builder.signs[first.tensor], builder.signs[second.tensor]
            builder.joins[name] = Join((one, two), signs, (1, self.factor))
        name = builder.moved[key]
        unit = two.scale * two.step * builder.signs[second.tensor] * self.factor / common[1]
        offset = one.scale * one.base + one.offset + (two.scale * two.base + two.offset) * self.factor
        grid = Grid(1, np.zeros_like(one.base), unit, offset, np.zeros(one.channels))
        layout = plain_layout(builder.tensors[name].shape)
        return Value(name, layout, replace(grid, noise=_noise(builder, name, grid, (one, two))))


def _noise(builder: Builder, name: str, grid: Grid, parts: tuple[Grid, Grid]) -> NDArray:
    bounds = builder.bounds[name]
    operands = parts[0].noise + parts[1].noise
    if not operands.any() and not represented(grid, bounds.low, bounds.high).noise.any():
        return operands
    return operands + 2.0**-24 * (grid.largest(bounds.low, bounds.high) + operands)


def _multiplied(builder: Builder, value: Value, factors: Ints, owner: str) -> Value:
    """The value as codes that are ``factors`` times larger, channel by channel."""
    grid, bounds = value.grid, builder.bounds[value.tensor]
    assert grid is not None
    key = value.tensor, "times", factors.tobytes()
    if key not in builder.moved:
        ends = np.stack([bounds.low, bounds.high]) * factors
        name = builder.names.unique(f"{value.tensor}_scaled")
        limits = int(ends.min()), int(ends.max())
        node = Requantize(name, (value.tensor,), ANY, factors, np.zeros_like(factors), 0, *limits)
        builder.moved[key] = builder.add_node(node, owner, builder.signs[value.tensor]).name
    scaled = replace(grid, scale=grid.scale / factors.astype(object), base=grid.base * factors)
    return value.carried_by(builder.moved[key], grid=scaled)


def _approximations(ratio: Fraction) -> Iterator[tuple[int, int]]:
    """Fractions that come closer to ``ratio`` than all simpler ones, numerator and denominator."""
    best = None
    for small in range(1, MAX_SEARCHED + 1):
        if abs(ratio) >= 1:
            pair = round(ratio * small), small
        else:
            pair = (small if ratio > 0 else -small), round(small / abs(ratio))
        if max(abs(pair[0]), pair[1]) > MAX_SEARCHED and best is not None:
            return
        error = abs(Fraction(*pair) / ratio - 1)
        if best is None or error < best:
            best = error
            yield pair
