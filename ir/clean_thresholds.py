"""Pass: no thresholds that never fire or always fire, none outside the range of what they compare."""

from dataclasses import replace

import numpy as np

from .graph import Bounds, Graph
from .ranges import find_bounds
from .threshold import Threshold


def clean_thresholds(graph: Graph) -> Graph:
    """Drop the steps that fire always (they go to the base) or never, in all channels alike; clip the others.

    Every threshold then lies in low .. high + 1 of its channel's reachable range; at least one step stays.
    """
    bounds = find_bounds(graph)
    nodes = [_clean(node, bounds[node.inputs[0]]) if isinstance(node, Threshold) else node for node in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


def _clean(node: Threshold, reach: Bounds) -> Threshold:
    low, high = reach.low[:, None], reach.high[:, None]
    always = int((node.thresholds <= low).sum(axis=1).min())
    possible = int((node.thresholds <= high).sum(axis=1).max())
    thresholds = np.clip(node.thresholds, low, high + 1)[:, always:possible]
    if thresholds.shape[1] == 0:  # every channel is constant
        thresholds = high + 1
    return replace(node, thresholds=thresholds, base=node.base + always)
