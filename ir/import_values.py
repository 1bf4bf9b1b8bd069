"""What the importer knows of a tensor: which integers carry it, on which grid of reals, and the steps to come."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Step, batch_normalization_line, quantizer_range
from .graph import Ints, IntType
from .import_layout import Arrangement, Layout, move_constant, plain_layout

Fractions = NDArray[Any]  # of Fraction objects, so that a chain of scales keeps its exact value

# Operators that put any real onto a known grid.
QUANTIZERS = {"Quant", "BipolarQuant", "Trunc", "Round", "Floor", "Ceil", "Sign"}
AFFINE = {"Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"}
# Operators that mix channels or choose among them: only the host can do them, after an output.
HOST_ONLY = {"Softmax", "LogSoftmax", "ArgMax"}
SHAPED = {*HOST_ONLY, "Reshape", "Transpose"}  # that need the data in the model's shape


def fractions(values: NDArray | float) -> Fractions:
    """The exact value of each float."""
    return np.vectorize(lambda value: Fraction(float(value)), otypes=[object])(np.asarray(values))


@dataclass(frozen=True, eq=False)
class Grid:
    """Per channel, arrays (channels,): the real that a code stands for is scale * (step * code + base) + offset.

    ``noise`` bounds how far the model's float32 value can be from that real.
    """

    step: int
    base: Ints
    scale: Fractions
    offset: Fractions
    noise: NDArray

    @classmethod
    def of(cls, channels: int, scale: Any, *, step: int = 1, base: Any = 0, offset: Any = 0) -> "Grid":
        scales, offsets = (np.broadcast_to(np.asarray(v, dtype=object), (channels,)) for v in (scale, offset))
        bases = np.broadcast_to(np.asarray(base, dtype=np.int64), (channels,))
        return cls(step, bases, scales, offsets, np.zeros(channels))

    @property
    def channels(self) -> int:
        return self.base.size

    def dequantize(self, signs: Ints | int = 1) -> Step:
        """The step from codes (or, where ``signs`` is -1, negated codes) to float32 reals."""
        scale, offset = self.scale.astype(np.float64), self.offset.astype(np.float64)
        return Step("Dequantize", tuple(map(collapse, (scale, offset, self.step * np.asarray(signs), self.base))))

    def codes(self) -> Step:
        """The step from reals on this grid back to codes."""
        scale, offset = self.scale.astype(np.float64), self.offset.astype(np.float64)
        return Step("Codes", tuple(map(collapse, (scale, offset, np.asarray(self.step), self.base))))

    def take(self, channels: Ints) -> "Grid":
        """That of the channels listed."""
        return Grid(self.step, *(v[channels] for v in (self.base, self.scale, self.offset, self.noise)))

    def of_codes(self) -> "Grid":
        """The same with step 1 and base 0."""
        offset = self.offset + self.scale * self.base
        return Grid(1, np.zeros_like(self.base), self.scale * self.step, offset, self.noise)

    def largest(self, low: Ints, high: Ints) -> NDArray:
        """The largest magnitude of the reals of codes ``low`` to ``high``, (channels,)."""
        ends = np.stack([self.dequantize()(codes).astype(np.float64) for codes in (low, high)])
        return np.abs(ends).max(axis=0)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a step comes from: the node, its output, and the tensor and layout of the data that it was applied to."""

    node: str
    output: str
    tensor: str
    layout: Layout


@dataclass(frozen=True, eq=False)
class Value:
    """The model's reals at one of its tensors.

    tensor: the integers of the graph that carry it, or, where ``grid`` is None, a model input whose codes are not
    decided yet or a join of tensors that has not become a node. layout: where its elements lie in that tensor (in an
    undecided input: among the model's own input). steps: what the model applies to the grid's reals since, with
    constants that broadcast to the model's shape; ``origins`` has one entry for each. host_shape: the model's shape
    after steps that only the host can do.
    """

    tensor: str
    layout: Layout
    grid: Grid | None
    steps: tuple[Step, ...] = ()
    origins: tuple[Origin, ...] = ()
    host_shape: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the model's tensor, without batch axis."""
        return self.layout.model_shape if self.host_shape is None else self.host_shape

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(origin.node for origin in self.origins)

    def key(self, count: int) -> tuple[str, ...]:
        """What tells its first ``count`` steps from others on the same tensor."""
        return tuple(origin.output for origin in self.origins[:count])

    def then(self, step: Step, node: str, output: str) -> "Value":
        origin = Origin(node, output, self.tensor, self.layout)
        return replace(self, steps=(*self.steps, step), origins=(*self.origins, origin))

    def after(self, count: int) -> "Value":
        """Without its first ``count`` steps."""
        return replace(self, steps=self.steps[count:], origins=self.origins[count:])

    def until(self, count: int) -> "Value":
        """Without steps but the first ``count``."""
        return replace(self, steps=self.steps[:count], origins=self.origins[:count])

    def with_steps_of(self, other: "Value") -> "Value":
        steps, origins = (*self.steps, *other.steps), (*self.origins, *other.origins)
        return replace(self, steps=steps, origins=origins, host_shape=other.host_shape)

    def carried_by(self, tensor: str, **changes: Any) -> "Value":
        """The same data as other integers."""
        origins = tuple(replace(o, tensor=tensor) if o.tensor == self.tensor else o for o in self.origins)
        return replace(self, tensor=tensor, origins=origins, **changes)

    def moved(self, move: Arrangement) -> "Value":
        """After the model reshaped or transposed it."""
        steps = tuple(step.with_constants(lambda c: move_constant(c, self.shape, move)) for step in self.steps)
        return replace(self, layout=self.layout.moved(move), steps=steps)

    @property
    def host_only(self) -> str | None:
        """The node after which only the host can go on, if any."""
        return next((n for n, step in zip(self.names, self.steps, strict=True) if step.operator in HOST_ONLY), None)

    @property
    def quantizers(self) -> list[int]:
        """Which of its steps are quantizers."""
        return [i for i, step in enumerate(self.steps) if step.operator in QUANTIZERS]

    @property
    def shaped(self) -> int:
        """How many of its steps work on each element alone, whatever the shape of the data."""
        return next((i for i, step in enumerate(self.steps) if step.operator in SHAPED), len(self.steps))

    def uneven(self) -> int | None:
        """The first of those steps whose constants differ among the pixels of the graph's tensor."""
        for index, step in enumerate(self.steps[: self.shaped]):
            if any(self.layout.per_channel(constant) is None for constant in step.every_constant):
                return index
        return None

    def channel_steps(self) -> tuple[Step, ...]:
        """Those steps for data (..., channels) in the order of the graph's channels."""
        steps = self.steps[: self.shaped]
        return tuple(step.with_constants(self._per_channel) for step in steps)

    def in_order(self) -> "Value":
        """As if the model held its data as the graph does."""
        axes = (1,) * (len(self.layout.shape) - 1)
        steps = tuple(
            step.with_constants(lambda c: c if c.ndim == 0 else c.reshape(*axes, -1)) for step in self.channel_steps()
        )
        return replace(self, steps=steps, layout=plain_layout(self.layout.shape))

    def _per_channel(self, constant: NDArray) -> NDArray:
        found = self.layout.per_channel(constant)
        assert found is not None
        return found


def represented(grid: Grid, low: Ints, high: Ints) -> Grid:
    """The grid with the noise of the model computing its reals in float32 from codes ``low`` to ``high``."""
    dyadic = all(value == 0 or Fraction(float(value)) == value for value in (*grid.scale, *grid.offset))
    reach = np.maximum(np.abs(grid.step * low + grid.base), np.abs(grid.step * high + grid.base))
    exact = dyadic and not grid.offset.any() and all(odd_part(s) * int(n) < 2**24 for s, n in zip(grid.scale, reach))
    return replace(grid, noise=np.zeros(grid.channels) if exact else grid.largest(low, high) * 2.0**-23)


def odd_part(scale: Fraction) -> int:
    """The odd factor of a dyadic number: integers below 2**24 / odd_part times it are float32 numbers."""
    return scale.numerator >> ((scale.numerator & -scale.numerator).bit_length() - 1) if scale else 0


def collapse(constant: NDArray) -> NDArray:
    """A scalar where all entries are equal, so that equal channels are seen to be equal."""
    constant = np.asarray(constant)
    return constant.reshape(-1)[0].reshape(()) if constant.size and (constant == constant.flat[0]).all() else constant


def is_affine(step: Step) -> bool:
    return step.operator in AFFINE and not (step.operator == "Div" and step.position == 1)


def is_monotone(step: Step) -> bool:
    """Whether the step is known to rise all the way, or to fall all the way, in every channel."""
    if step.operator in ("Abs", "Pow", "HardSwish", "Reciprocal", "Log", "Sqrt", "Both") or (
        step.operator == "Div" and step.position == 1
    ):
        return False
    if step.operator in ("LeakyRelu", "Elu", "Celu", "Selu") and float(step.attributes.get("alpha", 0.01)) < 0:
        return False
    if step.operator == "PRelu" and (step.constants[0] < 0).any():
        return False
    return step.operator == "Clip" or all(np.isfinite(constant).all() for constant in step.constants)


def apply_affine(grid: Grid, step: Step, node: str, low: Ints, high: Ints) -> Grid:
    """The grid after an affine step, exact in real arithmetic; codes reach from ``low`` to ``high``."""
    factor, term, shift = _line(step, node)
    if any(f == 0 for f in np.ravel(factor)):
        raise GraphError(f"{node}: multiplies by zero; remove the layer or train it again")
    scale, offset = grid.scale * factor, grid.offset * factor + term
    moved = replace(grid, scale=scale, offset=offset)
    magnitude = np.maximum(moved.largest(low, high), np.abs(np.asarray(shift, dtype=np.float64)))
    noise = grid.noise * np.abs(np.asarray(factor, dtype=np.float64)) + _rounding(step) * magnitude
    return replace(moved, noise=np.broadcast_to(noise, (grid.channels,)))


def _line(step: Step, node: str) -> tuple[Any, Any, Any]:
    """factor and term of factor * x + term, and the largest constant that the model adds on the way."""
    one, zero = Fraction(1), Fraction(0)
    if step.operator == "Neg":
        return -one, zero, 0
    if step.operator == "BatchNormalization":
        factor, term = batch_normalization_line(step)
        if not (np.isfinite(factor).all() and np.isfinite(term).all()):
            raise GraphError(f"{node}: overflows float32; train it again with a larger epsilon")
        mean, bias = (step.constants[i].astype(np.float64) for i in (2, 1))
        return fractions(factor), fractions(term), np.abs(mean * factor) + np.abs(bias)
    constant = step.constants[0]
    if not np.isfinite(constant).all():
        raise GraphError(f"{node}: has an infinite constant; clip it")
    exact = fractions(constant)
    match step.operator, step.position:
        case "Add", _:
            return one, exact, constant
        case "Sub", 0:
            return one, -exact, constant
        case "Sub", _:
            return -one, exact, constant
        case "Mul", _:
            return exact, zero, 0
        case _:
            if not np.all(constant):
                raise GraphError(f"{node}: divides by zero; export the model again")
            return one / exact, zero, 0


def _rounding(step: Step) -> float:
    """How many float32 roundings, relative to the largest number around, a step of the model can make."""
    return {"Neg": 0.0, "BatchNormalization": 8.0}.get(step.operator, 1.0) * 2.0**-24


def output_grid(step: Step, channels: int) -> tuple[Grid, IntType | None]:
    """The grid that a quantizer puts its input on, and the type that its codes have by declaration."""
    match step.operator:
        case "BipolarQuant":
            return Grid.of(channels, fractions(step.constants[0]), step=2, base=-1), IntType(1)
        case "Quant":
            return _quant_grid(step, channels)
        case "Trunc":
            _, zero, shift, scale, _, _ = step.constants
            exact = fractions(scale)
            return Grid.of(channels, exact, offset=-fractions(zero / shift) * exact), None
        case _:
            return Grid.of(channels, Fraction(1)), None


def _quant_grid(step: Step, channels: int) -> tuple[Grid, IntType]:
    scale, zero, bits = step.constants
    exact = fractions(scale)
    whole = bool((zero == np.rint(zero)).all())
    base = -zero.astype(np.int64) if whole else np.int64(0)
    offset = Fraction(0) if whole else -fractions(zero) * exact
    if step.attributes["signed"] and (bits == 1).all():
        return Grid.of(channels, exact, step=2, base=base - 1, offset=offset), IntType(1)
    low, high = quantizer_range(bits, bool(step.attributes["signed"]), bool(step.attributes["narrow"]))
    return Grid.of(channels, exact, base=base, offset=offset), IntType.of_range(int(low.min()), int(high.max()))
