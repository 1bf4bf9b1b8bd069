"""What a matrix-vector product is made of, by engine: an engine that has a row here can be chosen by the planner."""

from collections.abc import Callable, Mapping

from .count_mac import Sums, count_mac
from .count_parts import Features
from .plan import LayerPlan

# The features of a stage with an output queue of so many beats; None: as deep as its own pace needs.
ENGINE_COUNTS: Mapping[str, Callable[[Sums, LayerPlan, int | None], Features]] = {"mac": count_mac}
