"""Packs several sums into one carry chain of an ECP5, which is cheaper and faster to fill than a chain for each.

nextpnr spends about four cells on getting into and out of a carry chain. Between two sums in one chain half a cell is
enough: whatever comes into it, it hands on no carry, or a carry to a sum that begins with one. Two kinds of sums share:

* those that go to flip-flops and nowhere else, of one layer: nothing reads them before the next cycle, so no path of
  logic leads from one sum of a chain to another, which would be a loop;
* the sums of an adder pipeline (hw/adder_pipeline.py), whose wires say that they are such, and how many sums they lie
  deep. Those as deep as each other, of one pipeline, share: no path leads from one to another either, and they see the
  same vector in the same cycle. So a sum of which the wire does not say that it may carry leaves the chain as it found
  it, for all numbers that count, and needs nothing behind it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, pairwise

from .netlist import Bit, Module, Readers, find_readers

SUM, CARRIES = "espalier_sum", "espalier_carries"

# Halves of a packed chain of an adder pipeline, and of sums in front of registers. Timing analysis follows a chain
# through all its sums, so that a longer one seems slower.
LONGEST_CHAIN, LONGEST_REGISTERED = 32, 24

# Sums among which the next one of a chain is chosen.
WINDOW = 256

_PINS = "ABCD"


@dataclass(frozen=True)
class Half:
    """Half of a CCU2C: its lookup table, the nets of its four inputs, and of its sum if anything reads it."""

    init: str
    inputs: tuple[Bit, ...]
    total: Bit | None


# Their carries are 0 and 1, whatever comes in.
STOP = Half("0" * 16, ("1",) * 4, None)
START = Half("0" * 12 + "1000", ("1",) * 4, None)


@dataclass(frozen=True)
class Chain:
    """A carry chain as yosys made it: its cells, and the halves of the sum in it. starts: with a carry; carries: out
    of its last half, perhaps. ties: the nets that it reads, and the cells that read its sum, directly or behind a
    register: what it should be placed near to."""

    cells: tuple[str, ...]
    halves: tuple[Half, ...]
    starts: bool
    carries: bool = True
    ties: frozenset[Bit] = frozenset()

    def after(self, before: "Chain") -> tuple[Half, ...]:
        """What has to stand between the two."""
        if self.starts:
            return (START,)
        return (STOP,) if before.carries else ()


def pack_chains(module: Module) -> tuple[Module, int]:
    """The module in which sums share chains where they may, and how many chains it has less."""
    readers = find_readers(module)
    chains = list(_find_chains(module, readers))
    sums = _find_sums(module, readers, chains)
    taken = {chain.cells[0] for group in sums.values() for chain in group}
    registered = _find_registered(module, readers, [chain for chain in chains if chain.cells[0] not in taken])
    cells, nets, fewer = dict(module["cells"]), count(_highest_net(module) + 1), 0
    packs = [pack for group in sums.values() for pack in _pack(group, LONGEST_CHAIN)]
    packs += [pack for group in registered.values() for pack in _pack(group, LONGEST_REGISTERED)]
    for packed in packs:
        if len(packed) > 1:
            for chain in packed:
                for name in chain.cells:
                    del cells[name]
            cells |= _build(module["cells"][packed[0].cells[0]], packed, nets)
            fewer += len(packed) - 1
    return module | {"cells": cells}, fewer


def _find_registered(module: Module, readers: Readers, chains: Iterable[Chain]) -> dict[str, list[Chain]]:
    """By layer, those of ``chains`` whose sums go to flip-flops only."""
    layers = {bit: name.partition(".")[0] for name, net in module["netnames"].items() for bit in net["bits"]}
    groups: dict[str, list[Chain]] = defaultdict(list)
    for chain in chains:
        halves = list(chain.halves)
        while halves and halves[-1].total is None:
            halves.pop()
        totals = [half.total for half in halves if half.total is not None]
        if totals and all(_is_flip_flop(module, *reader) for total in totals for reader in readers[total]):
            ties = _find_ties(module, readers, halves)
            groups[layers[totals[0]]].append(replace(chain, halves=tuple(halves), ties=ties))
    return groups


def _is_flip_flop(module: Module, cell: str, port: str) -> bool:
    return cell != "" and module["cells"][cell]["type"] == "TRELLIS_FF" and port == "DI"


def _find_sums(module: Module, readers: Readers, every: Iterable[Chain]) -> dict[tuple[str, int], list[Chain]]:
    """Those of an adder pipeline, by pipeline and depth, in the order of their names."""
    chains = {chain.halves[0].total: chain for chain in every if not chain.starts}
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
        groups[name.rpartition(".")[0], depth].append(Chain(chain.cells, halves, False, carries, ties))
    return groups


def _find_ties(module: Module, readers: Readers, halves: Iterable[Half]) -> frozenset[Bit]:
    ties: set[Bit] = set()
    for half in halves:
        ties |= {bit for bit in half.inputs if isinstance(bit, int)}
        for cell, port in readers.get(half.total, ()) if half.total is not None else ():
            is_register = _is_flip_flop(module, cell, port)
            behind = readers.get(module["cells"][cell]["connections"]["Q"][0], ()) if is_register else [(cell, port)]
            ties |= {name for name, _ in behind if name}
    return frozenset(ties)


def _find_chains(module: Module, readers: Readers) -> Iterator[Chain]:
    """Chains that begin with a constant and end without a carry that anything reads."""
    carries = {cell["connections"]["CIN"][0]: name for name, cell in module["cells"].items() if cell["type"] == "CCU2C"}
    for name, cell in module["cells"].items():
        if cell["type"] != "CCU2C" or (first := cell["connections"]["CIN"][0]) not in ("0", "1"):
            continue
        names, halves = [name], [*_halves(cell, readers)]
        while (following := _next(module, readers, names[-1], carries)) is not None:
            names.append(following)
            halves += _halves(module["cells"][following], readers)
        last = module["cells"][names[-1]]["connections"].get("COUT", [])
        if not any(readers.get(bit) for bit in last):
            yield Chain(tuple(names), tuple(halves), starts=first == "1")


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


def _pack(chains: Iterable[Chain], longest: int) -> list[list[Chain]]:
    """Chain by chain: the first sum that is left, then whichever of the next fits and has most ties with these."""
    left, packed = list(chains), []
    while left:
        taken = [left.pop(0)]
        length, ties = len(taken[0].halves), set(taken[0].ties)
        while True:
            needs = [len(chain.after(taken[-1])) + len(chain.halves) for chain in left[:WINDOW]]
            fitting = [place for place, need in enumerate(needs) if length + need <= longest]
            if not fitting:
                break
            chosen = max(fitting, key=lambda place: len(ties & left[place].ties))
            length += needs[chosen]
            ties |= left[chosen].ties
            taken.append(left.pop(chosen))
        packed.append(taken)
    return packed


def _build(pattern: Module, packed: list[Chain], nets: Iterator[int]) -> dict[str, Module]:
    """The cells of one chain for all sums of ``packed``, named after its first one."""
    halves = [*packed[0].halves]
    for before, chain in pairwise(packed):
        halves += [*chain.after(before), *chain.halves]
    halves += [STOP] * (len(halves) % 2)
    cells: dict[str, Module] = {}
    carry: Bit = "1" if packed[0].starts else "0"
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
