# amaranth: UnusedElaboratable=no
"""Conv2d: a line buffer that sends windows, and the matrix-vector product of each of them."""

from collections.abc import Mapping, Sequence

from ..errors import PlanError
from ..ir.conv2d import Conv2d
from ..ir.graph import Bounds, TensorType
from .depthwise import build_depthwise, reach_of_windows
from .engines import WHOLE, build_product, takes_windows_once
from .part import Part
from .plan import LayerPlan
from .product import Product
from .unit import Unit
from .whole_windows import build_whole_conv2d
from .window import sliding_window


def build_conv2d(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """The stages of the window, then the product; a window comes once for each group of ``pe`` outputs, or just once
    where every beat goes to all of them, or the product keeps it.

    ``simd`` channels of a pixel come in a beat, or a piece of the flat window if that is more than a filter group has.
    """
    node = unit.nodes[0]
    assert isinstance(node, Conv2d)
    if fold.engine in WHOLE:
        return build_whole_conv2d(unit, fold, bounds)
    if node.is_depthwise:
        return build_depthwise(unit, fold, bounds)
    rows, columns, _ = node.shape(unit.source)
    outputs, channels = node.outputs // node.groups, node.weights.shape[3]
    is_parallel = fold.simd > channels
    if is_parallel and node.groups > 1:
        raise PlanError(
            f"{unit.name}: simd {fold.simd}, but its {node.groups} groups have {channels} inputs each; "
            f"lower simd to {channels} or less"
        )
    is_repeated = not takes_windows_once(fold)
    window = sliding_window(
        unit.name, unit.source, fold.simd, node.kernel, node.stride, node.dilation, node.padding,
        node.pad_value, groups=node.groups, repeats=-(-outputs // fold.pe) if is_repeated else 1,
    )  # fmt: skip
    product = Product(
        node.weights.reshape(node.outputs, 1 if is_parallel else -1, -1 if is_parallel else channels),
        window[-1].stage.y_type, reach_of_windows(node, bounds), bounds[node.name], node.result,
        pixels=rows * columns, blocks=node.groups, is_repeated=is_repeated, function=unit.function,
        is_loaded=fold.is_loaded,
    )  # fmt: skip
    makes = unit.result
    if node.groups > 1:
        makes = TensorType((rows * columns * node.groups, outputs), makes.dtype)
    return [*window, Part(unit.name, build_product(product, fold), (window[-1].makes,), makes)]
