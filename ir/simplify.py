"""All passes, repeated until the graph stays as it is."""

from .clean_thresholds import clean_thresholds
from .dead_channels import drop_dead_channels
from .flatten_inputs import flatten_inputs
from .graph import Graph
from .narrow_types import narrow_types
from .store import digest
from .subpixel import decompose_transposed

PASSES = (decompose_transposed, flatten_inputs, drop_dead_channels, clean_thresholds, narrow_types)


def simplify(graph: Graph) -> Graph:
    """The smallest graph that the passes reach, with the same outputs; it is checked before and after each pass."""
    graph.check()
    before = None
    while before != (before := digest(graph)):
        for shrink in PASSES:
            graph = shrink(graph)
            graph.check()
    return graph
