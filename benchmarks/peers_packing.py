"""What a peer would get from sharing carry chains, as our own flow does for our adders: cells, counted by nextpnr.

    python benchmarks/peers_packing.py build/peers/A/da4ml-pipelined/ecp5-kept/netlist.json -o build/packing

Sums as deep as each other behind registers share a chain of at most as many halves as boards/chains.py allows; a half
between two of them starts the carry anew. That is counted, not proved: the edited netlist is thrown away.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from peers_mapping import Effort, pack_cells

from espalier.boards.chains import LONGEST_CHAIN
from espalier.boards.netlist import Bit, Module, find_readers, read_netlist

# Starts a carry of 0 or 1: P is 0, and the carry is that of the two lowest inputs, which are 1.
STARTS = {"0": "0" * 16, "1": "0" * 12 + "1000"}
PINS = tuple(f"{letter}{half}" for half in range(2) for letter in "ABCD")
Half = tuple[str, tuple[Bit, ...], list[Bit]]  # INIT, inputs, the net of its sum


@dataclass(frozen=True)
class Chain:
    """A carry chain: its cells, the carry that it starts with, its halves without those that nothing reads."""

    cells: tuple[str, ...]
    carry: str
    halves: tuple[Half, ...]


def find_chains(module: Module) -> Iterator[Chain]:
    """Chains that start with a constant and whose last carry nothing reads."""
    readers, cells = find_readers(module), module["cells"]
    after = {cell["connections"]["CIN"][0]: name for name, cell in cells.items() if cell["type"] == "CCU2C"}
    for name, cell in cells.items():
        if cell["type"] != "CCU2C" or cell["connections"]["CIN"][0] not in STARTS:
            continue
        names = [name]
        while (carry := cells[names[-1]]["connections"].get("COUT", ["x"])[0]) in after:
            names.append(after[carry])
        halves = [half for name in names for half in _halves(cells[name])]
        while halves and not any(readers.get(bit) for bit in halves[-1][2]):
            halves.pop()
        if not readers.get(carry):
            yield Chain(tuple(names), cell["connections"]["CIN"][0], tuple(halves))


def _halves(cell: Module) -> Iterator[Half]:
    wires = cell["connections"]
    for half in range(2):
        inputs = tuple(wires[pin][0] for pin in PINS[4 * half : 4 * half + 4])
        yield cell["parameters"][f"INIT{half}"], inputs, wires.get(f"S{half}", [])


def find_depths(module: Module, chains: Mapping[int, Chain]) -> dict[int, int]:
    """For each chain, by number, how many chains a signal passes from a register to its sums."""
    drivers: dict[Bit, list[Bit]] = {}
    owner: dict[Bit, int] = {}
    for number, chain in chains.items():
        reads = [bit for half in chain.halves for bit in half[1]]
        for _, _, total in chain.halves:
            drivers |= dict.fromkeys(total, reads)
            owner |= dict.fromkeys(total, number)
    for cell in module["cells"].values():
        if cell["type"] in ("LUT4", "PFUMX", "L6MUX21"):
            outputs = [port for port, way in cell["port_directions"].items() if way == "output"]
            reads = [bit for port, bits in cell["connections"].items() if port not in outputs for bit in bits]
            drivers |= {bit: reads for port in outputs for bit in cell["connections"][port]}
    depths: dict[Bit, int] = {}
    for start in list(drivers):
        waiting = [start]
        while waiting:
            bit = waiting[-1]
            needed = [other for other in drivers.get(bit, []) if other not in depths and other in drivers]
            if needed:
                waiting += needed
                continue
            waiting.pop()
            depths[bit] = int(bit in owner) + max((depths.get(other, 0) for other in drivers.get(bit, [])), default=0)
    return {number: depths[bit] for bit, number in owner.items()}


def share_chains(module: Module) -> tuple[Module, int]:
    """The module with its sums in as few chains as there can be, and how many chains it has less."""
    chains = dict(enumerate(chain for chain in find_chains(module) if chain.halves))
    groups: dict[int, list[Chain]] = defaultdict(list)
    for number, depth in find_depths(module, chains).items():
        groups[depth].append(chains[number])
    nets = count(1 + max(bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int)))
    cells, fewer = dict(module["cells"]), 0
    for group in groups.values():
        # The longest first: each goes where there is still room.
        shared: list[list[Chain]] = []
        for chain in sorted(group, key=lambda chain: -len(chain.halves)):
            room = (one for one in shared if _length(one) + 1 + len(chain.halves) <= LONGEST_CHAIN)
            target = next(room, None)
            if target is None:
                shared.append([chain])
            else:
                target.append(chain)
        for one in shared:
            pattern = module["cells"][one[0].cells[0]]
            for name in (name for chain in one for name in chain.cells):
                del cells[name]
            cells |= _build(one, pattern, nets)
            fewer += len(one) - 1
    return module | {"cells": cells}, fewer


def _length(chains: list[Chain]) -> int:
    return sum(len(chain.halves) + 1 for chain in chains) - 1


def _build(chains: list[Chain], pattern: Module, nets: Iterator[int]) -> dict[str, Module]:
    halves: list[Half] = list(chains[0].halves)
    for chain in chains[1:]:
        halves += [(STARTS[chain.carry], ("1",) * 4, []), *chain.halves]
    halves += [(STARTS["0"], ("1",) * 4, [])] * (len(halves) % 2)
    cells: dict[str, Module] = {}
    carry: Bit = chains[0].carry
    for place in range(0, len(halves), 2):
        wires: dict[str, list[Bit]] = {"CIN": [carry], "COUT": [carry := next(nets)]}
        parameters = dict(pattern["parameters"])
        for number, (init, inputs, total) in enumerate(halves[place : place + 2]):
            parameters[f"INIT{number}"] = init
            wires |= {pin: [bit] for pin, bit in zip(PINS[4 * number : 4 * number + 4], inputs, strict=True)}
            wires[f"S{number}"] = total or [next(nets)]
        name = f"{chains[0].cells[0]}.shared_{place // 2}"
        cells[name] = pattern | {"parameters": parameters, "connections": wires}
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("netlist", type=Path, help="of yosys, for ECP5, flat")
    parser.add_argument("--top", default="peer")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    module, fewer = share_chains(read_netlist(options.netlist, options.top)[options.top])
    shared = options.output / "shared.json"
    shared.write_text(json.dumps({"modules": {options.top: module}}))
    cells = [sum(cell["type"] == kind for cell in module["cells"].values()) for kind in ("LUT4", "CCU2C")]
    packed = {
        name: pack_cells(options.top, netlist, Effort(), options.output)
        for name, netlist in (("as it is", options.netlist), ("shared", shared))
    }
    print(f"{fewer} chains less; then {cells[0]} LUT4 and {cells[1]} CCU2C")
    print(json.dumps(packed | {"effort": asdict(Effort())}, indent=2))


if __name__ == "__main__":
    main()
