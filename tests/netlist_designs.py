"""Networks that use every kind of cell: block RAM, multipliers, carry chains, memory in lookup tables."""

from functools import cache
from pathlib import Path

import numpy as np

from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.flatten import Flatten
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph


@cache
def small_cnn() -> Design:
    """A convolution in multipliers, a dense layer in lookup tables, both with weights in block RAM; a serial one."""
    rng = np.random.default_rng(3)
    graph = append(empty_graph((3, 4, 3), name="small_cnn"), Conv2d, "conv", weights=rng.integers(-8, 8, (4, 2, 2, 3)))
    # About as wide apart as the sums really are, so that the outputs move.
    graph = append(graph, Threshold, "act1", thresholds=np.sort(rng.integers(-200, 200, (4, 15)), axis=1))
    graph = append(append(graph, Flatten, "flat"), Dense, "fc1", weights=rng.integers(-8, 8, (6, 24)))
    graph = append(graph, Threshold, "act2", thresholds=np.sort(rng.integers(-300, 300, (6, 15)), axis=1))
    graph = append(graph, Dense, "fc2", weights=rng.integers(-8, 8, (3, 6)))
    folds = {
        "conv": LayerPlan(pe=2, simd=3, multiplier="dsp", memory="block"),
        "fc1": LayerPlan(pe=3, simd=2, memory="block"),
        "fc2": LayerPlan("serial", pe=3, simd=4),
    }
    return generate(graph, Plan(layers=folds))


@cache
def digits() -> Design:
    """The trained MLP of the examples: its first layer in multipliers, with weights in block RAM."""
    graph = simplify(import_onnx(Path(__file__).parents[1] / "examples" / "digits.onnx").graph)
    folds = {
        "fc1": LayerPlan(pe=2, simd=4, multiplier="dsp", memory="block"),
        "fc2": LayerPlan(pe=2, simd=2, memory="block"),
        "fc3": LayerPlan(),
    }
    return generate(graph, Plan(layers=folds))
