"""The slowest path from clock to clock, step by step, and how fast each layer could be clocked."""

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from .bars import Bars, draw_bars, legend
from .figures import Build
from .markup import el, svg, text
from .tables import scroll, table

WIDTH, HEIGHT = 1100, 46  # of the path as one bar
KINDS = ("clk-to-q", "logic", "carry", "routing", "setup")


def path_section(build: Build) -> list[Element]:
    """Empty where nothing was placed."""
    synth = build.synth
    if synth is None or synth["critical_path"] is None:
        return []
    path, clock = synth["critical_path"], build.plan["clock_mhz"]
    stages = {where: name for name, where in build.found["generate"]["stages"].items()}
    start, end = (stages.get(path[side], path[side]) for side in ("start", "end"))
    where = f"inside {start}" if start == end else f"from {start} to {end}"
    steps = [read_step(step, stages) for step in path["steps"]]
    rates = [Bars(name, (row["fmax_mhz"],)) for name, row in synth["layers"].items() if row["fmax_mhz"] is not None]
    words = f"{path['delay_ns']:.2f} ns {where}: {synth['fmax_mhz']:.1f} MHz, {clock:g} MHz are wanted."
    mark = (clock, f"{clock:g} MHz wanted")
    return [
        el("p", words, class_="note"),
        scroll(draw_path(steps)),
        el("p", legend(tuple(kind for kind in KINDS if any(step["kind"] == kind for step in steps)))),
        table(steps, ("delay_ns", "kind", "layer", "cell_and_port")),
        el("h4", "Fmax by the layer in which paths end"),
        scroll(draw_bars("Fmax of each layer in MHz", ("measured",), rates, form=",.1f", mark=mark)),
    ]  # fmt: skip


def read_step(step: str, stages: Mapping[str, str]) -> dict[str, Any]:
    """stages: names by instance path."""
    delay, kind, cell = step.split(" ", 2)
    layer = max((where for where in stages if cell.startswith(f"{where}.")), key=len, default=None)
    return {"delay_ns": delay, "kind": kind, "layer": layer and stages[layer], "cell_and_port": cell}


def draw_path(steps: list[dict[str, Any]]) -> Element:
    """One bar, as long as the path takes."""
    scale, x, parts = (WIDTH - 2) / sum(float(step["delay_ns"]) for step in steps), 1.0, []
    for step in steps:
        wide = float(step["delay_ns"]) * scale
        parts.append(
            el(
                "g",
                el("title", f"{step['delay_ns']} ns {step['kind']} {step['cell_and_port']}"),
                el("rect", x=x, y=2, width=max(0.5, wide - 1), height=24, class_=step["kind"]),
                text(x + wide / 2, 41, step["delay_ns"], "middle") if wide > 30 else None,
            )
        )
        x += wide
    return svg(WIDTH, HEIGHT, "steps of the slowest path in nanoseconds", parts, class_="path")
