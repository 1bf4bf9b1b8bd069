"""Handlers of layers with weights: MatMul, Gemm, Conv and ConvTranspose."""

import numpy as np

from ..errors import GraphError
from .chain import Step
from .conv2d import Conv2d
from .conv_transpose import ConvTranspose2d
from .dense import Dense
from .import_builder import ANY, Builder
from .import_call import Call
from .import_constants import Quantized
from .import_layout import Layout, channels_first, channels_last, flat, image_layout
from .import_moves import as_image
from .import_products import add_product, with_zero
from .import_values import Grid, Value
from .import_windows import Geometry
from .onnx_model import CHANNELS_LAST


def mat_mul(call: Call) -> Value:
    position, value = call.data
    if position:
        raise GraphError(f"{call.owner}: multiplies constants by data from the right; swap the operands")
    return _dense(call, value, _transposed(call.weights(2), (1, 0)))


def gemm(call: Call) -> Value:
    position, value = call.data
    if position or call.attributes.get("transA", 0):
        raise GraphError(f"{call.owner}: takes data as its second or transposed operand; swap the operands")
    weights = call.weights(2)
    alpha, beta = (np.float32(call.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    result = _dense(call, value, weights if call.attributes.get("transB", 0) else _transposed(weights, (1, 0)))
    if alpha != 1:
        result = result.then(Step("Mul", (np.asarray(alpha),)), call.owner, call.output)
    bias = call.constant(2)
    return call.add_bias(result, None if bias is None or beta == 0 else bias.astype(np.float32) * beta)


def _dense(call: Call, value: Value, weights: Quantized) -> Value:
    """The products of ``weights`` (outputs, inputs) with the last axis of the model's data."""
    inputs = weights.integers.shape[1]
    if value.shape[-1] != inputs:
        raise GraphError(
            f"{call.owner}: weights take {inputs} inputs, but data of shape {list(value.shape)} comes in; "
            "flatten it or change the layer's in_features"
        )
    vector = value.layout.places.size == inputs
    value = call.builder.quantize(value, call.owner, flat if vector else channels_last)
    if vector:
        value = call.builder.flatten(value)
    elif (value.layout.places.reshape(-1, inputs) // value.layout.channels != _pixels(value, inputs)[:, None]).any():
        value = as_image(call.builder, value, channels_last, call.owner)
    return add_dense(call, value, weights, call.layer_name("fc"))


def _pixels(value: Value, inputs: int) -> np.ndarray:
    """The pixel in which each vector along the last axis of the model's data begins."""
    return value.layout.places.reshape(-1, inputs)[:, 0] // value.layout.channels


def add_dense(call: Call, value: Value, weights: Quantized, name: str) -> Value:
    """A Dense over pixels, each of which holds one vector along the last axis of the model's data, in one order."""
    layout, (outputs, inputs) = value.layout, weights.integers.shape
    rows = layout.places.reshape(-1, inputs) % layout.channels
    if layout.channels != inputs or (rows != rows[0]).any():
        raise GraphError(
            f"{call.owner}: weights take {inputs} inputs, but the graph holds {call.builder.tensors[value.tensor]}; "
            "flatten the data or change the layer's in_features"
        )
    order = np.argsort(rows[0])
    node, grid = add_product(
        call.builder,
        value,
        _picked(weights, order),
        lambda matrix: Dense(name, (value.tensor,), ANY, matrix),
        call.owner,
    )
    places = _pixels(value, inputs)[:, None] * outputs + np.arange(outputs)
    places = places.reshape(*layout.model_shape[:-1], outputs).astype(np.int32)
    return Value(node.name, Layout((*layout.shape[:-1], outputs), places), grid)


def convolve(call: Call) -> Value:
    if call.streams[1:] or call.operands[0] is not call.streams[0]:
        raise GraphError(f"{call.owner}: its weights or bias are data; only constants are possible")
    value, last = call.value, call.node.domain == CHANNELS_LAST
    axes = len(value.shape)
    if axes not in (2, 3):
        raise GraphError(
            f"{call.owner}: takes data of shape {list(value.shape)}; only 1 or 2 axes of pixels are possible"
        )
    weights = call.weights(axes + 1)
    weights = weights if last else _transposed(weights, (0, *range(2, axes + 1), 1))
    if axes == 2:
        weights = _reshaped(weights, (weights.integers.shape[0], 1, *weights.integers.shape[1:]))
    arrange = channels_last if last else channels_first
    groups, channels = int(call.attributes.get("group", 1)), value.shape[-1 if last else 0]
    outputs, *kernel, inputs = weights.integers.shape
    if inputs * groups != channels or outputs % groups:
        raise GraphError(
            f"{call.owner}: weights take {inputs * groups} channels in {groups} groups and give {outputs}, but data of "
            f"shape {list(value.shape)} comes in; change the layer's in_channels, out_channels or groups"
        )
    value = as_image(call.builder, call.builder.quantize(value, call.owner, arrange), arrange, call.owner)
    geometry = Geometry.of(call, tuple(kernel), value.layout.image[:2])
    name, source, pad_value = call.layer_name("conv"), value, 0
    if any(geometry.padding):
        source, pad_value = with_zero(call.builder, value, call.owner)
    inputs_of = (source.tensor,)

    def make(matrix: np.ndarray) -> Dense | Conv2d:
        if geometry.is_point and groups == 1:
            return Dense(name, inputs_of, ANY, matrix.reshape(outputs, inputs))
        around = geometry.stride, geometry.dilation, geometry.padding, pad_value, groups
        return Conv2d(name, inputs_of, ANY, matrix, *around)

    node, grid = add_product(call.builder, source, weights, make, call.owner, groups)
    return call.add_bias(_image_value(call.builder, node.name, value, grid, last), _bias(call, axes, last))


def _image_value(builder: Builder, name: str, source: Value, grid: Grid, last: bool) -> Value:
    """The new image ``name``, held by the model as it holds ``source``."""
    arrange = channels_last if last else channels_first
    return Value(name, image_layout(builder.tensors[name].shape, source.layout.places, arrange), grid)


def _bias(call: Call, axes: int, last: bool) -> np.ndarray | None:
    bias = call.constant(2)
    return bias if bias is None or last else bias.reshape(-1, *(1,) * (axes - 1))


def convolve_transposed(call: Call) -> Value:
    value = call.value
    axes = len(value.shape)
    if (
        call.attributes.get("group", 1) != 1
        or any(d != 1 for d in call.attributes.get("dilations", [1]))
        or axes not in (2, 3)
    ):
        raise GraphError(f"{call.owner}: has groups, dilation or other than 1 or 2 axes of pixels; none is possible")
    weights = _transposed(call.weights(axes + 1), (1, *range(2, axes + 1), 0))
    if axes == 2:
        weights = _reshaped(weights, (weights.integers.shape[0], 1, *weights.integers.shape[1:]))
    value = as_image(call.builder, call.builder.quantize(value, call.owner, channels_first), channels_first, call.owner)
    kernel = tuple(weights.integers.shape[1:3])
    geometry, extra = Geometry.transposed(call, kernel, value.layout.image[:2])
    if weights.integers.shape[3] != value.layout.channels:
        raise GraphError(
            f"{call.owner}: weights take {weights.integers.shape[3]} channels, but data of shape {list(value.shape)} "
            "comes in; change the layer's in_channels"
        )
    # Pixels at the border get fewer products than others, which is as if the missing ones were 0.
    source, _ = with_zero(call.builder, value, call.owner, at_zero=True)
    name = call.layer_name("deconv")
    node, grid = add_product(
        call.builder,
        source,
        weights,
        lambda matrix: ConvTranspose2d(name, (source.tensor,), ANY, matrix, geometry.stride, geometry.padding, extra),
        call.owner,
    )
    return call.add_bias(_image_value(call.builder, node.name, value, grid, False), _bias(call, axes, False))


def _transposed(weights: Quantized, order: tuple[int, ...]) -> Quantized:
    return Quantized(*(part.transpose(order) for part in _parts(weights)))


def _reshaped(weights: Quantized, shape: tuple[int, ...]) -> Quantized:
    return Quantized(*(part.reshape(shape) for part in _parts(weights)))


def _picked(weights: Quantized, columns: np.ndarray) -> Quantized:
    return Quantized(*(part[:, columns] for part in _parts(weights)))


def _parts(weights: Quantized) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return weights.values, weights.integers, np.broadcast_to(weights.scale, weights.integers.shape)
