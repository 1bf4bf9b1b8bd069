"""Which layers an operation of PyTorch is: by module, by function and by method."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..errors import GraphError
from .networks.layers import (
    Activation,
    Add,
    AveragePool,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    Flatten,
    Layer,
    MaxPool,
    Pair,
    PixelShuffle,
    Shape,
    Upsample,
)


@dataclass(frozen=True)
class Call:
    """An operation at work: its layer's name, and the shapes of what it takes and gives, without the batch axis."""

    name: str
    inputs: tuple[Shape, ...]
    result: Shape


Layers = Sequence[Layer]


def conv(call: Call, module: Any) -> Layers:
    _need_plain(module)
    kernel, stride, padding = module.kernel_size, module.stride, _padding(module)
    if module.groups == 1:
        return [Conv(call.name, module.out_channels, kernel, stride, padding)]
    if module.groups == module.in_channels == module.out_channels:
        return [DepthwiseConv(call.name, kernel, stride, padding)]
    raise GraphError(
        f"has groups={module.groups} for {module.in_channels} input and {module.out_channels} output channels; use 1, "
        "or as many groups as there are channels on both sides"
    )


def conv_transpose(call: Call, module: Any) -> Layers:
    _need_plain(module)
    _need("groups", module.groups, 1)
    _need("output_padding", module.output_padding, (0, 0))
    return [ConvTranspose(call.name, module.out_channels, module.kernel_size, module.stride, module.padding)]


def dense(call: Call, module: Any) -> Layers:
    if len(call.inputs[0]) != 1:
        raise GraphError(f"takes a map of shape {call.inputs[0]}; put Flatten in front of it")
    return [Dense(call.name, module.out_features)]


def relu(call: Call, inplace: bool = False) -> Layers:
    return [Activation(call.name)]


def relu6(call: Call, inplace: bool = False) -> Layers:
    return [Activation(call.name, limit=6.0, learned=False)]


def hardtanh(call: Call, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Layers:
    if max_val <= 0 or min_val not in (0, -max_val):
        high = f"{abs(max_val) or 1:g}"
        raise GraphError(f"clips to {min_val:g}..{max_val:g}; use 0..{high} or -{high}..{high}")
    return [Activation(call.name, signed=min_val < 0, limit=float(max_val), learned=False)]


def max_pool(
    call: Call, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Layers:  # fmt: skip
    _need("dilation", _pair(dilation), (1, 1))
    return [MaxPool(call.name, _pool(kernel_size, stride, padding, ceil_mode))]


def average_pool(
    call: Call, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Layers:  # fmt: skip
    _need("divisor_override", divisor_override, None)
    return [AveragePool(call.name, _pool(kernel_size, stride, padding, ceil_mode))]


def adaptive_average_pool(call: Call, output_size: Any) -> Layers:
    sizes, wanted = call.inputs[0][1:], call.result[1:]
    if any(size % want for size, want in zip(sizes, wanted)):
        raise GraphError(f"makes {wanted} pixels of {sizes}; use a size that divides them, such as 1")
    kernel = sizes[0] // wanted[0], sizes[1] // wanted[1]
    return [] if kernel == (1, 1) else [AveragePool(call.name, kernel)]


def mean(call: Call, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Layers:
    axes = sorted(axis % 4 for axis in (dim if isinstance(dim, tuple | list) else [dim]) if axis is not None)
    if len(call.inputs[0]) != 3 or axes != [2, 3]:
        raise GraphError(f"is over the axes {dim} of a batch of {call.inputs[0]}; use that over all pixels, dim=(2, 3)")
    rows, columns = call.inputs[0][1:]
    pool = AveragePool(call.name, (rows, columns))
    return [pool] if keepdim else [pool, Flatten(f"{call.name}_flat")]


def reshape(call: Call, *sizes: Any, **options: Any) -> Layers:
    if call.result == call.inputs[0]:
        return []
    if call.result != (prod(call.inputs[0]),):
        raise GraphError(f"makes {call.result} of {call.inputs[0]}; use flatten(1), which makes a vector")
    return [Flatten(call.name)]


def add(call: Call, *operands: Any, alpha: float = 1) -> Layers:
    _need("alpha", alpha, 1)
    if len(call.inputs) != 2 or len(set(call.inputs)) > 1:
        raise GraphError(f"adds {_shapes(call)}; use terms of one shape, both computed by layers")
    return [Add(call.name)]


def cat(call: Call, dim: int = 0, axis: int | None = None) -> Layers:
    axes = len(call.inputs[0]) + 1
    _need("dim", (dim if axis is None else axis) % axes, 1)
    return [Concat(call.name)]


def upsample(call: Call, size: Any = None, scale_factor: Any = None, mode: str = "nearest", **options: Any) -> Layers:
    _need("mode", mode, "nearest")
    factors = {after / before for before, after in zip(call.inputs[0][1:], call.result[1:])}
    factor = factors.pop()
    if factors or factor != int(factor):
        raise GraphError(f"makes {call.result} of {call.inputs[0]}; use one whole factor for both directions")
    return [Upsample(call.name, int(factor))]


def pixel_shuffle(call: Call, upscale_factor: int) -> Layers:
    return [PixelShuffle(call.name, upscale_factor)]


def dropout(call: Call, p: float = 0.5, training: bool = True, inplace: bool = False) -> Layers:
    if training:
        raise GraphError("drops values in evaluation too; use nn.Dropout or training=self.training")
    return []


def nothing(call: Call, *values: Any) -> Layers:
    return []


def _with(made: Callable[..., Layers], *names: str) -> Callable[[Call, Any], Layers]:
    """``made`` with a module's attributes of these names as arguments."""
    return lambda call, module: made(call, **{name: getattr(module, name) for name in names})


MODULES: dict[type[nn.Module], Callable[[Call, Any], Layers]] = {
    nn.Conv2d: conv,
    nn.ConvTranspose2d: conv_transpose,
    nn.Linear: dense,
    nn.ReLU: _with(relu),
    nn.ReLU6: _with(relu6),
    nn.Hardtanh: _with(hardtanh, "min_val", "max_val"),
    nn.MaxPool2d: _with(max_pool, "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    nn.AvgPool2d: _with(average_pool, "kernel_size", "stride", "padding", "ceil_mode", "divisor_override"),
    nn.AdaptiveAvgPool2d: _with(adaptive_average_pool, "output_size"),
    nn.Flatten: _with(reshape),
    nn.Upsample: _with(upsample, "mode"),
    nn.UpsamplingNearest2d: _with(upsample),
    nn.PixelShuffle: _with(pixel_shuffle, "upscale_factor"),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity), nothing),
}
"""Exact types: what inherits from them may compute something else."""

FUNCTIONS: dict[Any, Callable[..., Layers]] = {
    **dict.fromkeys((torch.relu, functional.relu, "relu"), relu),
    functional.relu6: relu6,
    functional.hardtanh: hardtanh,
    **dict.fromkeys((torch.max_pool2d, functional.max_pool2d), max_pool),
    functional.avg_pool2d: average_pool,
    functional.adaptive_avg_pool2d: adaptive_average_pool,
    **dict.fromkeys((torch.mean, "mean"), mean),
    **dict.fromkeys((torch.flatten, torch.reshape, torch.squeeze, "flatten", "view", "reshape", "squeeze"), reshape),
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), add),
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), cat),
    functional.interpolate: upsample,
    **dict.fromkeys((functional.pixel_shuffle, torch.pixel_shuffle), pixel_shuffle),
    **dict.fromkeys((functional.dropout, functional.dropout2d), dropout),
    **dict.fromkeys(("contiguous", "clone"), nothing),
}
"""By function, or name of a method of tensors; the tensors that they take come first."""

ADVICE = (
    ("Softmax LogSoftmax softmax log_softmax", "leave it out; the loss contains it"),
    ("Sigmoid sigmoid", "use ReLU or, for the last one of a segmentation, leave it out; the loss contains it"),
    (
        "GELU SiLU Mish ELU LeakyReLU PReLU Hardswish Softplus Tanh gelu silu leaky_relu elu hardswish tanh",
        "use ReLU, ReLU6 or Hardtanh",
    ),
    ("LayerNorm GroupNorm InstanceNorm2d layer_norm group_norm", "use BatchNorm2d or BatchNorm1d"),
    ("Conv1d MaxPool1d AvgPool1d", "use that of two dimensions, with a kernel of (1, n)"),
    ("conv2d linear conv_transpose2d batch_norm", "use the module of torch.nn, which holds the weights"),
    ("clamp clip", "use ReLU6 or Hardtanh"),
    (
        "sub mul truediv matmul MultiheadAttention",
        "sums are all that can be made of two tensors; leave constants to the layers' weights",
    ),
)
SUPPORTED = "use " + ", ".join(kind.__name__ for kind in (*MODULES, nn.BatchNorm2d)) + ", + or torch.cat"


def advice(operation: str) -> str:
    """What to use instead of an operation that is no layer."""
    return next((text for names, text in ADVICE if operation in names.split()), SUPPORTED)


def _need_plain(module: Any) -> None:
    _need("dilation", module.dilation, (1, 1))
    _need("padding_mode", module.padding_mode, "zeros")


def _need(option: str, found: Any, needed: Any) -> None:
    if found != needed:
        raise GraphError(f"has {option}={found!r}; use {option}={needed!r}")


def _padding(module: Any) -> Pair:
    if not isinstance(module.padding, str):
        return module.padding
    if module.padding == "valid":
        return (0, 0)
    if any(size % 2 == 0 for size in module.kernel_size):
        raise GraphError(
            f"has padding='same' for a kernel of {module.kernel_size}; use odd sizes, or a number of pixels"
        )
    return module.kernel_size[0] // 2, module.kernel_size[1] // 2


def _pool(kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> Pair:
    kernel = _pair(kernel_size)
    _need("stride", _pair(stride or kernel), kernel)
    _need("padding", _pair(padding), (0, 0))
    _need("ceil_mode", ceil_mode, False)
    return kernel


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value)


def _shapes(call: Call) -> str:
    return "a number" if len(call.inputs) == 1 else "shapes " + " and ".join(map(str, call.inputs))
