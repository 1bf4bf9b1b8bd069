# amaranth: UnusedElaboratable=no
"""Which stage builds a matrix-vector product with which engine."""

from collections.abc import Callable, Mapping

from .mac import MacStage
from .plan import LayerPlan
from .product import Product
from .spatial import SpatialStage
from .stage import Stage

ENGINES: Mapping[str, Callable[[Product, LayerPlan], Stage]] = {"mac": MacStage, "spatial": SpatialStage}

# Those that take all inputs of a product in one beat, of a convolution the whole window, and give all outputs in one.
WHOLE = ("spatial",)


def build_product(product: Product, fold: LayerPlan) -> Stage:
    """The stage of ``product`` with the engine of ``fold``; every engine keeps the same order of beats."""
    return ENGINES[fold.engine](product, fold)
