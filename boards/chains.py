"""Packs several sums into one carry chain of an ECP5, which is cheaper and faster to fill than a chain for each.

nextpnr spends about four cells on getting into and out of a carry chain. A sum that carries nothing out of its last bit
leaves the chain as it found it: the next sum can start in the next half of a cell. The sums of an adder pipeline
(hw/adder_pipeline.py) are such sums: the wires that they drive say so, and how many sums they lie deep. Only sums as
deep as each other and of one pipeline share a chain: they see the same vector in the same cycle, so that none of them
is disturbed by the numbers of another one that do not count. A sum that may carry is followed by a half that does not.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from .netlist import Bit, Module, Readers, find_readers

SUM, CARRIES = "espalier_sum", "espalier_carries"

# Halves of a packed chain. Timing analysis follows a chain through all its sums, so that a longer one seems slower.
LONGEST_CHAIN = 32

_PINS = "ABCD"


@dataclass(frozen=True)
class Half:
    """Half of a CCU2C: its lookup table, the nets of its four inputs, and of its sum if anything reads it."""

    init: str
    inputs: tuple[Bit, ...]
    total: Bit | None


# Its carry is 0, whatever comes in.
STOP = Half("0" * 16, ("1",) * 4, None)
# What is left over at the end of a chain.
SPARE = STOP


@dataclass(frozen=True)
class Chain:
    """A carry chain as yosys made it: its cells, and the halves of the sum in it. ties: the nets that it reads, and the
    cells that read its sum, directly or behind a register: what it should be placed near to."""

    cells: tuple[str, ...]
    halves: tuple[Half, ...]
    carries: bool
    ties: frozenset[Bit] = frozenset()


def pack_chains(module: Module) -> tuple[Module, int]:
    """The module with the sums that may share chains in as few as there can be, and how many chains it has less."""
    readers = find_readers(module)
    groups = _find_sums(module, readers)
    cells, nets, fewer = dict(module["cells"]), count(_highest_net(module) + 1), 0
    for chains in groups.values():
        for packed in _pack(chains):
            if len(packed) == 1:
                continue
            for chain in packed:
                for name in chain.cells:
                    del cells[name]
            cells |= _build(module["cells"][packed[0].cells[0]], packed, nets)
            fewer += len(packed) - 1
    return module | {"cells": cells}, fewer


def _find_sums(module: Module, readers: Readers) -> dict[tuple[str, int], list[Chain]]:
    """The chains that may be packed, by pipeline and depth, in the order of their names."""
    chains = {chain.halves[0].total: chain for chain in _find_chains(module, readers)}
    groups: dict[tuple[str, int], list[Chain]] = defaultdict(list)
    used: set[str] = set()  # two equal sums are one for yosys
    for name, net in module["netnames"].items():
        if SUM not in net["attributes"]:
            continue
        chain = chains.get(net["bits"][0])
        if chain is None or chain.cells[0] in used or len(chain.halves) < len(net["bits"]):
            continue
        halves = chain.halves[: len(net["bits"])]
        if any(half.total is not None for half in chain.halves[len(halves) :]):
            continue
        used.add(chain.cells[0])
        depth, carries = int(net["attributes"][SUM], 2), CARRIES in net["attributes"]
        ties = _find_ties(module, readers, halves)
        groups[name.rpartition(".")[0], depth].append(Chain(chain.cells, halves, carries, ties))
    return groups


def _find_ties(module: Module, readers: Readers, halves: Iterable[Half]) -> frozenset[Bit]:
    ties: set[Bit] = set()
    for half in halves:
        ties |= {bit for bit in half.inputs if isinstance(bit, int)}
        for cell, port in readers.get(half.total, ()) if half.total is not None else ():
            is_register = cell and module["cells"][cell]["type"] == "TRELLIS_FF" and port == "DI"
            behind = readers.get(module["cells"][cell]["connections"]["Q"][0], ()) if is_register else [(cell, port)]
            ties |= {name for name, _ in behind if name}
    return frozenset(ties)


def _find_chains(module: Module, readers: Readers) -> Iterator[Chain]:
    """Chains that begin without a carry and end without one that anything reads."""
    carries = {cell["connections"]["CIN"][0]: name for name, cell in module["cells"].items() if cell["type"] == "CCU2C"}
    for name, cell in module["cells"].items():
        if cell["type"] != "CCU2C" or cell["connections"]["CIN"] != ["0"]:
            continue
        names, halves = [name], [*_halves(cell, readers)]
        while (following := _next(module, readers, names[-1], carries)) is not None:
            names.append(following)
            halves += _halves(module["cells"][following], readers)
        last = module["cells"][names[-1]]["connections"].get("COUT", [])
        if not any(readers.get(bit) for bit in last):
            yield Chain(tuple(names), tuple(halves), carries=True)


def _next(module: Module, readers: Readers, name: str, carries: dict[Bit, str]) -> str | None:
    """The cell that alone takes the carry of a cell."""
    wire = module["cells"][name]["connections"].get("COUT", [])
    if not wire or wire[0] == "x" or len(readers.get(wire[0], ())) != 1:
        return None
    return carries.get(wire[0])


def _halves(cell: Module, readers: Readers) -> Iterator[Half]:
    wires, parameters = cell["connections"], cell["parameters"]
    for half in range(2):
        total = wires.get(f"S{half}", ["x"])[0]
        inputs = tuple(wires[f"{pin}{half}"][0] for pin in _PINS)
        yield Half(parameters[f"INIT{half}"], inputs, total if total != "x" and readers.get(total) else None)


def _pack(chains: Iterable[Chain]) -> list[list[Chain]]:
    """Chain by chain: the first sum that is left, then whichever fits and has most ties with those in it."""
    left, packed = list(chains), []
    while left:
        taken = [left.pop(0)]
        length, ties = len(taken[0].halves), set(taken[0].ties)
        while True:
            room = LONGEST_CHAIN - length - int(taken[-1].carries)
            fitting = [place for place, chain in enumerate(left) if len(chain.halves) <= room]
            if not fitting:
                break
            chosen = left.pop(max(fitting, key=lambda place: len(ties & left[place].ties)))
            length += len(chosen.halves) + int(taken[-1].carries)
            taken.append(chosen)
            ties |= chosen.ties
        packed.append(taken)
    return packed


def _build(pattern: Module, packed: list[Chain], nets: Iterator[int]) -> dict[str, Module]:
    """The cells of one chain for all sums of ``packed``, named after its first one."""
    halves: list[Half] = []
    for chain in packed:
        halves += chain.halves
        if chain.carries and chain is not packed[-1]:
            halves.append(STOP)
    halves += [SPARE] * (len(halves) % 2)
    cells: dict[str, Module] = {}
    carry: Bit = "0"
    for place in range(0, len(halves), 2):
        wires: dict[str, list[Bit]] = {"CIN": [carry], "COUT": [carry := next(nets)]}
        parameters = {"INJECT1_0": "NO", "INJECT1_1": "NO"}
        for number, half in enumerate(halves[place : place + 2]):
            parameters[f"INIT{number}"] = half.init
            wires |= {f"{pin}{number}": [bit] for pin, bit in zip(_PINS, half.inputs, strict=True)}
            # nextpnr wants a net on every output.
            wires[f"S{number}"] = [next(nets) if half.total is None else half.total]
        name = f"{packed[0].cells[0]}.packed_{place // 2}"
        cells[name] = pattern | {"parameters": pattern["parameters"] | parameters, "connections": wires}
    return cells


def _highest_net(module: Module) -> int:
    bits = [bit for net in module["netnames"].values() for bit in net["bits"]]
    bits += [bit for cell in module["cells"].values() for wire in cell["connections"].values() for bit in wire]
    return max((bit for bit in bits if isinstance(bit, int)), default=0)
