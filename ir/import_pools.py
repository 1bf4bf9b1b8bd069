"""Handlers of pooling: the largest value of a window, or its mean, whose divisor goes into the scale of the sum."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Chain
from .import_builder import ANY, Builder, Lazy
from .import_call import Call
from .import_layout import Arrangement, Layout, channels_first, channels_last, image_layout, plain_layout
from .import_moves import as_image, image_with_steps
from .import_products import with_zero
from .import_values import Value
from .import_windows import Geometry, pooled_kernel
from .imported import Product, summation_error
from .max_pool import MaxPool2d
from .onnx_model import CHANNELS_LAST
from .sum_pool import SumPool2d
from .windows import NO_PADDING, Pair, count_windows


def max_pool(call: Call) -> Value:
    """Pending steps that rise stay pending: the pool can come after them, on fewer bits, or before them."""
    if any(d != 1 for d in call.attributes.get("dilations", [1])) or len([n for n in call.node.output if n]) > 1:
        raise GraphError(f"{call.owner}: has dilation or gives indices; neither is possible")
    arrange = channels_last if call.node.domain == CHANNELS_LAST else channels_first
    return _max_pool(call, arrange, pooled_kernel(call))


def global_max_pool(call: Call) -> Value:
    return _max_pool(call, channels_first, None)


def _max_pool(call: Call, arrange: Arrangement, kernel: Pair | None) -> Value:
    builder, owner = call.builder, call.owner
    value = image_with_steps(builder, builder.settle(call.value, owner, arrange), arrange, owner)
    value = _rising(builder, value, owner)
    height, width, channels = value.layout.shape
    pool = kernel or (height, width)
    geometry = Geometry.of(call, pool, (height, width)) if kernel else Geometry(pool, (1, 1), (1, 1), NO_PADDING)
    size = count_windows(owner, (height, width), pool, geometry.stride, (1, 1), geometry.padding)
    builder.read.add(value.tensor)  # from now on its sign counts
    name = builder.add_lazy("pool", LazyMaxPool(value.until(0), geometry, owner))
    return replace(value, tensor=name, layout=image_layout((*size, channels), value.layout.places, arrange))


@dataclass(frozen=True, eq=False)
class LazyMaxPool(Lazy):
    """The largest codes of windows on ``value``, which has no steps."""

    value: Value
    geometry: Geometry
    owner: str

    def apply(self, builder: Builder, value: Value, end: int, consumer: str) -> Value:
        inner = self.value.in_order().with_steps_of(value.in_order())
        falls = _falling(builder, inner)
        if falls is None or falls.any():
            return builder.apply(builder.make(value, consumer), end, consumer)
        return self._pool(builder, builder.apply(inner, end, consumer))

    def make(self, builder: Builder, value: Value, consumer: str) -> Value:
        return self._pool(builder, self.value)

    def _pool(self, builder: Builder, value: Value) -> Value:
        around = self.geometry.kernel, self.geometry.stride, self.geometry.padding
        dtype = builder.tensors[value.tensor].dtype
        node = MaxPool2d(builder.numbered("pool"), (value.tensor,), dtype, *around)
        builder.add_node(node, self.owner, builder.signs[value.tensor])
        return Value(node.name, plain_layout(builder.tensors[node.name].shape), value.grid)


def _rising(builder: Builder, value: Value, owner: str) -> Value:
    """The value in a tensor whose codes rise with the reals that its steps give."""
    falls = None if builder.is_lazy(value) else _falling(builder, value)
    if falls is None:
        value = builder.quantize_output(value, owner)
        falls = _falling(builder, value)
    if falls is None:
        raise GraphError(
            f"{owner}: takes the largest results of {value.names[-1]}, which neither rises nor falls all the way; put "
            "a quantizer between them"
        )
    if not falls.any():
        return value
    return value.carried_by(builder.negated(value.tensor, falls))


def _falling(builder: Builder, value: Value) -> NDArray | None:
    """Which channels of the graph's tensor fall, by the reals that the steps give; None if some channel turns."""
    grid, signs, bounds = value.grid, builder.signs[value.tensor], builder.bounds[value.tensor]
    assert grid is not None
    if not value.steps:
        return np.asarray((grid.scale < 0) != (signs < 0))
    function, draft, _ = builder.function_of(value)
    if not function.is_small and not function.monotone:
        return None
    points = function.points() if function.is_small else np.stack([bounds.low, bounds.high])
    slopes = np.diff(Chain(draft.steps)(draft.reals(points)), axis=0)
    falls, rises = (slopes < 0).any(axis=0), (slopes > 0).any(axis=0)
    return None if (falls & rises).any() else np.asarray(falls)


def average_pool(call: Call) -> Value:
    value = _image(call)
    kernel, size = pooled_kernel(call), value.layout.image[:2]
    geometry = Geometry.of(call, kernel, size)
    if call.attributes.get("ceil_mode", 0):
        floored = Geometry.of(call, kernel, size, ceil_mode=False)
        if _count(call, floored, size) != _count(call, geometry, size):
            raise GraphError(f"{call.owner}: has windows that reach beyond its padding; set ceil_mode=False")
        geometry = floored
    if any(d != 1 for d in call.attributes.get("dilations", [1])):
        raise GraphError(f"{call.owner}: has dilation, which is not possible")
    if any(geometry.padding):
        if not call.attributes.get("count_include_pad", 0):
            raise GraphError(
                f"{call.owner}: divides by fewer pixels at the border; set count_include_pad=True or padding=0"
            )
        value, _ = with_zero(call.builder, value, call.owner, at_zero=True)
    result = _sum(call, value, geometry, mean=True)
    layout = image_layout(call.builder.tensors[result.tensor].shape, value.layout.places, channels_first)
    return replace(result, layout=layout)


def _count(call: Call, geometry: Geometry, size: Pair) -> Pair:
    return count_windows(call.owner, size, geometry.kernel, geometry.stride, (1, 1), geometry.padding)


def global_average_pool(call: Call) -> Value:
    value = _image(call)
    result = _sum(call, value, _everything(value), mean=True)
    layout = image_layout((1, 1, value.layout.channels), value.layout.places, channels_first)
    return replace(result, layout=layout)


def _image(call: Call) -> Value:
    return as_image(
        call.builder, call.builder.quantize(call.value, call.owner, channels_first), channels_first, call.owner
    )


def _everything(value: Value) -> Geometry:
    height, width, _ = value.layout.shape
    return Geometry((height, width), (1, 1), (1, 1), NO_PADDING)


def reduce_pixels(call: Call) -> Value:
    """ReduceMean and ReduceSum over all pixels, wherever the model has its channels."""
    value, axes = call.value, _reduced_axes(call)
    last = len(value.shape) not in axes
    value = call.builder.quantize(value, call.owner, channels_last if last else channels_first)
    kept = [axis for axis in range(len(value.shape)) if axis + 1 not in axes]
    places = value.layout.places.transpose(*kept, *(axis - 1 for axis in axes))
    rows = places.reshape(-1, value.layout.pixels) if places.size % value.layout.pixels == 0 else places.reshape(1, -1)
    channels = rows[:, 0] % value.layout.channels
    each_is_a_channel = (rows % value.layout.channels == channels[:, None]).all()
    if len(value.layout.shape) != 3 or len(rows) != value.layout.channels or not each_is_a_channel:
        raise GraphError(
            f"{call.owner}: reduces axes {axes} of data of shape {[1, *value.shape]}; only all pixels of each channel "
            "together are possible"
        )
    result = _sum(call, value, _everything(value), mean=call.operator == "ReduceMean")
    keep = call.attributes.get("keepdims", 1)
    shape = [1 if axis + 1 in axes else size for axis, size in enumerate(value.shape) if keep or axis + 1 not in axes]
    return replace(result, layout=Layout(result.layout.shape, channels.reshape(shape).astype(np.int32)))


def _reduced_axes(call: Call) -> list[int]:
    """Sorted, with the batch axis as 0."""
    given = call.integers(1) if len(call.operands) > 1 else call.attributes.get("axes")
    rank = len(call.value.shape) + 1
    axes = sorted(int(axis) % rank for axis in given or range(rank))
    if 0 in axes:
        raise GraphError(f"{call.owner}: reduces the batch axis; give it the axes of the pixels")
    return axes


def _sum(call: Call, value: Value, geometry: Geometry, *, mean: bool) -> Value:
    """The sum of each window of a value without steps, as a mean if wanted, in the graph's order."""
    builder, grid = call.builder, value.grid
    assert grid is not None
    around = geometry.kernel, geometry.stride, geometry.padding
    node = SumPool2d(builder.numbered("pool"), (value.tensor,), ANY, *around)
    signs, bounds = builder.signs[value.tensor], builder.logical_bounds(value.tensor)
    builder.add_node(node, call.owner, signs)
    pixels = geometry.kernel[0] * geometry.kernel[1]
    factor = 1 if mean else pixels
    weight = np.full((grid.channels, 1), factor / pixels)
    builder.products[node.name] = Product(grid, signs, weight, grid.step, grid.base, None)
    noise = summation_error(pixels) * (grid.largest(bounds.low, bounds.high) + grid.noise) + grid.noise
    pooled = replace(
        grid,
        scale=grid.scale * factor / pixels,
        base=grid.base * pixels,
        offset=grid.offset * factor,
        noise=noise * factor,
    )
    return Value(node.name, plain_layout(builder.tensors[node.name].shape), pooled)
