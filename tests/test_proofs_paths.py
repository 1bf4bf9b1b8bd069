# amaranth: UnusedElaboratable=no
"""Shown on netlists: no combinational path leads through a stage of any kind from stream to stream."""

import numpy as np
import pytest
from amaranth.lib.wiring import In

from combinational import find_paths
from dags import random_dag
from espalier.hw import fork
from espalier.hw.design import generate
from espalier.hw.fork import ForkStage
from espalier.hw.stage import Stage
from espalier.ir.graph import IntType
from proofs import with_fault
from test_hw_dags import random_plan

pytestmark = pytest.mark.synth

SEEDS = range(9)


def stages_of(seed: int) -> list:
    rng = np.random.default_rng(seed)
    graph = random_dag(rng)
    return list(generate(graph, random_plan(graph, rng)).stages.values())


def kinds(base: type) -> set[type]:
    return {base for base in base.__subclasses__() if base.__module__.startswith("espalier.")}


def wrong_paths(component, paths) -> list[str]:
    """Those of ``paths`` that the contract forbids: all but from the valid of an input to the ready of another."""
    inputs = {name for name, member in component.signature.members.items() if member.flow == In}

    def is_join(start, end):
        (there, start), (other, end) = start.split("__"), end.split("__")
        return (start, end) == ("valid", "ready") and there != other and {there, other} <= inputs

    return [f"{start} -> {end}" for start, end in sorted(paths) if not is_join(start, end)]


def test_no_path_leads_from_stream_to_stream(tmp_path):
    deep = ForkStage(1, 64, IntType(4), 2)
    deep.depths = [200, 1]
    stages = [deep, *(one for seed in SEEDS for one in stages_of(seed))]
    assert {type(one) for one in stages} == kinds(Stage) | {ForkStage}
    found = find_paths(stages, tmp_path)
    wrong = {type(one).__name__: bad for one, paths in zip(stages, found) if (bad := wrong_paths(one, paths))}
    assert wrong == {}
    assert any(found), "not even those between the inputs of a join were found"


WIRES = "y = getattr(self, f'y_{branch}'); m.d.comb += [y.valid.eq(%s), y.payload.eq(%s), queue.y.ready.eq(y.ready)]"
CONNECT, TAKEN = 'wiring.connect(m, queue.y, wiring.flipped(getattr(self, f"y_{branch}")))', "reduce(and_, left))"
FAULTS = [
    (CONNECT, WIRES % ("queue.y.valid & y.ready", "queue.y.payload"), "y_1__ready -> y_1__valid"),
    (CONNECT, WIRES % ("queue.y.valid", "queue.y.payload ^ self.x.payload"), "x__payload -> y_0__payload"),
    (TAKEN, "reduce(and_, left) | self.y_0.ready)", "y_0__ready -> x__ready"),
    (TAKEN, "reduce(and_, left) & self.x.valid)", "x__valid -> x__ready"),
]


@pytest.mark.parametrize("right, wrong, path", FAULTS, ids=[path for _, _, path in FAULTS])
def test_a_seeded_path_is_found(right, wrong, path, tmp_path):
    stage = with_fault(fork, right, wrong).ForkStage(1, 1, IntType(2), 2)
    assert path in wrong_paths(stage, *find_paths([stage], tmp_path))
