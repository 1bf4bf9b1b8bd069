# amaranth: UnusedElaboratable=no
"""Which stage builds a matrix-vector product with which engine."""

from collections.abc import Callable, Mapping

from .mac import MacStage
from .plan import LayerPlan
from .popcount import PopcountStage
from .product import Product
from .serial import SerialStage
from .stage import Stage

ENGINES: Mapping[str, Callable[[Product, LayerPlan], Stage]] = {
    "mac": MacStage,
    "popcount": PopcountStage,
    "serial": SerialStage,
}


def build_product(product: Product, fold: LayerPlan) -> Stage:
    """The stage of ``product`` with the engine of ``fold``; every engine keeps the same order of beats."""
    return ENGINES[fold.engine](product, fold)
