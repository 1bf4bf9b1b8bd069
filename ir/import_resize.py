"""Handlers that change the size of images: nearest-neighbour upsampling by whole factors, and padding."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ..errors import GraphError
from .import_builder import Builder, Lazy
from .import_call import Call
from .import_layout import Arrangement, channels_first, channels_last, image_layout, plain_layout
from .import_moves import as_image, image_with_steps
from .import_products import code_of_real, with_zero
from .import_values import Value
from .pad import Pad
from .upsample import Upsample2d
from .windows import Pair

COORDINATES = {
    "asymmetric": lambda i, f: i / f,
    "half_pixel": lambda i, f: (i + 0.5) / f - 0.5,
    "pytorch_half_pixel": lambda i, f: (i + 0.5) / f - 0.5,
}
NEAREST = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}


def resize(call: Call) -> Value:
    """Steps that come before stay pending: they are done on the smaller image."""
    value, builder, owner = call.value, call.builder, call.owner
    factors = _factors(call)
    last = len(factors) > 1 and factors[-1] == 1 and factors[0] != 1
    arrange = channels_last if last else channels_first
    pixels = factors[:-1] if last else factors[1:]
    if factors[-1 if last else 0] != 1 or len(pixels) not in (1, 2):
        raise GraphError(f"{owner}: resizes by {factors}; only pixels, of 1 or 2 axes, can be resized")
    factor = (1, pixels[0]) if len(pixels) == 1 else (pixels[0], pixels[1])
    _check_nearest(call, factor)
    if factor == (1, 1):
        return value
    value = image_with_steps(builder, builder.settle(value, owner, arrange), arrange, owner)
    height, width, channels = value.layout.shape
    shape = height * factor[0], width * factor[1], channels
    name = builder.add_lazy("upsample", LazyUpsample(value.until(0), factor, owner))
    return replace(value, tensor=name, layout=image_layout(shape, value.layout.places, arrange))


def _factors(call: Call) -> list[int]:
    """By how much each axis grows, without the batch axis."""
    shape = call.value.shape
    places = {"Upsample": (1, None)}.get(call.operator, (1, None) if call.opset < 11 else (2, 3))
    scales = call.constant(places[0]) if len(call.operands) > 1 else np.asarray(call.attributes.get("scales", []))
    sizes = call.integers(places[1]) if places[1] is not None else None
    if sizes:
        factors = [Fraction(size, old) for size, old in zip(sizes[-len(shape) :], shape, strict=True)]
    elif scales is not None and scales.size >= len(shape):
        factors = [Fraction(float(scale)) for scale in scales.reshape(-1)[-len(shape) :]]
    else:
        raise GraphError(f"{call.owner}: has neither scales nor sizes for every axis; export the model again")
    if any(factor.denominator != 1 or factor < 1 for factor in factors):
        raise GraphError(
            f"{call.owner}: resizes by {[float(factor) for factor in factors]}; only whole factors are possible"
        )
    return [int(factor) for factor in factors]


def _check_nearest(call: Call, factor: Pair) -> None:
    """Raise GraphError unless pixel i of the result is pixel i // factor of the image."""
    mode = call.attributes.get("mode", "nearest")
    default = "half_pixel" if call.operator == "Resize" and call.opset >= 11 else "asymmetric"
    coordinates = call.attributes.get("coordinate_transformation_mode", default)
    nearest = call.attributes.get("nearest_mode", "round_prefer_floor" if default == "half_pixel" else "floor")
    known = mode == "nearest" and coordinates in COORDINATES and nearest in NEAREST
    for size in factor if known else ():
        i = np.arange(2 * size)
        found = np.clip(NEAREST[nearest](COORDINATES[coordinates](i, size)), 0, 1)
        known = known and np.array_equal(found, i // size)
    if not known:
        raise GraphError(
            f"{call.owner}: resizes by {mode}, {coordinates}, {nearest}; only nearest is possible, where each pixel "
            "becomes a block (mode=nearest, asymmetric, floor)"
        )


@dataclass(frozen=True, eq=False)
class LazyUpsample(Lazy):
    """Each pixel of ``value``, which has no steps, as a block of pixels."""

    value: Value
    factor: Pair
    owner: str

    def apply(self, builder: Builder, value: Value, end: int, consumer: str) -> Value:
        inner = self.value.in_order().with_steps_of(value.in_order())
        return self._upsample(builder, builder.apply(inner, end, consumer))

    def make(self, builder: Builder, value: Value, consumer: str) -> Value:
        return self._upsample(builder, builder.make(self.value, consumer))

    def _upsample(self, builder: Builder, value: Value) -> Value:
        dtype = builder.tensors[value.tensor].dtype
        node = Upsample2d(builder.numbered("upsample"), (value.tensor,), dtype, self.factor)
        builder.add_node(node, self.owner, builder.signs[value.tensor])
        return Value(node.name, plain_layout(builder.tensors[node.name].shape), value.grid)


def pad(call: Call) -> Value:
    value = call.value
    if call.attributes.get("mode", "constant") != "constant":
        raise GraphError(f"{call.owner}: pads by {call.attributes['mode']}; only constants are possible")
    pads, real = _pads(call)
    rank = len(value.shape)
    begins, ends = pads[:rank], pads[rank:]
    if not any(pads):
        return value
    last = begins[-1] == ends[-1] == 0
    arrange: Arrangement = channels_last if last else channels_first
    channel = rank - 1 if last else 0
    sides = [(begins[axis], ends[axis]) for axis in range(rank) if axis != channel]
    if begins[channel] or ends[channel] or len(sides) not in (1, 2) or min(pads) < 0:
        raise GraphError(f"{call.owner}: pads {pads}; only pixels, of 1 or 2 axes, can be padded, and not cropped")
    (top, bottom), (left, right) = sides if len(sides) == 2 else ((0, 0), sides[0])
    value = as_image(call.builder, call.builder.quantize(value, call.owner, arrange), arrange, call.owner)
    if real == 0:
        value, code = with_zero(call.builder, value, call.owner)
    else:
        code = code_of_real(value, call.builder, Fraction(real))
    if code is None:
        raise GraphError(f"{call.owner}: pads with {real:g}, which is no code of {value.tensor}; pad with 0")
    node = Pad(
        call.builder.numbered("pad"),
        (value.tensor,),
        call.builder.tensors[value.tensor].dtype,
        (top, left, bottom, right),
        code,
    )
    call.builder.add_node(node, call.owner, call.builder.signs[value.tensor])
    layout = image_layout(call.builder.tensors[node.name].shape, value.layout.places, arrange)
    return Value(node.name, layout, value.grid)


def _pads(call: Call) -> tuple[list[int], float]:
    """Begin and end of each axis without the batch axis, and the real to pad with."""
    rank = len(call.value.shape) + 1
    if len(call.operands) == 1:
        pads = [int(value) for value in call.attributes.get("pads", call.attributes.get("paddings", []))]
        real = float(call.attributes.get("value", 0.0))
    else:
        pads, constant = call.integers(1) or [], call.constant(2)
        real = 0.0 if constant is None or not constant.size else float(constant.reshape(-1)[0])
        axes = call.integers(3)
        if axes is not None:
            full = [0] * (2 * rank)
            for place, axis in enumerate(axis % rank for axis in axes):
                full[axis], full[axis + rank] = pads[place], pads[place + len(axes)]
            pads = full
    if len(pads) != 2 * rank or pads[0] or pads[rank]:
        raise GraphError(f"{call.owner}: pads {pads} of data of {rank} axes; leave the batch axis alone")
    return [*pads[1:rank], *pads[rank + 1 :]], real
