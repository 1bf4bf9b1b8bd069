"""Any plan of any layer: each engine that builds it, with each of its options, in each order."""

import numpy as np

from espalier.hw.fold import Fold
from espalier.hw.folds import ENGINE_OPTIONS, ENGINE_SPACES, INPUT_MAJOR_SPACES, choose_from
from espalier.hw.plan import LayerPlan
from espalier.hw.unit import Unit

# Of popcount, in which each pair of planes takes a slot: more would take long to simulate.
MOST_PLANES = 6
VALUES = {"planes": ["group-major", "plane-major"], "shifts_per_slot": [1, 1, 2]}


def random_options(unit: Unit, rng: np.random.Generator) -> dict:
    """An engine, where the unit has one, and its order and options, which change cycles."""
    able = [engine for engine, kinds in ENGINE_SPACES.items() if unit.kind in kinds]
    if "popcount" in able and unit.weight_bits * unit.source.dtype.bits > MOST_PLANES:
        able.remove("popcount")
    engine = able[rng.integers(len(able))] if able else "mac"
    options = {name: VALUES[name][rng.integers(len(VALUES[name]))] for name in ENGINE_OPTIONS.get(engine, ())}
    if unit.kind in INPUT_MAJOR_SPACES.get(engine, {}):
        options["order"] = ["output", "input"][rng.integers(2)]
    return {"engine": engine, **options}


def random_layer(unit: Unit, rng: np.random.Generator) -> tuple[LayerPlan, Fold]:
    options = random_options(unit, rng)
    folds = choose_from(unit, **options).folds
    fold = folds[rng.integers(len(folds))]
    return LayerPlan(pe=fold.pe, simd=fold.simd, **options), fold
