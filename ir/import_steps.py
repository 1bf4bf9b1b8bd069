"""Turns an elementwise ONNX or QONNX node whose other operands are constants into a Step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import ROUNDINGS, Step, quantizer_range
from .import_layout import compact
from .onnx_model import CHANNELS_LAST, attributes_of, describe

PLAIN = {
    *("Relu", "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Reciprocal"),
    *("Erf", "Softplus", "Softsign", "HardSwish"),
}
BINARY = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"}
WITH_ATTRIBUTES = {"LeakyRelu", "Elu", "HardSigmoid", "Celu", "Selu"}
NOTHING = {"Identity", "Dropout", "Cast"}
FLOAT_TYPES = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}


@dataclass(frozen=True, eq=False)
class StepRequest:
    """A node, its operands (None for the data and for absent ones), the data's place and shape without batch axis."""

    node: onnx.NodeProto
    operands: Sequence[NDArray | None]
    position: int
    shape: tuple[int, ...]
    opset: int

    def constant(self, index: int, default: float | None = None) -> NDArray:
        """Operand ``index`` as float32: a scalar, or one axis for each of the data, to which it broadcasts."""
        found = self.operands[index] if index < len(self.operands) else None
        if found is None and default is None:
            raise GraphError(f"{describe(self.node)}: operand {index} is missing; export the model again")
        return self.spread(np.asarray(default if found is None else found, dtype=np.float32))

    def spread(self, array: NDArray) -> NDArray:
        if array.size == 1:
            return array.reshape(())
        full = (1, *self.shape)
        try:
            np.broadcast_to(array, full)
            missing = (1,) * (len(full) - array.ndim)
            return compact(array.reshape(missing + array.shape)[0])
        except ValueError:
            found, needed = list(array.shape), list(full)
            message = f"{describe(self.node)}: its constant of shape {found} does not fit data of shape {needed}"
            raise GraphError(f"{message}; give one value per channel") from None


def step_operators() -> set[str]:
    """The operators of which ``make_step`` makes steps."""
    return PLAIN | BINARY | WITH_ATTRIBUTES | set(_BUILDERS)


def make_step(request: StepRequest) -> Step:
    """The step of an elementwise node; raises GraphError where the node asks for something that has no exact form."""
    operator = request.node.op_type
    if operator in PLAIN:
        return Step(operator)
    if operator in WITH_ATTRIBUTES:
        return Step(operator, attributes=_numbers(request.node))
    if operator in BINARY:
        return _binary(request)
    return _BUILDERS[operator](request)


def check_nothing(node: onnx.NodeProto) -> None:
    """Raise GraphError where an operator of NOTHING would do something."""
    if node.op_type == "Cast" and attributes_of(node)["to"] not in FLOAT_TYPES:
        raise GraphError(f"{describe(node)}: casts data to a type that is not float; put a Quant node instead")


def _numbers(node: onnx.NodeProto) -> dict[str, int | float | str]:
    return {name: value for name, value in attributes_of(node).items() if isinstance(value, int | float | str)}


def _binary(request: StepRequest) -> Step:
    if len(request.operands) != 2:
        raise GraphError(f"{describe(request.node)}: has {len(request.operands)} operands; 2 are possible")
    return Step(request.node.op_type, (request.constant(1 - request.position),), position=request.position)


def _clip(request: StepRequest) -> Step:
    attributes = attributes_of(request.node)
    if request.opset < 11:
        limits = [np.float32(attributes.get(name, sign * np.inf)) for name, sign in (("min", -1), ("max", 1))]
        return Step("Clip", (np.asarray(limits[0]), np.asarray(limits[1])))
    return Step("Clip", (request.constant(1, -np.inf), request.constant(2, np.inf)))


def _batch_normalization(request: StepRequest) -> Step:
    attributes = attributes_of(request.node)
    if attributes.get("training_mode", 0) or len([name for name in request.node.output if name]) > 1:
        raise GraphError(f"{describe(request.node)}: is in training mode; export the model after model.eval()")
    axis = len(request.shape) - 1 if request.node.domain == CHANNELS_LAST else 0
    if len(request.shape) < 1 or any(np.size(c) != request.shape[axis] for c in request.operands[1:] if c is not None):
        raise GraphError(f"{describe(request.node)}: its parameters do not fit data of shape {list(request.shape)}")
    shape = (1, *(size if place == axis else 1 for place, size in enumerate(request.shape)))
    given = (np.asarray(c, dtype=np.float32).reshape(shape) for c in request.operands[1:] if c is not None)
    constants = tuple(map(request.spread, given))
    return Step("BatchNormalization", constants, {"epsilon": float(attributes.get("epsilon", 1e-5))})


def _quant(request: StepRequest) -> Step:
    scale, zero, bits = (request.constant(index) for index in (1, 2, 3))
    _check_scale(request.node, scale)
    if not (np.isfinite(zero).all() and (bits == np.rint(bits)).all() and (bits >= 1).all() and (bits <= 32).all()):
        raise GraphError(
            f"{describe(request.node)}: needs a finite zero point and 1 to 32 bits, has {bits.max():g} bits"
        )
    attributes = attributes_of(request.node)
    flags = {name: int(attributes.get(name, default)) for name, default in (("signed", 1), ("narrow", 0))}
    return Step("Quant", (scale, zero, bits), {**flags, **_rounding(request.node, "ROUND")})


def _bipolar_quant(request: StepRequest) -> Step:
    scale = request.constant(1)
    _check_scale(request.node, scale)
    return Step("BipolarQuant", (scale,))


def _trunc(request: StepRequest) -> Step:
    attributes = attributes_of(request.node)
    scale, zero, input_bits = (request.constant(index) for index in (1, 2, 3))
    mode = _rounding(request.node, "FLOOR")
    if len(request.operands) == 5:  # version 1: the scale stays, the range is whatever comes out
        shift = np.exp2(input_bits - request.constant(4)).astype(np.float32)
        limits = np.asarray(np.float32(-np.inf)), np.asarray(np.float32(np.inf))
        return Step("Trunc", (scale, zero, shift, scale, *limits), mode)
    output_scale = request.constant(4)
    shift = np.exp2(np.round(np.log2(output_scale / scale))).astype(np.float32)
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    limits = quantizer_range(request.constant(5), signed, narrow)
    return Step("Trunc", (scale, zero, shift, output_scale, *limits), mode)


def _softmax(request: StepRequest) -> Step:
    default = 1 if request.opset < 13 else -1
    axis = int(attributes_of(request.node).get("axis", default)) % (len(request.shape) + 1)
    if axis == 0:
        raise GraphError(
            f"{describe(request.node)}: works along axis {axis} of {[1, *request.shape]}; use that of the classes"
        )
    return Step(request.node.op_type, attributes={"axis": axis})


def _prelu(request: StepRequest) -> Step:
    return Step("PRelu", (request.constant(1),))


def _rounding(node: onnx.NodeProto, default: str) -> dict[str, int | float | str]:
    mode = str(attributes_of(node).get("rounding_mode", default)).upper()
    if mode not in ROUNDINGS:
        raise GraphError(f"{describe(node)}: unknown rounding mode {mode}; known are {', '.join(sorted(ROUNDINGS))}")
    return {"rounding_mode": mode}


def _check_scale(node: onnx.NodeProto, scale: NDArray) -> None:
    wrong = scale[~(np.isfinite(scale) & (scale > 0))]
    if wrong.size:
        raise GraphError(f"{describe(node)}: has scale {wrong.flat[0]:g}; a finite scale above 0 is needed")


_BUILDERS: dict[str, Callable[[StepRequest], Step]] = {
    "Clip": _clip,
    "PRelu": _prelu,
    "BatchNormalization": _batch_normalization,
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar_quant,
    "Trunc": _trunc,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
