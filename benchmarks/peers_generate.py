"""Lets da4ml or Alkaid generate the Verilog of a work; runs in their environment, as a program of its own.

    ENVIRONMENT/bin/python -P benchmarks/peers_generate.py da4ml peer_workloads.npz A -o out --cutoff 2

Nothing of Espalier is loaded here, and nothing else of ours loads a peer (-P: a file of this folder has the name of a
package that the peers need). ``out`` gets the peer's project, result.json
(seconds, its own estimates, widths of the ports) and outputs.npz: random inputs, and what the peer's interpreter makes
of them.
"""

import argparse
import json
import re
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def trace_da4ml(matrices: list, described: dict[str, Any], options: argparse.Namespace) -> Any:
    from da4ml.trace import FixedVariableArray, comb_trace

    solver = {"search_all_decompose_dc": False} if options.quick else {}
    x = FixedVariableArray.from_lhs(*_ends(matrices, described), solver_options={"hard_dc": 2} | solver)
    return comb_trace(x, _apply(x, matrices, described))


def trace_alkaid(matrices: list, described: dict[str, Any], options: argparse.Namespace) -> Any:
    from alkaid.trace import FVArray, trace

    solver = {"search_all_decompose_dc": False} if options.quick else {}
    x = FVArray.from_lhs(*_ends(matrices, described), solver_options={"hard_dc": 5} | solver)
    return trace(x, _apply(x, matrices, described))


def write_da4ml(logic: Any, options: argparse.Namespace) -> Any:
    from da4ml.codegen import RTLModel

    model = RTLModel(logic, "peer", options.output, latency_cutoff=options.cutoff)
    model.write()
    return model


def write_alkaid(logic: Any, options: argparse.Namespace) -> Any:
    from alkaid.codegen import RTLModel

    model = RTLModel(logic, options.output, "peer", latency_cutoff=options.cutoff, ternary_fuse=not options.binary)
    model.write()
    return model


PEERS = {"da4ml": (trace_da4ml, write_da4ml), "alkaid": (trace_alkaid, write_alkaid)}


def _ends(matrices: list, described: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest, highest and step of each input."""
    low, high = described["in_range"]
    whole = np.ones(len(matrices[0]))
    return low * whole, high * whole, whole


def _apply(x: Any, matrices: list, described: dict[str, Any]) -> Any:
    """relu, shift and clip are, for the peers, one saturating quantization without sign."""
    for matrix, shift in zip(matrices, described["shift"], strict=True):
        x = x @ matrix.astype(np.float64)
        if shift is not None:
            x = (x * 2.0**-shift).quantize(0, described["act_bits"], 0, "SAT", "TRN")
    return x


def widths(kifs: Any) -> list[tuple[int, bool]]:
    """Bits and sign of each value of a port, the first one lowest."""
    signs, integers, fractions = (np.asarray(part).astype(int) for part in kifs)
    if fractions.any():
        raise SystemExit("the peer keeps bits behind the point, which none of the works has")
    return [(int(sign + bits), bool(sign)) for sign, bits in zip(signs, integers, strict=True)]


def read_work(path: Path, name: str) -> tuple[list[np.ndarray], dict[str, Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        described = json.loads(str(arrays["meta"]))[name]
        return [arrays[f"{name}_w{number}"] for number in range(len(described["shift"]))], described


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("works", type=Path)
    parser.add_argument("work")
    parser.add_argument("--cutoff", type=float, default=-1.0, help="of the peer's delay in a stage; -1: combinational")
    parser.add_argument("--binary", action="store_true", help="Alkaid: no three-input adders")
    parser.add_argument("--quick", action="store_true", help="one pass of the solver instead of its search")
    parser.add_argument("--frames", type=int, default=1000, help="random inputs for the peer's interpreter")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    matrices, described = read_work(options.works, options.work)
    trace, write = PEERS[options.peer]
    import_module(f"{options.peer}.codegen")  # loading is not generating
    begin, cpu = time.perf_counter(), time.process_time()
    logic = trace(matrices, described, options)
    model = write(logic, options)
    seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    low, high = described["in_range"]
    inputs = np.random.default_rng(1).integers(low, high + 1, (options.frames, len(matrices[0])))
    outputs = np.asarray(logic.predict(inputs.astype(np.float64)))
    np.savez_compressed(options.output / "outputs.npz", inputs=inputs, outputs=outputs)
    # The model's own text: Alkaid's fusion of adders happens behind the logic that it is given.
    estimate = re.search(r"(?:total_cost|Estimated cost): ([\d.]+)", repr(model))
    record = {
        "seconds": seconds, "cpu_s": cpu_s, "version": version(options.peer),
        "estimated_lut": float(estimate[1]) if estimate else None,
        "inputs": widths(logic.inp_kifs), "outputs": widths(logic.out_kifs), "about": repr(model).splitlines(),
    }  # fmt: skip
    (options.output / "result.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
