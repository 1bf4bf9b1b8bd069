# amaranth: UnusedElaboratable=no
"""Which stage builds a matrix-vector product with which engine."""

from collections.abc import Callable, Mapping, Sequence

from .mac import MacStage
from .plan import LayerPlan
from .popcount import PopcountStage
from .product import Product
from .serial import SerialStage
from .spatial import SpatialStage
from .stage import Stage

ENGINES: Mapping[str, Callable[[Product, LayerPlan], Stage]] = {
    "mac": MacStage,
    "popcount": PopcountStage,
    "serial": SerialStage,
    "spatial": lambda product, fold: SpatialStage([product]),
}

# Those that take all inputs of a product in one beat, of a convolution the whole window, and give all outputs in one;
# and what builds several products, one behind the other.
WHOLE: Mapping[str, Callable[[Sequence[Product]], Stage]] = {"spatial": SpatialStage}


def takes_windows_once(fold: LayerPlan) -> bool:
    """Whether a convolution's windows come once only: every beat goes to all outputs, or the engine keeps the window,
    which it scans for each plane."""
    return fold.order == "input" or (fold.engine == "serial" and fold.planes == "plane-major")


def build_product(product: Product, fold: LayerPlan) -> Stage:
    """The stage of ``product`` with the engine of ``fold``; every engine keeps the same order of beats."""
    return ENGINES[fold.engine](product, fold)
