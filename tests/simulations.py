"""A small two-layer design for the tests of simulation."""

from functools import cache

import numpy as np

from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.threshold import Threshold
from graphs import UINT4, append, empty_graph, random_frames


@cache
def two_layers(interface="stream", names=("fc1", "fc2"), spoiled=0, depths=()) -> Design:
    """7 channels, 3 lanes; 5 codes of 2 bits, 2 lanes; 3 signed sums, 1 lane: ragged everywhere.

    spoiled: added to one weight of the second layer.
    """
    rng = np.random.default_rng(1)
    first, second = names
    graph = empty_graph((7,), UINT4, "two_layers")
    graph = append(graph, Dense, first, weights=rng.integers(-4, 4, (5, 7)))
    graph = append(graph, Threshold, f"{first}_act", thresholds=np.sort(rng.integers(-40, 40, (5, 3)), axis=1))
    weights = rng.integers(-4, 3, (3, 5))
    weights[1, 2] += spoiled
    graph = append(graph, Dense, second, weights=weights)
    folds = {first: LayerPlan(pe=2, simd=3), second: LayerPlan(pe=1, simd=2)}
    return generate(graph, Plan(layers=folds, interface=interface, depths=dict(depths)))


def frames_for(design: Design, frames=30, seed=0):
    return random_frames(design.graph, frames, seed)
