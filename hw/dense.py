"""Dense: a matrix-vector product for each pixel."""

from collections.abc import Mapping, Sequence

from ..ir.dense import Dense
from ..ir.graph import Bounds
from .engines import build_product
from .part import Part
from .plan import LayerPlan
from .product import Product
from .unit import Unit


def build_dense(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """One stage."""
    node = unit.nodes[0]
    assert isinstance(node, Dense)
    product = Product(
        node.weights[:, None], unit.source.dtype, bounds[node.inputs[0]], bounds[node.name], node.result,
        pixels=unit.source.pixels, function=unit.function,
    )  # fmt: skip
    return [Part(unit.name, build_product(product, fold), (unit.source,), unit.result)]
