"""Areas on 7-series of many small designs in one run of yosys, which takes longer to begin than to map one of them.

The stages of each design keep their boundaries, as they do where each is mapped by itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from espalier.boards import adders
from espalier.boards.area import Area
from espalier.boards.devices import find_device
from espalier.boards.families import family_of, measure
from espalier.boards.memory_files import move_contents
from espalier.boards.netlist import read_netlist
from espalier.boards.yosys import run_yosys
from espalier.hw.design import Design


def measure_batch(
    designs: Mapping[str, Design], device: str, folder: Path, timeout_s: float
) -> dict[str, dict[str, Area]]:
    """By name of the design, which is that of its top module, the area of each stage."""
    part = find_device(device)
    stages = {top: [f"{top}.{stage}" for stage in design.stages] for top, design in designs.items()}
    text = "\n".join([*(design.verilog() for design in designs.values()), _all(stages)])
    (folder / "designs.v").write_text(move_contents(text, folder))
    (folder / adders.FILE).write_text(adders.techmap_of(part.family))
    kept = [f"setattr -mod -set keep_hierarchy 1 {_word(name)}" for names in stages.values() for name in names]
    script = [
        "read_verilog -sv designs.v",
        *kept,
        *adders.prepare(text, "all_designs"),
        family_of(part).map(part, "all_designs", "netlist.json", True, False),
    ]
    run_yosys("; ".join(script), folder, "yosys.log", timeout_s)
    modules = read_netlist(folder / "netlist.json", "all_designs")
    return {
        top: {name.partition(".")[2]: measure(modules[name], part) for name in names} for top, names in stages.items()
    }


def _all(stages: Mapping[str, Sequence[str]]) -> str:
    instances = "\n".join(f"  (* keep *) {top} {top}_instance (.clk(clk), .rst(rst));" for top in stages)
    return f"module all_designs (input clk, input rst);\n{instances}\nendmodule\n"


def _word(name: str) -> str:
    return f"\\{name}"
