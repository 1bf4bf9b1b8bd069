# amaranth: UnusedElaboratable=no
"""Depthwise Conv2d: ``pe`` channels side by side, one pixel of the window a slot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..errors import PlanError
from ..ir.conv2d import Conv2d
from ..ir.graph import Bounds
from .engines import build_product
from .part import Part
from .plan import LayerPlan
from .product import Product
from .unit import Unit
from .window import sliding_window


def build_depthwise(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """The stages of the window, a group of channels after the other, then the products, each lane for itself."""
    node = unit.nodes[0]
    assert isinstance(node, Conv2d)
    if fold.order == "input":
        raise PlanError(
            f"{unit.name}: order input, but each channel of a depthwise convolution has an output of its own; "
            f"choose order output"
        )
    rows, columns, _ = node.shape(unit.source)
    window = sliding_window(
        unit.name, unit.source, fold.pe, node.kernel, node.stride, node.dilation, node.padding,
        node.pad_value, by_channel=True,
    )  # fmt: skip
    product = Product(
        node.weights.reshape(node.outputs, -1, 1), window[-1].stage.y_type,
        reach_of_windows(node, bounds), bounds[node.name], node.result,
        pixels=rows * columns, is_lanewise=True, function=unit.function,
        is_loaded=fold.is_loaded,
    )  # fmt: skip
    return [*window, Part(unit.name, build_product(product, replace(fold, simd=1)), (window[-1].makes,), unit.result)]


def reach_of_windows(node: Conv2d, bounds: Mapping[str, Bounds]) -> Bounds:
    """What each channel of a window can be: padding is part of it."""
    reach = bounds[node.inputs[0]]
    if not any(node.padding):
        return reach
    return Bounds(np.minimum(reach.low, node.pad_value), np.maximum(reach.high, node.pad_value))
