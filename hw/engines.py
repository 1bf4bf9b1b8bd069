# amaranth: UnusedElaboratable=no
"""Which stage builds a matrix-vector product with which engine."""

from collections.abc import Callable, Mapping

from .mac import MacStage
from .plan import LayerPlan
from .popcount import PopcountStage
from .product import Product
from .serial import SerialStage
from .spatial import SpatialStage
from .stage import Stage

ENGINES: Mapping[str, Callable[[Product, LayerPlan], Stage]] = {
    "mac": MacStage,
    "spatial": lambda product, fold: SpatialStage([product]),
