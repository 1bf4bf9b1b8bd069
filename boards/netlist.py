"""yosys' JSON netlist: reading, counting, and finding the registers that a hard block could take in."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ToolError

Module = dict[str, Any]
Bit = int | str  # the number of a net, or "0", "1", "x"
Readers = Mapping[Bit, list[tuple[str, str]]]


@dataclass(frozen=True)
class Absorbed:
    """What an edit did: flip-flops removed, blocks or their ports changed, and those left as they were, with why;
    lookup tables moved into carry cells; carry chains that are no more, for their sums share others."""

    flip_flops: int
    places: int
    left: dict[str, str]
    lookups: int = 0
    sums: int = 0


@dataclass(frozen=True)
class Clock:
    """A clock net and its edge."""

    net: Bit
    is_falling: bool = False


class Stuck(Exception):
    """A register that cannot move without changing what the design does; the text says why."""


def read_netlist(path: Path, top: str) -> dict[str, Module]:
    """The modules that make up ``top`` in yosys' JSON file, without the boxes that stand for cells of the device."""
    modules = json.loads(path.read_text())["modules"]
    if top not in modules:
        raise ToolError(f"yosys: {path.name} has no module {top}")
    kept: dict[str, Module] = {}
    waiting = [top]
    while waiting:
        name = waiting.pop()
        if name in kept or name not in modules or _is_box(modules[name]):
            continue
        kept[name] = modules[name]
        waiting += [cell["type"] for cell in modules[name]["cells"].values()]
    return kept


def _is_box(module: Module) -> bool:
    return any(name in module["attributes"] for name in ("blackbox", "whitebox", "abc9_box", "lib_whitebox"))


def ports_of(module: Module) -> dict[str, tuple[str, int]]:
    """Direction and width of each port."""
    return {name: (port["direction"], len(port["bits"])) for name, port in module["ports"].items()}


def count_cells(module: Module) -> Counter[str]:
    """Cells of a flattened module by type."""
    return Counter(cell["type"] for cell in module["cells"].values())


def find_readers(module: Module) -> Readers:
    """For each net the (cell, port) that read it; a port of the module is a reader named ''."""
    readers: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for bit in bits:
                    readers[bit].append((name, port))
    for description in module["ports"].values():
        if description["direction"] != "input":
            for bit in description["bits"]:
                readers[bit].append(("", ""))
    return readers


def find_register_behind(module: Module, readers: Readers, bit: Bit, clock: Clock) -> str:
    """The flip-flop that alone reads ``bit`` and that a block clocked by ``clock`` could take in; raises Stuck."""
    if len(readers[bit]) != 1:
        raise Stuck(f"it is read in {len(readers[bit])} places")
    name, port = readers[bit][0]
    if not name or module["cells"][name]["type"] != "TRELLIS_FF" or port != "DI":
        raise Stuck("it does not go to a flip-flop")
    check_register(module["cells"][name], clock)
    return name


def check_register(register: Module, clock: Clock) -> None:
    """Raise Stuck unless a flip-flop samples always, at that clock edge, has no reset and starts at 0."""
    wires, parameters = register["connections"], register["parameters"]
    if wires["CLK"] != [clock.net]:
        raise Stuck("the register has another clock")
    if (parameters["CLKMUX"].strip() == "INV") != clock.is_falling:
        raise Stuck("the register has another clock edge")
    if not (parameters["CEMUX"].strip() == "1" or (parameters["CEMUX"] == "CE" and wires.get("CE") == ["1"])):
        raise Stuck("the register has an enable")
    if wires.get("LSR", ["0"]) != ["0"] or parameters.get("LSRMUX", "LSR").strip() != "LSR":
        raise Stuck("the register has a reset")
    if parameters["REGSET"].strip() != "RESET":
        raise Stuck("the register starts at 1")
