"""Float32 functions at the border and between accumulator and quantizer, written with the model's own operators."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import erf

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Step:
    """One operator of the model in float32: ONNX (or QONNX) name, constant operands, attributes.

    ``position`` is the operand that the data takes (1 for ``Sub(constant, x)``). Constants are scalars or broadcast to
    the data's shape without frame axis. Besides ONNX's operators there are two of our own, with constants
    (scale, offset, step, base): ``Dequantize`` gives scale * (step * code + base) + offset, rounded once to float32,
    and ``Codes`` is its inverse, rounded to the nearest integer. And ``Both`` joins the results of two ``branches``,
    each some steps on the same data, by the operator that its attribute names.
    """

    operator: str
    constants: tuple[NDArray, ...] = ()
    attributes: dict[str, int | float | str] = field(default_factory=dict)
    position: int = 0
    branches: tuple[tuple["Step", ...], ...] = ()

    def __post_init__(self) -> None:
        branches = (tuple(Step(**step) if isinstance(step, dict) else step for step in b) for b in self.branches)
        object.__setattr__(self, "branches", tuple(branches))

    def with_constants(self, change: Callable[[NDArray], NDArray]) -> "Step":
        """The step with every constant changed, those of its branches too."""
        branches = tuple(tuple(step.with_constants(change) for step in branch) for branch in self.branches)
        return replace(self, constants=tuple(map(change, self.constants)), branches=branches)

    @property
    def every_constant(self) -> tuple[NDArray, ...]:
        """Its constants and those of its branches."""
        return (*self.constants, *(c for branch in self.branches for step in branch for c in step.every_constant))

    def __call__(self, x: NDArray) -> NDArray:
        if self.operator not in OPERATORS:
            raise GraphError(f"no float32 evaluation of operator {self.operator}")
        return OPERATORS[self.operator](x, self)


@dataclass(frozen=True, eq=False)
class Chain:
    """Steps applied in order to float32 data of shape (frames, *shape), channels last.

    A chain that starts with ``Dequantize`` takes integers. Overflow gives inf, and inf - inf gives NaN, silently, as
    it does where the model runs.
    """

    steps: tuple[Step, ...] = ()

    def __call__(self, values: NDArray) -> Floats:
        if not (self.steps and self.steps[0].operator == "Dequantize"):
            values = np.asarray(values, dtype=np.float32)
        with np.errstate(all="ignore"):
            for step in self.steps:
                values = step(values)
        return values


def _binary(function: Callable) -> Callable[[NDArray, Step], NDArray]:
    def evaluate(x: NDArray, step: Step) -> NDArray:
        constant = np.asarray(step.constants[0], dtype=np.float32)
        return function(x, constant) if step.position == 0 else function(constant, x)

    return evaluate


def _through_double(function: Callable) -> Callable[..., NDArray]:
    """Round once from float64: what the run-times' own approximations of a function approximate."""

    def evaluate(*operands: NDArray) -> NDArray:
        return np.asarray(function(*(operand.astype(np.float64) for operand in operands))).astype(np.float32)

    return evaluate


def _clip(x: NDArray, step: Step) -> NDArray:
    low, high = (np.asarray(limit, dtype=np.float32) for limit in step.constants)
    return np.minimum(np.maximum(x, low), high)


def _attribute(step: Step, name: str, default: float) -> np.float32:
    return np.float32(step.attributes.get(name, default))


def _leaky_relu(x: NDArray, step: Step) -> NDArray:
    return np.where(x < 0, x * _attribute(step, "alpha", 0.01), x)


def _elu(x: NDArray, step: Step) -> NDArray:
    return np.where(x < 0, _attribute(step, "alpha", 1.0) * _through_double(np.expm1)(np.minimum(x, 0)), x)


def _hard_sigmoid(x: NDArray, step: Step) -> NDArray:
    slope, offset = _attribute(step, "alpha", 0.2), _attribute(step, "beta", 0.5)
    return np.clip(x * slope + offset, np.float32(0), np.float32(1))


def _batch_normalization(x: NDArray, step: Step) -> NDArray:
    factor, term = batch_normalization_line(step)
    # One rounding, as the fused multiply-add with which PyTorch runs it; onnxruntime rounds the product too.
    return (x.astype(np.float64) * factor + term).astype(np.float32)


def batch_normalization_line(step: Step) -> tuple[Floats, Floats]:
    """The float32 factor and term to which PyTorch and onnxruntime reduce a batch normalization."""
    scale, bias, mean, variance = (np.asarray(c, dtype=np.float32) for c in step.constants)
    inverse = np.float32(1) / np.sqrt(variance + _attribute(step, "epsilon", 1e-5))
    factor = np.asarray(inverse * scale, dtype=np.float32)
    return factor, (bias.astype(np.float64) - mean.astype(np.float64) * factor).astype(np.float32)


def _half_up(x: NDArray) -> NDArray:
    return np.sign(x) * np.floor(np.abs(x) + np.float32(0.5))


def _half_down(x: NDArray) -> NDArray:
    return np.sign(x) * np.ceil(np.abs(x) - np.float32(0.5))


def _dpu(x: NDArray) -> NDArray:
    return np.where((x < 0) & (x - np.floor(x) == 0.5), np.ceil(x), np.round(x))


# Names of qonnx, and those that Brevitas writes.
ROUNDINGS: dict[str, Callable[[NDArray], NDArray]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc,
    "HALF_UP": _half_up,
    "HALF_DOWN": _half_down,
    "DPU": _dpu,
}


def quantizer_range(bits: NDArray, signed: bool, narrow: bool) -> tuple[NDArray, NDArray]:
    """Lowest and highest integer of a QONNX quantizer of ``bits`` bits (float32 arrays, one entry per width)."""
    bits = np.asarray(bits, dtype=np.float64)
    low = -(2.0 ** (bits - 1)) + narrow if signed else np.zeros_like(bits)
    high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - narrow
    return np.asarray(low, dtype=np.float32), np.asarray(high, dtype=np.float32)


def _quant(x: NDArray, step: Step) -> NDArray:
    scale, zero, bits = (np.asarray(constant, dtype=np.float32) for constant in step.constants)
    signed, narrow = bool(step.attributes["signed"]), bool(step.attributes["narrow"])
    y = x / scale + zero
    low, high = quantizer_range(bits, signed, narrow)
    rounded = ROUNDINGS[str(step.attributes["rounding_mode"])](np.minimum(np.maximum(y, low), high))
    if signed:  # of one bit: -1 and +1
        rounded = np.where(bits == 1, np.where(np.isnan(y), y, np.where(y >= 0, 1, -1)), rounded)
    return ((rounded - zero) * scale).astype(np.float32)


def _bipolar_quant(x: NDArray, step: Step) -> NDArray:
    sign = np.where(np.isnan(x), x, np.where(x >= 0, np.float32(1), np.float32(-1)))
    return sign * np.asarray(step.constants[0], dtype=np.float32)


def _trunc(x: NDArray, step: Step) -> NDArray:
    scale, zero, shift, output_scale, low, high = (np.asarray(c, dtype=np.float32) for c in step.constants)
    y = np.round(x / scale + zero) / shift
    y = ROUNDINGS[str(step.attributes["rounding_mode"])](np.minimum(np.maximum(y, low), high))
    return (y - zero / shift) * output_scale


def _dequantize(x: NDArray, step: Step) -> NDArray:
    scale, offset, stride, base = step.constants
    return ((np.asarray(x, dtype=np.float64) * stride + base) * scale + offset).astype(np.float32)


def _codes(x: NDArray, step: Step) -> NDArray:
    scale, offset, stride, base = step.constants
    levels = np.rint((x.astype(np.float64) - offset) / scale)
    return ((levels - base) / stride).astype(np.float32)


def _softmax(x: NDArray, step: Step) -> NDArray:
    axis = int(step.attributes.get("axis", -1))
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _arg_max(x: NDArray, step: Step) -> NDArray:
    axis, keep = int(step.attributes.get("axis", 0)), bool(step.attributes.get("keepdims", 1))
    return x.argmax(axis=axis, keepdims=keep).astype(np.float32)


def _reshape(x: NDArray, step: Step) -> NDArray:
    return x.reshape(len(x), *(int(size) for size in step.constants[0]))


def _transpose(x: NDArray, step: Step) -> NDArray:
    return x.transpose(tuple(int(axis) for axis in step.constants[0]))


def _gather(x: NDArray, step: Step) -> NDArray:
    """Any rearrangement: element i of the result, in C order, is element constants[0][i] of the data."""
    return x.reshape(len(x), -1)[:, step.constants[0]]


def _sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))


def _both(x: NDArray, step: Step) -> NDArray:
    first, second = (Chain(branch)(x) for branch in step.branches)
    return JOINED[str(step.attributes["operator"])](first, second)


def _elu_of(step: Step, default: float) -> tuple[np.float64, np.float64]:
    return np.float64(_attribute(step, "alpha", default)), np.float64(_attribute(step, "gamma", 1.0507009873554805))


def _celu(x: NDArray, step: Step) -> NDArray:
    alpha, _ = _elu_of(step, 1.0)
    curve = alpha * np.expm1(np.minimum(x, 0).astype(np.float64) / alpha)
    return np.where(x < 0, curve, x).astype(np.float32)


def _selu(x: NDArray, step: Step) -> NDArray:
    alpha, gamma = _elu_of(step, 1.6732632423543772)
    x = x.astype(np.float64)
    return (gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)).astype(np.float32)


def _hard_swish(x: NDArray) -> NDArray:
    return x * np.clip(x * np.float32(1 / 6) + np.float32(0.5), np.float32(0), np.float32(1))


JOINED: dict[str, Callable[[NDArray, NDArray], NDArray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
}
OPERATORS: dict[str, Callable[[NDArray, Step], NDArray]] = {
    "Dequantize": _dequantize,
    "Codes": _codes,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(np.divide),
    "Pow": _binary(_through_double(np.power)),
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "PRelu": lambda x, step: np.where(x < 0, x * np.asarray(step.constants[0], dtype=np.float32), x),
    "Neg": lambda x, step: -x,
    "Abs": lambda x, step: np.abs(x),
    "Sign": lambda x, step: np.sign(x),
    "Floor": lambda x, step: np.floor(x),
    "Ceil": lambda x, step: np.ceil(x),
    "Round": lambda x, step: np.round(x),
    "Relu": lambda x, step: np.maximum(x, np.float32(0)),
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "HardSigmoid": _hard_sigmoid,
    "Sigmoid": lambda x, step: _through_double(_sigmoid)(x),
    "Tanh": lambda x, step: _through_double(np.tanh)(x),
    "Exp": lambda x, step: _through_double(np.exp)(x),
    "Log": lambda x, step: _through_double(np.log)(x),
    "Sqrt": lambda x, step: np.sqrt(x),
    "Reciprocal": lambda x, step: np.float32(1) / x,
    "Erf": lambda x, step: _through_double(np.vectorize(erf, otypes=[np.float64]))(x),
    "Softplus": lambda x, step: _through_double(lambda d: np.logaddexp(d, 0))(x),
    "Softsign": lambda x, step: x / (1 + np.abs(x)),
    "Celu": _celu,
    "Selu": _selu,
    "HardSwish": lambda x, step: _hard_swish(x),
    "Both": _both,
    "BatchNormalization": _batch_normalization,
    "Quant": _quant,
    "BipolarQuant": _bipolar_quant,
    "Trunc": _trunc,
    "Softmax": _softmax,
    "LogSoftmax": lambda x, step: np.log(_softmax(x, step)),
    "ArgMax": _arg_max,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Gather": _gather,
}
