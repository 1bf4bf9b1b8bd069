"""Maps a design with yosys to the cells of a device, improves the netlist, and tells which layer a cell belongs to."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import PlanError
from ..hw.double_ram import SPRAM
from . import adders
from .area import Area
from .devices import Device
from .families import check_fit, family_of, measure
from .ice40 import SPRAMS
from .layers import find_layers
from .memory_files import move_contents
from .netlist import Absorbed, Module, count_cells, read_netlist
from .yosys import run_yosys

DESIGN, NETLIST = "design.v", "netlist.json"


@dataclass(frozen=True)
class Job:
    """A design to map: Verilog of module ``top``, and where the tools run.

    layers: instance paths in the module ``design``, which is ``top`` if left out, else stands at ``place`` below it.
    dsp: multiplications may go to DSP blocks. is_whole: the ports are pins of the device. timeout_s: for each run.
    """

    verilog: str
    top: str
    device: Device
    work: Path
    layers: tuple[str, ...] = ()
    dsp: bool = True
    is_whole: bool = False
    design: str = ""
    place: str = ""
    timeout_s: float = 3600.0

    @property
    def modules(self) -> dict[str, str]:
        """Layer -> module."""
        return {layer: f"{self.design or self.top}.{layer}" for layer in self.layers}

    @property
    def paths(self) -> dict[str, str]:
        """Layer -> instance path below ``top``."""
        return {layer: f"{self.place}.{layer}" if self.place else layer for layer in self.layers}


@dataclass(frozen=True)
class Mapped:
    """A flattened netlist, without positions in sources, after our edits; what these did; its area; the layer of each
    cell that belongs to one."""

    module: Module
    absorbed: Absorbed
    area: Area
    belongs: dict[str, str]


def map_design(job: Job) -> Mapped:
    """Map the whole; its netlist is also ``work/netlist.json``, which nextpnr gets. Raises PlanError where it does not
    fit."""
    text, family = read_design(job), family_of(job.device)
    script = "; ".join([f"read_verilog -sv {DESIGN}", *_passes(job, text, job.top, NETLIST, job.is_whole)])
    run_yosys(script, job.work, f"{Path(NETLIST).stem}.log", job.timeout_s)
    module, absorbed = family.edit(read_netlist(job.work / NETLIST, job.top)[job.top])
    belongs = find_layers(module["cells"], text, DESIGN, job.paths, job.modules, family.register)
    module = _without_sources(module)
    (job.work / NETLIST).write_text(json.dumps({"modules": {job.top: module}}))
    area = measure(module, job.device)
    check_fit(area, job.device)
    _check_spram(count_cells(module)["SB_SPRAM256KA"], job.device)
    return Mapped(module, absorbed, area, belongs)


def map_layers(job: Job) -> dict[str, Area]:
    """The area of each layer, mapped by itself; registers are absorbed as in the whole."""
    if not job.layers:
        return {}
    text, names = read_design(job), job.modules
    missing = [name for name in names.values() if f"module \\{name} " not in text.replace("(", " (")]
    if missing:
        raise PlanError(f"synth: the design has no module {missing[0]}; give instance paths below {job.top} as layers")
    # Each by itself: with boundaries kept inside one design, abc9 of yosys 0.70 fails on some modules.
    script, areas = [f"read_verilog -sv {DESIGN}", "design -save read"], {}
    for number, name in enumerate(names.values()):
        script += ["design -load read", *_passes(job, text, name, f"layer{number}.json", False)]
    run_yosys("; ".join(script), job.work, "layers.log", job.timeout_s)
    for number, (layer, name) in enumerate(names.items()):
        file = job.work / f"layer{number}.json"
        edited, _ = family_of(job.device).edit(read_netlist(file, name)[name])
        areas[layer] = measure(edited, job.device)
        file.unlink()
    return areas


def write_design(job: Job) -> None:
    """Write what yosys reads; this comes first."""
    (job.work / DESIGN).write_text(move_contents(job.verilog, job.work))
    (job.work / adders.FILE).write_text(adders.techmap_of(job.device.family))


def read_design(job: Job) -> str:
    """The text that yosys reads."""
    text = (job.work / DESIGN).read_text()
    if SPRAM in text:
        _check_spram(1, job.device)
    return text


def _check_spram(needed: int, device: Device) -> None:
    found = SPRAMS.get(device.part, 0)
    if needed > found:
        raise PlanError(
            f"{device.name}: layers in memory spram need {needed} SPRAM blocks or more, it has {found}; lower their pe "
            "or simd, or choose memory ram"
        )


def _passes(job: Job, text: str, top: str, file: str, is_whole: bool) -> list[str]:
    return [*adders.prepare(text, top), family_of(job.device).map(job.device, top, file, job.dsp, is_whole)]


def _without_sources(module: Module) -> Module:
    """The module without the source positions, which hold paths of this machine."""
    bare = {
        name: cell | {"attributes": {key: value for key, value in cell["attributes"].items() if key != "src"}}
        for name, cell in module["cells"].items()
    }
    nets = {name: net | {"attributes": {}} for name, net in module["netnames"].items()}
    return module | {"cells": bare, "netnames": nets, "attributes": {}}
