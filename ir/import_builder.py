"""Grows the integer graph while the importer walks through the model: tensors, inputs and functions of integers."""

import re
from abc import ABC, abstractmethod
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Chain, Step
from .flatten import Flatten
from .graph import Bounds, Input, Ints, IntType, Node, TensorType
from .import_border import Borders
from .import_functions import CodeFunction, falling_channels, fit_rising, fit_table
from .import_input import InputType
from .import_layout import Arrangement, Layout
from .import_names import Names
from .import_values import (
    QUANTIZERS,
    Grid,
    Origin,
    Value,
    apply_affine,
    is_affine,
    is_monotone,
    output_grid,
    represented,
)
from .imported import Function, Join, Product, Quantizer
from .requantize import Requantize

ANY = IntType(62, True)  # until the bounds are known
SMALL_TABLE = 256  # codes up to which a table is simpler than a negation and thresholds


class Lazy(ABC):
    """A node that waits: what the model does after it may be done better before it."""

    @abstractmethod
    def apply(self, builder: "Builder", value: Value, end: int, consumer: str) -> Value:
        """``value`` of this node with its first ``end`` steps done."""

    @abstractmethod
    def make(self, builder: "Builder", value: Value, consumer: str) -> Value:
        """``value`` of this node as integers of the graph, with all its steps still to come."""


class Builder:
    """Nodes, types and reachable bounds so far; a Value's pending steps become a node when a layer needs integers."""

    def __init__(self, input_type: InputType | None) -> None:
        self.names = Names()
        self.nodes: dict[str, Node] = {}
        self.tensors: dict[str, TensorType] = {}
        self.bounds: dict[str, Bounds] = {}
        self.signs: dict[str, Ints] = {}  # -1 where a row of weights was negated, and its codes with it
        self.functions: dict[str, Function] = {}
        self.products: dict[str, Product] = {}
        self.joins: dict[str, Join] = {}
        self.quantizers: dict[str, Quantizer] = {}  # by the quantizer's output in the model
        self.read: set[str] = set()
        self.borders = Borders(input_type)
        self._lazies: dict[str, Lazy] = {}
        self.moved: dict[tuple, str] = {}  # tensors whose order was changed
        self._made: dict[tuple, Value] = {}
        self._counts: dict[str, int] = {}

    # Tensors

    def numbered(self, kind: str) -> str:
        """A free name: the kind and how many of it there are."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self.names.unique(f"{kind}{self._counts[kind]}")

    def layer(self, weights: str, node: str, kind: str) -> str:
        """A name for a layer: that of the module it came from, else the kind and how many of it there are."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self.names.layer(weights, node, f"{kind}{self._counts[kind]}")

    def add_node(self, node: Node, owner: str, signs: Ints | None = None) -> Node:
        """Add ``node`` with the narrowest type that holds its range, or with its own where that is not ANY."""
        try:
            shape = node.shape(*(self.tensors[name] for name in node.inputs))
            bounds = node.bounds(*(self.bounds[name] for name in node.inputs))
        except GraphError as error:
            raise GraphError(f"{owner}: {error}") from None
        if node.result is ANY:
            node = replace(node, result=IntType.of_range(int(bounds.low.min()), int(bounds.high.max())))
        pixels = shape[-1] // bounds.low.size
        self.nodes[node.name] = node
        self.read.update(node.inputs)
        bounds = Bounds(np.tile(bounds.low, pixels), np.tile(bounds.high, pixels))
        self._add_tensor(node.name, TensorType(shape, node.result), bounds)
        if signs is not None:
            self.signs[node.name] = signs
        return node

    def _add_tensor(self, name: str, tensor: TensorType, bounds: Bounds) -> None:
        self.tensors[name], self.bounds[name] = tensor, bounds
        self.signs[name] = np.ones(tensor.channels, dtype=np.int64)

    def logical_bounds(self, tensor: str) -> Bounds:
        """Bounds of the codes as they would be without negated rows."""
        bounds, signs = self.bounds[tensor], self.signs[tensor]
        ends = bounds.low * signs, bounds.high * signs
        return Bounds(np.minimum(*ends), np.maximum(*ends))

    def flatten(self, value: Value) -> Value:
        """The value, without Lazy, as integers of shape (channels,)."""
        if len(value.layout.shape) == 1:
            return value
        assert value.grid is not None
        name = f"{value.tensor}_flat"
        every = np.tile(np.arange(value.layout.channels), value.layout.pixels)
        if name not in self.nodes:
            name = self.names.unique(name)
            flatten = Flatten(name, (value.tensor,), self.tensors[value.tensor].dtype)
            self.add_node(flatten, name, self.signs[value.tensor][every])
        layout = Layout((value.layout.places.size,), value.layout.places)
        return value.carried_by(name, layout=layout, grid=value.grid.take(every))

    # Inputs

    def add_input(self, onnx_name: str, shape: tuple[int, ...], image: Arrangement | None) -> Value:
        return self.borders.add(self.names.port(onnx_name, "x"), onnx_name, shape, image)

    def is_undecided(self, value: Value) -> bool:
        return value.grid is None and self.borders.has(value.tensor)

    def inputs(self) -> tuple[Input, ...]:
        """The inputs that were used, each with the host's conversion."""
        return self.borders.inputs(self.tensors)

    def settle(self, value: Value, consumer: str, arrange: Arrangement | None = None) -> Value:
        """Decide, once for each input, what the host does, how the data lies, and what the codes are."""
        if not self.is_undecided(value):
            return value
        decided, border = self.borders.settle(value, consumer, arrange)
        if value.tensor not in self.tensors:
            tensor = TensorType(border.layout.shape, border.dtype)
            codes = (np.full(tensor.channels, limit) for limit in (border.dtype.low, border.dtype.high))
            self._add_tensor(value.tensor, tensor, Bounds(*codes))
            if border.steps:
                self._note(decided.origins[len(border.steps) - 1], value.tensor, value.tensor, border.grid)
        return decided.after(len(border.steps))

    # Values to integers

    def add_lazy(self, kind: str, lazy: Lazy) -> str:
        name = f"~{kind}{len(self._lazies)}"
        self._lazies[name] = lazy
        return name

    def is_lazy(self, value: Value) -> bool:
        return value.tensor in self._lazies

    def quantize(self, value: Value, consumer: str, arrange: Arrangement | None = None) -> Value:
        """The value without pending steps: up to its last function as nodes, affine steps after it in the grid."""
        if value.host_only:
            raise GraphError(
                f"{consumer}: takes data from {value.host_only}, which only the host can do, after an output"
            )
        value = self.even(self.settle(value, consumer, arrange), consumer)
        curved = [i for i, step in enumerate(value.steps) if not is_affine(step)]
        if curved:
            value = self.apply(value, curved[-1] + 1, consumer)
        value = self.make(value, consumer)
        grid, bounds = value.grid, self.logical_bounds(value.tensor)
        assert grid is not None
        for step, node in zip(value.channel_steps(), value.names, strict=True):
            grid = apply_affine(grid, step, node, bounds.low, bounds.high)
        return Value(value.tensor, value.layout, grid)

    def quantize_output(self, value: Value, consumer: str, arrange: Arrangement | None = None) -> Value:
        """The value with everything up to its last quantizer as nodes; later steps are left to the host."""
        value = self.even(self.settle(value, consumer, arrange), consumer)
        value = self.apply(value, value.quantizers[-1] + 1, consumer) if value.quantizers else value
        return self.make(value, consumer)

    def make(self, value: Value, consumer: str) -> Value:
        """The value as integers of the graph."""
        if value.tensor not in self._lazies:
            return value
        key = (value.tensor,)
        if key not in self._made:
            self._made[key] = self._lazies[value.tensor].make(self, value.until(0), consumer)
        made = self._made[key]
        return value.carried_by(made.tensor, layout=replace(made.layout, places=value.layout.places), grid=made.grid)

    def apply(self, value: Value, end: int, consumer: str) -> Value:
        """The value with its first ``end`` steps as one node."""
        key = value.tensor, *value.key(end)
        if key not in self._made:
            lazy = self._lazies.get(value.tensor)
            if lazy is not None:
                self._made[key] = lazy.apply(self, value.until(end), end, consumer)
                self._note(value.origins[end - 1], value.tensor, self._made[key].tensor, self._made[key].grid)
            else:
                self._made[key] = self._make_function(value.until(end), consumer)
        made = self._made[key]
        rest = value.after(end).carried_by(made.tensor, grid=made.grid)
        return replace(rest, layout=replace(made.layout, places=value.layout.places))

    def even(self, value: Value, consumer: str) -> Value:
        """The value with steps that treat all pixels of its tensor alike: vectors are laid flat where they need it."""
        first = value.uneven()
        if first is None:
            return value
        if sum(size > 1 for size in value.shape) > 1:
            raise GraphError(
                f"{value.names[first]}: its constants differ from pixel to pixel of data of shape {list(value.shape)}; "
                "give one value per channel"
            )
        earlier = value.until(first).quantizers
        if earlier:
            value = self.apply(value, earlier[-1] + 1, consumer)
        return self.flatten(self.make(value, consumer))

    # Functions

    def _make_function(self, value: Value, consumer: str) -> Value:
        """All steps of a value, as one node."""
        assert value.grid is not None
        function, draft, declared = self.function_of(value)
        if value.steps[-1].operator not in QUANTIZERS:
            _check_on_grid(function, draft, consumer)
        if self._changes_nothing(function, draft):
            bounds = self.logical_bounds(value.tensor)
            grid = represented(value.grid, bounds.low, bounds.high)
            self._note(value.origins[-1], value.tensor, value.tensor, grid, draft.result)
            return Value(value.tensor, value.layout, grid)
        name = self.add_function(function, draft, declared)
        grid = self.functions[name].result
        self._note(value.origins[-1], value.tensor, name, grid)
        return Value(name, value.layout, grid)

    def function_of(self, value: Value) -> tuple[CodeFunction, Function, IntType | None]:
        """All steps of a value as a function of its codes, and the type that they declare."""
        assert value.grid is not None
        steps = value.channel_steps()
        result, declared = result_grid(value.grid, steps, value.names)
        draft = Function("", value.tensor, value.grid, self.signs[value.tensor], steps, result)
        monotone = all(map(is_monotone, steps))
        return CodeFunction(value.names[-1], draft, self.bounds[value.tensor], monotone), draft, declared

    def _changes_nothing(self, function: CodeFunction, draft: Function) -> bool:
        """Whether these are codes already on which the steps have no effect."""
        if draft.source in self.products or not function.is_small or (draft.signs < 0).any():
            return False
        codes = function.points()
        reals = draft.reals(codes)
        return np.array_equal(Chain(draft.steps)(reals), reals)

    def add_function(self, function: CodeFunction, draft: Function, declared: IntType | None) -> str:
        name = f"{re.sub(r'_act(_[0-9]+)?$', '', draft.source)}_act"
        node, signs = self.fit(function, name, draft.source, declared)
        for other in self.functions.values():
            if other.source == node.inputs[0] and _are_equal(self.nodes[other.node], node):
                return other.node
        node = self.add_node(replace(node, name=self.names.unique(name)), function.owner)
        bounds = self.bounds[node.name]
        result = represented(draft.result, bounds.low, bounds.high)
        self.functions[node.name] = replace(draft, node=node.name, source=node.inputs[0], signs=signs, result=result)
        return node.name

    def fit(self, function: CodeFunction, name: str, source: str, declared: IntType | None) -> tuple[Node, Ints]:
        """The node, and the signs of the source that it takes, which may be a negated copy of ``source``."""
        falling = falling_channels(function)
        if falling is not None and not falling.any():
            return fit_rising(function, name, source, self.tensors[source].dtype, declared), self.signs[source]
        if falling is None or (function.codes <= SMALL_TABLE and not self.can_negate(source)):
            return fit_table(function, name, source, declared), self.signs[source]
        source = self.negated(source, falling)
        dtype = self.tensors[source].dtype
        return fit_rising(function.negated(falling), name, source, dtype, declared), self.signs[source]

    def negated(self, tensor: str, falling: NDArray) -> str:
        """A tensor with the channels marked negated: rows of weights if it is made of any."""
        if self.can_negate(tensor):
            return self._negate_rows(tensor, falling)
        signs, bounds = np.where(falling, -1, 1), self.bounds[tensor]
        ends = np.stack([bounds.low, bounds.high]) * signs
        name, limits = self.names.unique(f"{tensor}_negated"), (int(ends.min()), int(ends.max()))
        negate = Requantize(name, (tensor,), ANY, signs, np.zeros_like(signs), 0, *limits)
        return self.add_node(negate, name, self.signs[tensor] * signs).name

    def can_negate(self, tensor: str) -> bool:
        """Whether it is made of weights, whose rows can be negated."""
        return hasattr(self.nodes.get(tensor), "weights") and tensor in self.products

    def _negate_rows(self, product: str, falling: NDArray) -> str:
        """The layer with the rows of falling channels negated: itself if nothing reads it yet, else a copy."""
        layer = self.nodes[product]
        name = product if product not in self.read else self.names.unique(f"{product}_negated")
        signs = np.where(falling, -1, 1)
        before, weights = self.signs[product], layer.weights  # type: ignore[attr-defined]
        negated = weights * signs.reshape(-1, *(1,) * (weights.ndim - 1))
        changes = {"name": name, "result": ANY, "weights": negated}
        self.add_node(replace(layer, **changes), name, before * signs)
        self.products[name] = self.products[product]
        return name

    def _note(self, origin: Origin, source: str, tensor: str, grid: Grid | None, own: Grid | None = None) -> None:
        """Remember which integers a quantizer of the model made."""
        if origin.tensor == source and grid is not None:
            layout = Layout(self.tensors[tensor].shape, origin.layout.places)
            self.quantizers.setdefault(origin.output, Quantizer(tensor, grid, layout, own or grid))


def result_grid(grid: Grid, steps: tuple[Step, ...], names: tuple[str, ...]) -> tuple[Grid, IntType | None]:
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


def _are_equal(first: Node, second: Node) -> bool:
    """Whether two nodes compute the same, names aside."""
    return type(first) is type(second) and all(
        np.array_equal(getattr(first, field.name), getattr(second, field.name))
        for field in fields(first)
        if field.name != "name"
    )


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
