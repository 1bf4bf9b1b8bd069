"""What a network is in hardware: how much it computes, cycles by plan, and area where a device is named."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..boards.devices import find_device
from ..boards.families import all_luts
from ..boards.synth import synthesize
from ..hw.design import Design, generate
from ..hw.folds import MATRICES
from ..hw.planner import plan
from ..hw.queues import analyse
from ..ir.graph import Graph
from ..ir.onnx_import import import_onnx
from ..ir.simplify import simplify
from ..ir.work import count_work

COLUMNS = "network", "multiplications", "weight_bits", "multipliers", "ii_cycles", "lut", "ff", "bram", "dsp"
"""multipliers: products a cycle, pe x simd. lut: with those of carry chains and of LUT RAM, before placing."""


def at_equal_effort(
    model: Path, device: str | None = None, at: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Figures of a QONNX file that is planned with as many multipliers as all others, the default of `espalier plan`.

    device: what yosys maps it to, if at all. at: told what is at work.
    """
    at(f"plan {model}")
    graph = simplify(import_onnx(model).graph)
    design = generate(graph, plan(graph))
    if device:
        at(f"map {model} for {device}")
    return figures_of(graph, design, device)


def figures_of(graph: Graph, design: Design, device: str | None) -> dict[str, Any]:
    """What ``COLUMNS`` names of a design of ``graph``; area where there is a ``device``."""
    work, folds = count_work(graph), [design.layer(unit.name) for unit in design.units if unit.kind in MATRICES]
    figures = {
        "multiplications": work.multiplications,
        "weight_bits": work.weight_bits,
        "multipliers": sum(fold.pe * fold.simd for fold in folds),
        "ii_cycles": analyse(design.schedules, design.links).ii_cycles,
    }
    return figures | (_area(design, device) if device else {})


def _area(design: Design, device: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "synth"
        area = synthesize(design.verilog(), design.top, device, folder, layers=(), place=False).area
    return {"lut": all_luts(area, find_device(device)), "ff": area.ff, "bram": area.bram, "dsp": area.dsp}
