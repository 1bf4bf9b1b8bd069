"""Grows the integer graph while the importer walks through the model: inputs, dense layers and their functions."""

from dataclasses import replace
from fractions import Fraction
from math import lcm, prod

import numpy as np

from ..errors import GraphError
from .chain import Chain, Step
from .dense import Dense
from .graph import Bounds, Input, Ints, IntType, Node, TensorType
from .import_constants import Quantized
from .import_functions import CodeFunction, falling_channels, fit_rising, fit_table
from .import_input import EXAMPLES, InputType
from .import_names import Names
from .import_values import (
    QUANTIZERS,
    Fractions,
    Grid,
    Value,
    apply_affine,
    flat_step,
    fractions,
    is_affine,
    is_monotone,
    output_grid,
    represented,
)
from .imported import Function, Product

MAX_RATIO = 1 << 16  # between scales of channels that one sum adds up, and of offsets to scales


class Builder:
    """Nodes, types and reachable bounds so far; a Value's pending steps become a node when a layer needs integers."""

    def __init__(self, input_type: InputType | None) -> None:
        self.names = Names()
        self.nodes: dict[str, Node] = {}
        self.types: dict[str, IntType] = {}
        self.bounds: dict[str, Bounds] = {}
        self.signs: dict[str, Ints] = {}
        self.functions: dict[str, Function] = {}
        self.products: dict[str, Product] = {}
        self.quantized: dict[str, Grid] = {}
        self._input_type = input_type
        self._shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._border: dict[str, tuple[tuple[str, ...], tuple[Step, ...], Grid, tuple[Step, ...]]] = {}
        self._made: dict[tuple[str, tuple[str, ...]], Value] = {}
        self._read: set[str] = set()

    # Inputs

    def add_input(self, onnx_name: str, shape: tuple[int, ...]) -> Value:
        name = self.names.port(onnx_name, "x")
        self._shapes[name] = onnx_name, shape
        if self._input_type is None:
            return Value(name, shape, None)
        grid = self._input_type.grid(prod(shape))
        self._add_tensor(name, self._input_type.dtype, _all_codes(self._input_type.dtype, prod(shape)))
        return Value(name, shape, represented(grid, self.bounds[name].low, self.bounds[name].high))

    def is_input(self, tensor: str) -> bool:
        return tensor in self._shapes

    def inputs(self) -> tuple[Input, ...]:
        """The inputs that were used, each with the host's conversion."""
        return tuple(self._input(name) for name in self._shapes if name in self._border)

    def _input(self, name: str) -> Input:
        (_, layout, grid, steps), shape = self._border[name], self._shapes[name][1]
        if shape != (grid.channels,):
            layout = (Step("Reshape", (np.array(shape),)), *layout)
        chain = Chain((*layout, *steps, grid.codes(), Step("Reshape", (np.array([grid.channels]),))))
        return Input(name, TensorType((grid.channels,), self.types[name]), shape, chain)

    def _settle(self, value: Value, consumer: str) -> Value:
        """Decide, once for each input, what the host does and what the codes are."""
        if not self.is_input(value.tensor):
            return value
        if value.tensor not in self._border:
            self._border[value.tensor] = self._choose_border(value, consumer)
        names, layout, grid, _ = self._border[value.tensor]
        same_layout = len(layout) == len(value.layout) and all(
            a.operator == b.operator and np.array_equal(a.constants[0], b.constants[0])
            for a, b in zip(layout, value.layout, strict=False)
        )
        if value.names[: len(names)] != names or not same_layout:
            raise GraphError(
                f"{consumer}: input {self._shapes[value.tensor][0]} reaches it by another quantizer or reshape than "
                "other layers; share one, or give the raw integers that come in with --input-type"
            )
        return replace(value, grid=grid, steps=value.steps[len(names) :], names=value.names[len(names) :])

    def _choose_border(
        self, value: Value, consumer: str
    ) -> tuple[tuple[str, ...], tuple[Step, ...], Grid, tuple[Step, ...]]:
        if value.grid is not None:
            return (), value.layout, value.grid, ()
        quantizers = [i for i, step in enumerate(value.steps) if step.operator in QUANTIZERS]
        grid, declared = output_grid(value.steps[quantizers[-1]], prod(value.shape)) if quantizers else (None, None)
        if grid is None or declared is None:
            raise GraphError(
                f"input {self._shapes[value.tensor][0]} has no quantizer before {consumer}; say which integers come in "
                f"with --input-type, for example {EXAMPLES}"
            )
        end = quantizers[-1] + 1
        bounds = _all_codes(declared, prod(value.shape))
        self._add_tensor(value.tensor, declared, bounds)
        grid = represented(grid, bounds.low, bounds.high)
        self.quantized[value.tensor] = grid
        return value.names[:end], value.layout, grid, value.steps[:end]

    # Layers

    def dense(self, value: Value, weights: Quantized, name: str, node: str) -> Value:
        """The products of ``weights`` (outputs, inputs) with a value of shape (inputs,)."""
        value = self.quantize(value, node)
        grid = value.grid
        assert grid is not None
        matrix, rows, scale, noise = _common_scale(weights, grid, node)
        stride, bases, unit, rest = _whole_offsets(grid, scale)
        self._read.add(value.tensor)
        self._add_dense(name, value.tensor, matrix * self.signs[value.tensor], node)
        inputs = replace(Grid.of(grid.channels, unit, step=stride, base=bases, offset=rest), noise=noise)
        self.products[name] = Product(inputs, self.signs[value.tensor], rows.astype(np.float64))
        offset = rows * fractions(matrix @ rest.astype(np.float64))
        sums = Grid.of(len(matrix), rows * unit, step=stride, base=matrix @ bases, offset=offset)
        bounds = self.logical_bounds(value.tensor)
        return Value(
            name, (len(matrix),), replace(sums, noise=self.products[name].noise(matrix, bounds.low, bounds.high))
        )

    def _add_dense(self, name: str, source: str, matrix: Ints, node: str) -> None:
        try:
            dense = Dense(name, (source,), IntType(62, True), matrix)
            bounds = dense.bounds(self.bounds[source])
        except GraphError as error:
            raise GraphError(f"{node}: {error}") from None
        result = IntType.of_range(int(bounds.low.min()), int(bounds.high.max()))
        self.nodes[name] = replace(dense, result=result)
        self._add_tensor(name, result, bounds)

    def quantize(self, value: Value, consumer: str) -> Value:
        """The value without pending steps: up to its last function as a node, affine steps after it in the grid."""
        if value.host_only:
            raise GraphError(
                f"{consumer}: takes data from {value.host_only}, which only the host can do, after an output"
            )
        value = self._settle(value, consumer)
        curved = [i for i, step in enumerate(value.steps) if not is_affine(step)]
        if curved:
            value = self._apply(value, curved[-1] + 1, consumer)
        grid, bounds = value.grid, self.logical_bounds(value.tensor)
        assert grid is not None
        for step, node in zip(value.steps, value.names, strict=True):
            grid = apply_affine(grid, flat_step(step), node, bounds.low, bounds.high)
        return Value(value.tensor, value.shape, grid)

    def quantize_output(self, value: Value, consumer: str) -> Value:
        """The value with everything up to its last quantizer as nodes; later steps are left to the host."""
        value = self._settle(value, consumer)
        quantizers = [i for i, step in enumerate(value.steps) if step.operator in QUANTIZERS]
        return self._apply(value, quantizers[-1] + 1, consumer) if quantizers else value

    def logical_bounds(self, tensor: str) -> Bounds:
        """Bounds of the codes as they would be without negated rows."""
        bounds, signs = self.bounds[tensor], self.signs[tensor]
        ends = bounds.low * signs, bounds.high * signs
        return Bounds(np.minimum(*ends), np.maximum(*ends))

    # Functions

    def _apply(self, value: Value, end: int, consumer: str) -> Value:
        """The first ``end`` steps as one node."""
        key = value.tensor, value.names[:end]
        if key not in self._made:
            self._made[key] = self._make_function(value, end, consumer)
        return replace(self._made[key], shape=value.shape, steps=value.steps[end:], names=value.names[end:])

    def _make_function(self, value: Value, end: int, consumer: str) -> Value:
        assert value.grid is not None
        steps, names = tuple(map(flat_step, value.steps[:end])), value.names[:end]
        result, declared = _result_grid(value.grid, steps, names)
        draft = Function("", value.tensor, value.grid, self.signs[value.tensor], steps, result)
        function = CodeFunction(names[-1], draft, self.bounds[value.tensor], all(map(is_monotone, steps)))
        if steps[-1].operator not in QUANTIZERS:
            _check_on_grid(function, draft, consumer)
        name = self.names.unique(f"{value.tensor}_act")
        node, signs = self._fit(function, name, value.tensor, declared)
        self._read.add(node.inputs[0])
        self.nodes[name] = node
        bounds = node.bounds(self.bounds[node.inputs[0]])
        self._add_tensor(name, node.result, bounds)
        result = represented(result, bounds.low, bounds.high)
        self.functions[name] = Function(name, node.inputs[0], value.grid, signs, steps, result)
        self.quantized[name] = result
        return Value(name, value.shape, result)

    def _fit(self, function: CodeFunction, name: str, source: str, declared: IntType | None) -> tuple[Node, Ints]:
        """The node, and the signs of the source that it takes, which may be a negated copy of ``source``."""
        falling = falling_channels(function)
        dense = self.nodes.get(source)
        if falling is not None and not falling.any():
            return fit_rising(function, name, source, self.types[source], declared), self.signs[source]
        if falling is None or not isinstance(dense, Dense):
            return fit_table(function, name, source, declared), self.signs[source]
        source = self._negate(dense, falling)
        return fit_rising(function.negated(falling), name, source, self.types[source], declared), self.signs[source]

    def _negate(self, dense: Dense, falling: np.ndarray) -> str:
        """The dense layer with the rows of falling channels negated: itself if nothing reads it yet, else a copy."""
        name = dense.name if dense.name not in self._read else self.names.unique(f"{dense.name}_negated")
        signs = np.where(falling, -1, 1)
        before = self.signs[dense.name]
        self._add_dense(name, dense.inputs[0], dense.weights * signs[:, None], name)
        self.signs[name] = before * signs
        self.products[name] = self.products[dense.name]
        return name

    def _add_tensor(self, name: str, dtype: IntType, bounds: Bounds) -> None:
        self.types[name], self.bounds[name] = dtype, bounds
        self.signs[name] = np.ones(bounds.low.size, dtype=np.int64)


def _all_codes(dtype: IntType, channels: int) -> Bounds:
    return Bounds(np.full(channels, dtype.low), np.full(channels, dtype.high))


def _result_grid(grid: Grid, steps: tuple[Step, ...], names: tuple[str, ...]) -> tuple[Grid, IntType | None]:
    """The grid on which the steps put their result, and its type where a quantizer that ends them declares it."""
    quantizers = [i for i, step in enumerate(steps) if step.operator in QUANTIZERS]
    declared = None
    if quantizers:
        grid, declared = output_grid(steps[quantizers[-1]], grid.channels)
    start = quantizers[-1] + 1 if quantizers else 0
    if start < len(steps):  # what follows may reach every integer level, not only codes
        grid = Grid.of(grid.channels, grid.scale, offset=grid.offset)
    zero = np.zeros(grid.channels, dtype=np.int64)
    for step, name in zip(steps[start:], names[start:], strict=True):
        grid = apply_affine(grid, step, name, zero, zero) if is_affine(step) else grid
    return grid, declared if start == len(steps) else None


def _check_on_grid(function: CodeFunction, draft: Function, consumer: str) -> None:
    """Raise GraphError unless what the steps give is exactly on the result's grid, for every code."""
    source, last = draft.source, function.owner
    found = f"{consumer}: {source} reaches it through {last}, whose results are not integers of one known scale"
    if not function.is_small:
        raise GraphError(f"{found}; put a quantizer after it")
    codes = function.points()
    reals = Chain(draft.steps)(draft.reals(codes))
    if not np.array_equal(Chain((draft.result.dequantize(),))(draft(codes)), reals):
        raise GraphError(f"{found}; put a quantizer after it")


def _common_scale(weights: Quantized, grid: Grid, node: str) -> tuple[Ints, Fractions, Fraction, np.ndarray]:
    """Weights as integers, their scale per output, the inputs' one scale, and the inputs' noise in units of it.

    Scales that differ among the inputs of a sum move into the integers, if they are whole multiples of the smallest.
    """
    lowest = weights.scale.min(axis=1)
    unit = min(abs(scale) for scale in grid.scale)
    ratios = np.array([scale / unit for scale in grid.scale], dtype=object)
    per_input = np.ones(weights.scale.shape[1], dtype=object) * ratios
    matrix = weights.integers
    if (weights.scale != lowest[:, None]).any():
        matrix = _multiply(matrix, fractions(weights.scale) / fractions(lowest)[:, None], node, "weights")
    if (per_input != 1).any():
        matrix = _multiply(matrix, per_input[None, :], node, "data")
    noise = grid.noise / np.abs(ratios.astype(np.float64))
    return matrix, fractions(lowest), unit, noise


def _multiply(matrix: Ints, ratios: Fractions, node: str, what: str) -> Ints:
    if any(ratio.denominator != 1 or abs(ratio) > MAX_RATIO for ratio in ratios.flat):
        raise GraphError(
            f"{node}: its {what} have different scales along the inputs that it adds up; give the quantizer of its "
            f"{what} one scale for all inputs"
        )
    return matrix * ratios.astype(np.int64)


def _whole_offsets(grid: Grid, unit: Fraction) -> tuple[int, Ints, Fraction, Fractions]:
    """stride, base, unit and rest, so that, after division by ratios, inputs are unit * (stride * code + base) + rest.

    Offsets that are small fractions of the unit leave no rest; the weighted sum of a rest becomes a constant.
    """
    shifts = [offset / scale for offset, scale in zip(grid.offset, grid.scale, strict=True)]
    if any(shift.denominator > MAX_RATIO or abs(shift) > 2**30 for shift in shifts):
        return grid.step, grid.base, unit, np.array(shifts, dtype=object) * unit
    denominator = lcm(*(shift.denominator for shift in set(shifts)))
    if denominator > MAX_RATIO:
        return grid.step, grid.base, unit, np.array(shifts, dtype=object) * unit
    whole = np.array([int(shift * denominator) for shift in shifts], dtype=np.int64)
    rest = np.full(grid.channels, Fraction(0), dtype=object)
    return grid.step * denominator, grid.base * denominator + whole, unit / denominator, rest
