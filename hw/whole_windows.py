# amaranth: UnusedElaboratable=no
"""Conv2d for an engine that takes a whole window in one beat and gives all outputs of it in one beat."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..ir.conv2d import Conv2d
from ..ir.graph import Bounds
from .depthwise import reach_of_windows
from .engines import build_product
from .part import Part
from .plan import LayerPlan
from .product import Product
from .unit import Unit
from .window import sliding_window


def fill_with_zeros(node: Conv2d) -> Conv2d:
    """The same convolution in one group, without dilation: zeros, which cost nothing as constants, are the weights
    of the inputs of other groups and of the pixels between those that count."""
    (down, right), (rows, columns) = node.dilation, node.kernel
    outputs, own = node.outputs // node.groups, node.weights.shape[3]
    weights = np.zeros((node.outputs, (rows - 1) * down + 1, (columns - 1) * right + 1, node.channels), np.int64)
    for group in range(node.groups):
        of_group = slice(group * outputs, (group + 1) * outputs)
        weights[of_group, ::down, ::right, group * own : (group + 1) * own] = node.weights[of_group]
    return replace(node, weights=weights, groups=1, dilation=(1, 1))


def build_whole_conv2d(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """The stages of the window, then the product, a window a slot."""
    given = unit.nodes[0]
    assert isinstance(given, Conv2d)
    node = fill_with_zeros(given)
    rows, columns, _ = node.shape(unit.source)
    inputs = node.weights[0].size
    window = sliding_window(
        unit.name, unit.source, inputs, node.kernel, node.stride, padding=node.padding, pad_value=node.pad_value
    )
    product = Product(
        node.weights.reshape(node.outputs, 1, inputs), window[-1].stage.y_type, reach_of_windows(node, bounds),
        bounds[node.name], node.result, pixels=rows * columns, function=unit.function,
    )  # fmt: skip
    stage = build_product(product, replace(fold, pe=node.outputs, simd=inputs))
    return [*window, Part(unit.name, stage, (window[-1].makes,), unit.result)]
