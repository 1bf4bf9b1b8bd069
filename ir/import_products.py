"""Dense, Conv2d and ConvTranspose2d out of integer weights and a grid of inputs: one scale for each of their sums."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .graph import Ints, Node
from .import_builder import ANY, Builder
from .import_constants import Quantized
from .import_values import Fractions, Grid, Value, fractions
from .imported import Product, summation_error
from .requantize import Requantize

MAX_RATIO = 1 << 16  # between scales of channels that one sum adds up, and of offsets to scales


@dataclass(frozen=True, eq=False)
class Levels:
    """Inputs as unit * (stride * code + base) + rest, per channel; ``rest`` is 0 where that is exact in integers."""

    stride: int
    base: Ints
    divisor: int
    rest: Fractions  # in units of the channel's scale


def add_product(
    builder: Builder, value: Value, weights: Quantized, make: Callable[[Ints], Node], owner: str, groups: int = 1
) -> tuple[Node, Grid]:
    """The node that ``make`` makes of integer weights (outputs, ..., inputs of a group), and the grid of its sums.

    value: without steps, its channels in the order of the weights.
    """
    grid, source = value.grid, value.tensor
    assert grid is not None
    outputs, inputs = len(weights.integers), weights.integers.shape[-1]
    matrix, rows = _scale_per_output(weights, owner)
    scales = grid.scale.reshape(groups, inputs)
    units = np.array([min(abs(scale) for scale in group) for group in scales], dtype=object)
    ratios = scales / units[:, None]
    group_of = np.arange(outputs) // (outputs // groups)
    spread = (outputs, *(1,) * (matrix.ndim - 2), inputs)
    if (ratios != 1).any():
        matrix = _multiply(matrix, ratios[group_of].reshape(spread), owner, "data")
    levels = whole_levels(grid)
    signs, units = builder.signs[source], units[group_of]
    signed = matrix * signs.reshape(groups, inputs)[group_of].reshape(spread)
    node = builder.add_node(make(signed), owner)
    per_input = matrix.reshape(outputs, -1, inputs).sum(axis=1)  # of all taps
    bases = (per_input * levels.base.reshape(groups, inputs)[group_of]).sum(axis=1)
    rest = levels.rest.reshape(groups, inputs)[group_of].astype(np.float64)
    offset = rows * units * fractions((per_input * rest).sum(axis=1))
    unit = rows * units / levels.divisor
    scale = (rows * units).astype(np.float64)[:, None] / np.abs(scales[group_of].astype(np.float64))
    exact = not levels.rest.any() and not grid.noise.any()
    product = Product(grid, signs, scale, levels.stride, levels.base, unit if exact else None)
    builder.products[node.name] = product
    sums = Grid.of(outputs, unit, step=levels.stride, base=bases, offset=offset)
    return node, replace(sums, noise=_static_noise(builder, product, matrix, source, group_of))


def _static_noise(builder: Builder, product: Product, matrix: Ints, source: str, group_of: Ints) -> NDArray:
    """(outputs,): the largest distance of the model's float32 sums from the exact ones, for any inputs."""
    bounds, grid = builder.logical_bounds(source), product.inputs
    outputs, inputs = len(matrix), matrix.shape[-1]
    largest = grid.largest(bounds.low, bounds.high).reshape(-1, inputs)[group_of]
    noise = grid.noise.reshape(-1, inputs)[group_of]
    magnitudes = np.abs(matrix).reshape(outputs, -1, inputs).sum(axis=1) * product.weight_scale
    terms = matrix[0].size
    return (magnitudes * (summation_error(terms) * (largest + noise) + noise)).sum(axis=1)


def _scale_per_output(weights: Quantized, owner: str) -> tuple[Ints, Fractions]:
    """Weights as integers and their scale per output; scales that differ along a sum move into the integers."""
    outputs, matrix = len(weights.integers), weights.integers
    lowest = weights.scale.reshape(outputs, -1).min(axis=1)
    spread = lowest.reshape(-1, *(1,) * (matrix.ndim - 1))
    if (weights.scale != spread).any():
        matrix = _multiply(matrix, fractions(weights.scale) / fractions(spread), owner, "weights")
    return matrix, fractions(lowest)


def _multiply(matrix: Ints, ratios: Fractions, owner: str, what: str) -> Ints:
    if any(ratio.denominator != 1 or abs(ratio) > MAX_RATIO for ratio in set(ratios.flat)):
        raise GraphError(
            f"{owner}: its {what} have different scales along the inputs that it adds up; give the quantizer of its "
            f"{what} one scale for all inputs"
        )
    return matrix * ratios.astype(np.int64)


def whole_levels(grid: Grid) -> Levels:
    """Offsets that are small fractions of the scale leave no rest; the weighted sum of a rest becomes a constant."""
    shifts = [offset / scale for offset, scale in zip(grid.offset, grid.scale, strict=True)]
    small = all(shift.denominator <= MAX_RATIO and abs(shift) <= 2**30 for shift in set(shifts))
    divisor = lcm(*(shift.denominator for shift in set(shifts))) if small else 0
    if not 0 < divisor <= MAX_RATIO:
        return Levels(grid.step, grid.base, 1, np.array(shifts, dtype=object))
    whole = np.array([int(shift * divisor) for shift in shifts], dtype=np.int64)
    rest = np.full(grid.channels, Fraction(0), dtype=object)
    return Levels(grid.step * divisor, grid.base * divisor + whole, divisor, rest)


def code_of_real(value: Value, builder: Builder, real: Fraction) -> int | None:
    """The code that stands for ``real`` in every channel of a value without steps; None if there is none."""
    grid, dtype = value.grid, builder.tensors[value.tensor].dtype
    assert grid is not None
    codes = ((real - grid.offset) / grid.scale - grid.base) / grid.step * builder.signs[value.tensor]
    found = set(codes.tolist())
    code = Fraction(found.pop())
    return int(code) if not found and code.denominator == 1 and dtype.low <= code <= dtype.high else None


def with_zero(builder: Builder, value: Value, owner: str, *, at_zero: bool = False) -> tuple[Value, int]:
    """A value without steps, one of whose codes is the real 0, and that code; at_zero: which is 0."""
    code = code_of_real(value, builder, Fraction(0))
    if code is not None and not (at_zero and code):
        return value, code
    assert value.grid is not None
    levels = whole_levels(value.grid)
    if levels.rest.any():
        raise GraphError(
            f"{owner}: adds zeros around its data, for which {value.tensor} has no code (its scale is "
            f"{float(value.grid.scale[0]):g}, its offset {float(value.grid.offset[0]):g}); give the quantizer before "
            "it an integer zero point, or pad before that"
        )
    return _as_levels(builder, value, levels, owner), 0


def _as_levels(builder: Builder, value: Value, levels: Levels, owner: str) -> Value:
    """A copy whose code 0 is the real 0."""
    grid = value.grid
    assert grid is not None
    name = f"{value.tensor}_level"
    if name not in builder.nodes:
        name = builder.names.unique(name)
        bounds = builder.bounds[value.tensor]
        factor = levels.stride * builder.signs[value.tensor]
        ends = np.stack([bounds.low, bounds.high]) * factor + levels.base
        limits = int(ends.min()), int(max(ends.max(), 0))
        builder.add_node(Requantize(name, (value.tensor,), ANY, factor, levels.base, 0, *limits), owner)
    whole = replace(Grid.of(grid.channels, grid.scale / levels.divisor), noise=grid.noise)
    return replace(value, tensor=name, grid=whole)
