"""What the importer knows of a tensor: which integers carry it, on which grid of reals, and the steps to come."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Step, batch_normalization_line, quantizer_range
from .graph import Ints, IntType

Fractions = NDArray[Any]  # of Fraction objects, so that a chain of scales keeps its exact value

# Operators that put any real onto a known grid.
QUANTIZERS = {"Quant", "BipolarQuant", "Trunc", "Round", "Floor", "Ceil", "Sign"}
AFFINE = {"Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"}
# Operators that mix channels or choose among them: only the host can do them, after an output.
HOST_ONLY = {"Softmax", "LogSoftmax", "ArgMax"}


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

    def largest(self, low: Ints, high: Ints) -> NDArray:
        """The largest magnitude of the reals of codes ``low`` to ``high``, (channels,)."""
        ends = np.stack([self.dequantize()(codes).astype(np.float64) for codes in (low, high)])
        return np.abs(ends).max(axis=0)


@dataclass(frozen=True, eq=False)
class Value:
    """The model's reals at one of its tensors, shape ``shape`` in the model's own layout without batch axis.

    tensor: the integers of the graph that carry it, in C order of ``shape``; or, where ``grid`` is None, a model input
    whose codes are not decided yet. steps: what the model applies to the grid's reals since, from the ONNX nodes
    ``names``. layout: reshapes and transposes since the model's input, which the host does.
    """

    tensor: str
    shape: tuple[int, ...]
    grid: Grid | None
    steps: tuple[Step, ...] = ()
    names: tuple[str, ...] = ()
    layout: tuple[Step, ...] = ()

    def then(self, step: Step, name: str) -> "Value":
        return replace(self, steps=(*self.steps, step), names=(*self.names, name))

    @property
    def host_only(self) -> str | None:
        """The node after which only the host can go on, if any."""
        return next((n for n, step in zip(self.names, self.steps, strict=True) if step.operator in HOST_ONLY), None)


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


def flat_step(step: Step) -> Step:
    """The step with its constants flattened to (channels,)."""
    return replace(step, constants=tuple(c if c.ndim == 0 else c.reshape(-1) for c in step.constants))


def is_affine(step: Step) -> bool:
    return step.operator in AFFINE and not (step.operator == "Div" and step.position == 1)


def is_monotone(step: Step) -> bool:
    """Whether the step is known to rise all the way, or to fall all the way, in every channel."""
    if step.operator in ("Abs", "Pow") or (step.operator == "Div" and step.position == 1):
        return False
    if step.operator in ("LeakyRelu", "Elu") and float(step.attributes.get("alpha", 0.01)) < 0:
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
