"""All that the page shows of one build folder, read and predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...boards.devices import Device, find_device
from ...hw.design import Design
from ..folder import BuildFolder, read_build
from ..report import layer_rows, reading, results, whole
from ..steps import design_of
from .trace import Trace, trace

KINDS = ("lut", "ff", "bram", "dsp")
"""Resources that a device has so many of; lut: with carry cells and LUT RAM."""


@dataclass(frozen=True, eq=False)
class Build:
    """found: as `espalier report --json` prints it. table, totals: as `espalier report` prints them.

    device: for which it was synthesized, else for which it was planned, if any.
    """

    name: str
    folder: BuildFolder
    found: Mapping[str, Any]
    table: Sequence[Mapping[str, Any]]
    totals: Mapping[str, Any]
    design: Design
    trace: Trace
    device: Device | None

    @property
    def plan(self) -> Mapping[str, Any]:
        return self.found["plan"]

    @property
    def synth(self) -> Mapping[str, Any] | None:
        return self.found.get("synth")

    @property
    def area(self) -> Mapping[str, int]:
        """Of the whole: measured if it is, else predicted."""
        return self.measured or self.predicted

    @property
    def predicted(self) -> Mapping[str, int]:
        return {kind: self.plan["area"][kind] for kind in KINDS}

    @property
    def measured(self) -> Mapping[str, int] | None:
        synth = self.synth
        return {**{kind: synth["area"][kind] for kind in KINDS}, "lut": synth["lut"]} if synth else None

    @property
    def latency_us(self) -> float:
        return self.plan["latency_cycles"] / self.plan["clock_mhz"]


def read_figures(path: Path, name: str) -> Build:
    """BuildError where there is no plan yet, or someone has changed the results."""
    folder = read_build(path)
    folder.need("plan")
    with reading(folder):
        found = results(folder)
        device = found["synth"]["device"] if "synth" in found else found["plan"]["area"]["device"]
        table, totals = layer_rows(folder), whole(folder)
        design = design_of(folder)
        late = trace(design, found["plan"]["ii_cycles"])
        return Build(name, folder, found, table, totals, design, late, device and find_device(device))
