"""The same network with every engine, and with several at once: the same codes, each in its predicted cycle."""

import numpy as np
import pytest

from espalier.hw.engines import ENGINES
from espalier.hw.folds import MATRICES, choose_from
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.flatten import Flatten
from espalier.ir.graph import IntType
from graphs import add_dense, add_threshold, append, empty_graph, random_frames, random_weights
from hardware import assert_exact

RNG = np.random.default_rng(6)


def network(dtype: IntType):
    """A convolution and two dense layers of pruned widths."""
    weights = random_weights(RNG, 5, 3 * 3 * 3, 3).reshape(5, 3, 3, 3)
    graph = append(empty_graph((5, 4, 3), dtype), Conv2d, "conv", weights=weights)
    graph = append(add_threshold(graph, RNG, 2), Flatten, "flat")
    graph = add_threshold(add_dense(graph, RNG, 7, 2, dead=0.2), RNG, 1)
    return add_dense(graph, RNG, 3, 1)


def with_engines(graph, engines, rng) -> Plan:
    """Any fold of each layer, its engine the next of ``engines``; layers without weights as small as they can be."""
    layers, left = {}, list(engines)
    for unit in units(graph):
        if unit.kind not in MATRICES:
            layers[unit.name] = LayerPlan()
            continue
        engine = left.pop(0)
        folds = choose_from(unit, engine=engine).folds
        fold = folds[rng.integers(len(folds))]
        layers[unit.name] = LayerPlan(engine, fold.pe, fold.simd)
    return Plan(layers=layers)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_codes_of_the_executor(engine, stall):
    graph = network(IntType(3))
    assert_exact(graph, with_engines(graph, [engine] * 3, np.random.default_rng(1)), random_frames(graph, 3), stall)


@pytest.mark.parametrize("first", range(len(ENGINES)))
def test_engines_mix_in_one_network(first):
    graph = network(IntType(4, signed=True))
    engines = [list(ENGINES)[(first + place) % len(ENGINES)] for place in range(3)]
    assert_exact(graph, with_engines(graph, engines, np.random.default_rng(first)), random_frames(graph, 3), 0.3)
