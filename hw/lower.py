# amaranth: UnusedElaboratable=no
"""Which lane function serves which operator."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..ir.graph import Ints, IntType, Node
from ..ir.requantize import Requantize
from ..ir.table import Table
from ..ir.threshold import Threshold
from .function import LaneFunction
from .requantize import Requantizer
from .table import TableLookup
from .threshold import threshold_function

# The arrays of a function that have a row for each channel.
ROWS: Mapping[type[Node], tuple[str, ...]] = {
    Threshold: ("thresholds",),
    Requantize: ("multiplier", "addend"),
    Table: ("values",),
}


def lower(node: Any, lanes: int, x_type: IntType, highest: int, *, is_loaded: bool = False) -> LaneFunction:
    """The lane function of ``node`` for inputs of ``x_type``, none of which exceeds ``highest``.

    is_loaded: other thresholds may take the place of its own; only a Threshold is built so.
    """
    if is_loaded:
        return threshold_function(node, lanes, x_type, highest, is_loaded=True)
    return _LANE_FUNCTIONS[type(node)](node, lanes, x_type, highest)


def make_up(node: Any, lacking: Ints) -> Any:
    """The function for inputs that lack a constant for each channel; of a Threshold or a Requantize."""
    if isinstance(node, Threshold):
        return replace(node, thresholds=node.thresholds - lacking[:, None])
    return replace(node, addend=node.addend + node.multiplier * lacking)


def arrange(node: Any, channels: Ints) -> Any:
    """The function whose channel i is channel ``channels[i]`` of ``node``."""
    return replace(node, **{name: getattr(node, name)[channels] for name in ROWS[type(node)]})


_LANE_FUNCTIONS: Mapping[type[Node], Callable[[Any, int, IntType, int], LaneFunction]] = {
    Threshold: threshold_function,
    Requantize: lambda node, lanes, x_type, highest: Requantizer(node, lanes, x_type),
    Table: lambda node, lanes, x_type, highest: TableLookup(node, lanes, x_type),
}
