"""What a matrix-vector product is made of, by engine: an engine that has a row here can be chosen by the planner."""

from collections.abc import Callable, Mapping

from .count_mac import Sums, count_mac
from .count_parts import Features
from .count_popcount import count_popcount
from .count_serial import count_serial
from .count_spatial import count_spatial
from .plan import LayerPlan

# The features of a stage with an output queue of so many beats; None: as deep as its own pace needs.
ENGINE_COUNTS: Mapping[str, Callable[[Sums, LayerPlan, int | None], Features]] = {
    "mac": count_mac,
    "popcount": count_popcount,
    "serial": count_serial,
    "spatial": count_spatial,
}
