"""Seconds from a model file to Verilog, step by step.

    python benchmarks/model_to_verilog.py ../shared/models/TFC_1W1A.onnx --folding examples/tfc-finn.json
    python benchmarks/model_to_verilog.py ../shared/models/qkeras_jettagging.onnx --input-type int16:0.0009765625

The solver is compiled once for each machine and kept in a cache; ``warm up`` is the time of loading or compiling it and
importing everything.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from espalier.hw.design import generate
from espalier.hw.folding_file import read_folding
from espalier.hw.planner import plan
from espalier.ir import simplify
from espalier.ir.dense import Dense
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from espalier.ir.onnx_import import import_onnx


@contextmanager
def timed(name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    print(f"{name:<12} {time.perf_counter() - begin:7.2f} s")


def warm_up() -> None:
    """A design of one weight, so that nothing is loaded or compiled in the measured run."""
    fc = Dense("fc", ("x",), IntType(2), np.array([[1]]))
    graph = Graph((Input("x", TensorType((1,), IntType(2)), (1,)),), (fc,), (Output("y", "fc", (1,)),))
    generate(graph, plan(graph)).verilog()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input-type")
    parser.add_argument("--folding", type=Path)
    given = parser.parse_args()
    with timed("warm up"):
        warm_up()
    begin = time.perf_counter()
    with timed("import"):
        graph = simplify(import_onnx(given.model, input_type=given.input_type).graph)
    with timed("plan"):
        planned = plan(graph, folding=read_folding(given.folding) if given.folding else None)
    with timed("generate"):
        design = generate(graph, planned)
    with timed("verilog"):
        verilog = design.verilog()
    print(f"{'total':<12} {time.perf_counter() - begin:7.2f} s, {verilog.count(chr(10)):,} lines of Verilog")


if __name__ == "__main__":
    main()
