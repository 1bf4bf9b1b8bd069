"""A small two-layer design for the tests of simulation, and its pieces to spoil."""

import numpy as np
from graphs import UINT4, append, empty_graph, random_frames

from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.threshold import Threshold


def two_layers(interface="stream") -> Design:
    """7 channels, 3 lanes; 5 codes of 2 bits, 2 lanes; 3 signed sums, 1 lane: ragged everywhere."""
    rng = np.random.default_rng(1)
    graph = empty_graph((7,), UINT4, "two_layers")
    graph = append(graph, Dense, "fc1", weights=rng.integers(-4, 4, (5, 7)))
    graph = append(graph, Threshold, "fc1_act", thresholds=np.sort(rng.integers(-40, 40, (5, 3)), axis=1))
    graph = append(graph, Dense, "fc2", weights=rng.integers(-4, 4, (3, 5)))
    folds = {"fc1": LayerPlan(pe=2, simd=3), "fc2": LayerPlan(pe=1, simd=2)}
    return generate(graph, Plan(layers=folds, interface=interface))


def frames_for(design: Design, frames=30, seed=0):
    return random_frames(design.graph, frames, seed)
