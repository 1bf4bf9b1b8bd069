"""Generates a work's Verilog with Espalier, every layer built whole by one engine; a program as `peers_generate.py` is.

    python benchmarks/peers_own.py peer_workloads.npz A -o out --engine spatial

``out`` gets design.v and result.json; with --simulate FRAMES the Verilog is compared with the executor, every value in
every cycle, without and with stalls. What is loaded or compiled once for a machine is not counted as time.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from model_to_verilog import warm_up
from peers_work import build_graph, read_works

from espalier.hw.design import Design, generate
from espalier.hw.folding_file import Folding
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.dense import Dense
from espalier.ir.execute import execute
from espalier.ir.graph import Graph
from espalier.sim.simulate import simulate


def build_design(graph: Graph, engine: str, clock_mhz: float = 200.0) -> Design:
    """One vector a cycle: every Dense is built whole, by ``engine``."""
    folds = {
        node.name: {"engine": engine, "pe": node.weights.shape[0], "simd": node.weights.shape[1]}
        for node in graph.nodes
        if isinstance(node, Dense)
    }
    return generate(graph, plan(graph, clock_mhz=clock_mhz, folding=Folding(layers=folds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", type=Path)
    parser.add_argument("work")
    parser.add_argument("--engine", default="spatial")
    parser.add_argument("--simulate", type=int, default=0, metavar="FRAMES")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    work = read_works(options.works)[options.work]
    warm_up()
    begin, cpu = time.perf_counter(), time.process_time()
    graph = build_graph(work)
    design = build_design(graph, options.engine)
    verilog = design.verilog()
    (options.output / "design.v").write_text(verilog)
    seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    found = analyse(design.schedules, design.links)
    record = {
        "seconds": seconds, "cpu_s": cpu_s, "top": design.top, "estimated_lut": None,
        "latency_cycles": found.latency_cycles, "ii_cycles": found.ii_cycles,
    }  # fmt: skip
    frames = work.draw(max(1000, options.simulate), seed=1)
    record["executor_is_exact"] = bool(np.array_equal(execute(graph, frames)["y"], work.evaluate(frames)))
    if options.simulate:
        record["verilog_is_exact"] = simulate(design, frames[: options.simulate], verilog=verilog, stall=0.3).is_exact
    (options.output / "result.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
