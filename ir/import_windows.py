"""Kernel, stride, dilation and padding of ONNX operators on windows, sequences being images of one row."""

from dataclasses import dataclass

from ..errors import GraphError
from .import_call import Call
from .windows import NO_PADDING, Pair, Sides


@dataclass(frozen=True)
class Geometry:
    """Pairs are (vertical, horizontal), padding is (top, left, bottom, right)."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Sides

    @property
    def is_point(self) -> bool:
        """Whether each pixel is taken alone and none is left out."""
        return self.kernel == self.stride == (1, 1) and self.padding == NO_PADDING

    @classmethod
    def of(cls, call: Call, kernel: Pair, size: Pair, *, ceil_mode: bool = True) -> "Geometry":
        """Of a convolution or pooling with ``kernel`` on an image of ``size``; ceil_mode: as the model says, or not."""
        _check_kernel(call, kernel)
        stride, dilation = (_pair(call, name, 1) for name in ("strides", "dilations"))
        spans = tuple((kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1))
        sides = [_same(call, size[axis], spans[axis], stride[axis]) for axis in (0, 1)]
        given = _sides(call)
        padding = given if given is not None else (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
        if ceil_mode and call.attributes.get("ceil_mode", 0):
            padding = _ceiled(size, spans, stride, padding)
        return cls(kernel, stride, dilation, padding)

    @classmethod
    def transposed(cls, call: Call, kernel: Pair, size: Pair) -> "tuple[Geometry, Pair]":
        """Of a transposed convolution, and its output padding."""
        _check_kernel(call, kernel)
        stride, extra = _pair(call, "strides", 1), _pair(call, "output_padding", 0)
        wanted = call.attributes.get("output_shape")
        padding = _sides(call)
        if wanted or padding is None:
            rows, columns = wanted[-2:] if wanted and len(wanted) > 1 else (1, wanted[-1]) if wanted else (0, 0)
            sizes = (rows or size[0] * stride[0], columns or size[1] * stride[1])
            total = [max(0, (size[a] - 1) * stride[a] + kernel[a] + extra[a] - sizes[a]) for a in (0, 1)]
            more_first = call.attributes.get("auto_pad") != "SAME_UPPER"
            first = [(amount + more_first) // 2 for amount in total]
            padding = (first[0], first[1], total[0] - first[0], total[1] - first[1])
        return cls(kernel, stride, (1, 1), padding), extra


def pooled_kernel(call: Call) -> Pair:
    """The kernel of a pooling, from its attribute."""
    kernel = _pair(call, "kernel_shape", 0)
    if 0 in kernel:
        raise GraphError(f"{call.owner}: has no kernel_shape; export the model again")
    return kernel


def _check_kernel(call: Call, kernel: Pair) -> None:
    given = call.attributes.get("kernel_shape")
    if given and (1, *given)[-2:] != kernel:
        raise GraphError(
            f"{call.owner}: kernel_shape is {list(given)}, but its weights have {list(kernel)}; export again"
        )


def _pair(call: Call, name: str, default: int) -> Pair:
    """An attribute of one number for each axis of pixels; what a missing vertical one is."""
    given = [int(value) for value in call.attributes.get(name, [])]
    if len(given) > 2:
        raise GraphError(f"{call.owner}: {name} is {given}; only 1 or 2 axes of pixels are possible")
    above = 1 if name == "kernel_shape" else default
    return (given[0], given[1]) if len(given) == 2 else (above, given[0]) if given else (default, default)


def _sides(call: Call) -> Sides | None:
    """The padding that is given; None where it follows from the sizes."""
    mode = call.attributes.get("auto_pad", "NOTSET")
    if mode == "VALID":
        return NO_PADDING
    if mode.startswith("SAME"):
        return None
    pads = [int(value) for value in call.attributes.get("pads", [])]
    if min(pads, default=0) < 0:
        raise GraphError(f"{call.owner}: pads are {pads}; none may be negative, slice the data instead")
    match pads:
        case []:
            return NO_PADDING
        case [left, right]:
            return (0, left, 0, right)
        case [top, left, bottom, right]:
            return (top, left, bottom, right)
    raise GraphError(f"{call.owner}: pads are {pads}; only 1 or 2 axes of pixels are possible")


def _same(call: Call, size: int, span: int, stride: int) -> tuple[int, int]:
    """The padding that gives ceil(size / stride) windows."""
    total = max(0, (-(-size // stride) - 1) * stride + span - size)
    less, more = total // 2, total - total // 2
    return (more, less) if call.attributes.get("auto_pad") == "SAME_LOWER" else (less, more)


def _ceiled(size: Pair, spans: tuple[int, ...], stride: Pair, padding: Sides) -> Sides:
    """Padding at the end such that a last, incomplete window counts, if it begins in the image or before."""
    ends = []
    for axis in (0, 1):
        begin, end = padding[axis], padding[axis + 2]
        windows = -(-(size[axis] + begin + end - spans[axis]) // stride[axis]) + 1
        if (windows - 1) * stride[axis] >= size[axis] + begin:
            windows -= 1
        ends.append(max(0, (windows - 1) * stride[axis] + spans[axis] - size[axis] - begin))
    return (padding[0], padding[1], ends[0], ends[1])
