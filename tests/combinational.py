"""Which ports of a component depend on which others within the same cycle, by walking its netlist."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from espalier.boards.netlist import read_netlist
from espalier.boards.yosys import run_yosys

# What has outputs only a clock edge after its inputs, or none. All other cells, unknown ones too, are combinational.
INTERRUPTING = {"$_DFF_P_", "$memwr_v2", "$meminit", "$meminit_v2", "$scopeinfo"}

PREPARE = ["hierarchy -top top", "proc", "flatten", "opt_expr", "pmuxtree", "simplemap", "opt_clean"]
TIMEOUT_S = 300

Paths = set[tuple[str, str]]


def find_paths(components: Sequence[Elaboratable], folder: Path) -> list[Paths]:
    """Of each component, the (input port, output port) between which a path leads that no register interrupts."""
    script = []
    for number, component in enumerate(components):
        (folder / f"{number}.il").write_text(rtlil.convert(component, name="top", emit_src=False))
        script += ["design -reset", f"read_rtlil {number}.il", *PREPARE, f"write_json {number}.json"]
    (folder / "script").write_text("\n".join(script))
    run_yosys("script script", folder, "log", TIMEOUT_S)
    return [_paths(read_netlist(folder / f"{number}.json", "top")["top"]) for number in range(len(components))]


def _paths(module) -> Paths:
    """Each cell is taken to mix all that it reads; most words have been taken apart into cells of one bit."""
    onwards = defaultdict(set)
    for cell in module["cells"].values():
        if cell["type"] in INTERRUPTING or int(cell["parameters"].get("CLK_ENABLE", "0"), 2):
            continue
        ways = cell["port_directions"]
        makes = [bit for port, bits in cell["connections"].items() if ways[port] == "output" for bit in bits]
        for port, bits in cell["connections"].items():
            for bit in bits if ways[port] == "input" else []:
                onwards[bit].update(makes)
    ports = module["ports"].items()
    outputs = {bit: name for name, port in ports if port["direction"] == "output" for bit in port["bits"]}
    inputs = [(name, port["bits"]) for name, port in ports if port["direction"] == "input"]
    return {(name, outputs[bit]) for name, bits in inputs for bit in _reach(onwards, bits) & outputs.keys()}


def _reach(onwards: Mapping, start: Iterable) -> set:
    """Nets that depend on ``start``, which are no constants."""
    found, waiting = set(), list(start)
    while waiting:
        bit = waiting.pop()
        if bit not in found:
            found.add(bit)
            waiting += onwards.get(bit, ())
    return found
