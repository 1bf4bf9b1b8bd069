"""Dense: a matrix-vector product for each pixel."""

from collections.abc import Mapping, Sequence

from ..ir.graph import Bounds
from .engines import WHOLE, build_product
from .part import Part
from .plan import LayerPlan
from .product import Product
from .unit import Unit


def build_dense(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """One stage; several layers if the unit is joined of them."""
    products, x_type = [], unit.source.dtype
    for node, function in unit.layers:
        products.append(
            Product(
                node.weights[:, None], x_type, bounds[node.inputs[0]], bounds[node.name], node.result,
                pixels=unit.source.pixels, function=function,
                is_loaded=fold.is_loaded,
            )
        )  # fmt: skip
        x_type = function.result if function else node.result
    stage = build_product(products[0], fold) if len(products) == 1 else WHOLE[fold.engine](products)
    return [Part(unit.name, stage, (unit.source,), unit.result)]
