"""Moves lookup tables in front of ECP5 carry cells into them: masks, selects and partial products then cost nothing.

Half a CCU2C computes P = f(A, B, C, D). Its sum is P xor carry-in; its carry-out is carry-in where P is 1, and
f(A, B, 0, 0) where P is 0 (so say the models of yosys and Project Trellis). yosys ties C and D, and leaves whatever is
in front of an adder in lookup tables of their own. One of these can go if P over what it reads, and what the half
reads besides, still is a function of at most four nets, two of which tell the carry wherever P is 0. All that is
decided by truth tables: the new cell does what the two did. In a sum of two partial products, (a and b) + (c and d),
all four inputs of a half are in use and no lookup table is left.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import permutations, product

from .netlist import Bit, Module, find_readers

_PINS = "ABCD"
_CONSTANTS = {"0": 0, "1": 1}
_TIED = 4  # stands for no net but a constant 1
_PLACES = ("AC", "BD", "AD", "BC")  # of two nets, in turn
Values = tuple[int, ...]


def absorb_lookups(module: Module) -> tuple[Module, int]:
    """The module with lookup tables that only carry cells read moved into these, and how many that were."""
    cells = dict(module["cells"])
    readers = find_readers(module)
    moved = 0
    for name, cell in module["cells"].items():
        if cell["type"] != "LUT4":
            continue
        places = readers[cell["connections"]["Z"][0]]
        edits = _merge_into_all(cells, cell, places)
        if edits:
            cells |= edits
            del cells[name]
            moved += 1
    return module | {"cells": cells}, moved


def spread_inputs(module: Module) -> tuple[Module, int]:
    """The module with the two nets of each half of a carry cell on other pins in turn, and how many halves changed.

    yosys has all of them on A and B. The pins of a carry cell are not the router's to swap, so around long chains the
    wires to A and B run out. Only one of an adder's operands has to be on A or B, where the carry is read.
    """
    cells, turn, changed = dict(module["cells"]), 0, 0
    for name, cell in module["cells"].items():
        if cell["type"] != "CCU2C":
            continue
        for half in range(2):
            spread = _spread(cells[name], half, turn % len(_PLACES))
            turn += 1
            if spread is not None:
                cells[name] = spread
                changed += 1
    return module | {"cells": cells}, changed


def _spread(cell: Module, half: int, turn: int) -> Module | None:
    """The cell with a half's nets on the pins whose turn it is; None where these are not two, or cannot be there."""
    wires, parameters = cell["connections"], cell["parameters"]
    pins = [wires[f"{letter}{half}"][0] for letter in _PINS]
    nets = tuple(dict.fromkeys(pin for pin in pins if pin not in _CONSTANTS))
    if len(nets) != 2 or "x" in pins or parameters[f"INJECT1_{half}"].strip() != "NO":
        return None
    order = tuple(_place_of(pin, nets, "") for pin in pins)
    found = _arrange_two(order, int(parameters[f"INIT{half}"], 2), turn)
    if found is None:
        return None
    return _rearrange(cell, half, nets, *found)


@cache
def _arrange_two(pins: tuple, init: int, turn: int) -> tuple[int, tuple[int, ...]] | None:
    """INIT and arrangement of a half with two nets, on A or B the one that tells the carry."""
    places = [dict(zip(_PLACES[turn], order)) for order in ((0, 1), (1, 0))]
    arrangements = [tuple(place.get(letter, _TIED) for letter in _PINS) for place in places]
    return _fit_first(_tabulate(2, pins, init, (), 0), 2, arrangements)


def _merge_into_all(cells: dict[str, Module], lookup: Module, places: list[tuple[str, str]]) -> dict[str, Module]:
    """The carry cells at ``places`` with the lookup table in each; none if one of them cannot take it."""
    edits: dict[str, Module] = {}
    for name, pin in dict.fromkeys(places):
        carry = edits.get(name) or cells.get(name)
        if carry is None or carry["type"] != "CCU2C" or pin == "CIN":
            return {}
        merged = _merge(carry, int(pin[1]), lookup)
        if merged is None:
            return {}
        edits[name] = merged
    return edits


def _merge(carry: Module, half: int, lookup: Module) -> Module | None:
    """The carry cell with the lookup table in one half, wherever that half reads it; None if it does not fit."""
    wires, parameters = carry["connections"], carry["parameters"]
    pins = [wires[f"{letter}{half}"][0] for letter in _PINS]
    if parameters[f"INJECT1_{half}"].strip() != "NO" or "x" in pins:
        return None
    result = lookup["connections"]["Z"][0]
    inputs = [lookup["connections"].get(letter, ["0"])[0] for letter in _PINS]
    # A lookup table that reads x does not depend on it.
    inputs = ["0" if bit == "x" else bit for bit in inputs]
    nets = tuple(dict.fromkeys(bit for bit in (*pins, *inputs) if bit not in _CONSTANTS and bit != result))
    if len(nets) > 4:
        return None
    order = tuple(_place_of(bit, nets, result) for bit in pins)
    read = tuple(_place_of(bit, nets, result) for bit in inputs)
    found = _fit(len(nets), order, int(parameters[f"INIT{half}"], 2), read, int(lookup["parameters"]["INIT"], 2))
    if found is None:
        return None
    return _rearrange(carry, half, nets, *found)


def _rearrange(carry: Module, half: int, nets: tuple[Bit, ...], init: int, arrangement: tuple[int, ...]) -> Module:
    """The carry cell with another INIT in one half, and ``nets`` on its pins."""
    moved = {f"{letter}{half}": ["1" if net == _TIED else nets[net]] for letter, net in zip(_PINS, arrangement)}
    return carry | {
        "parameters": carry["parameters"] | {f"INIT{half}": f"{init:016b}"},
        "connections": carry["connections"] | moved,
    }


def _place_of(bit: Bit, nets: tuple[Bit, ...], result: Bit) -> int | str:
    """Where a pin gets its value: a number of ``nets``, a constant as text, or the lookup table's result."""
    if bit == result:
        return "result"
    return bit if isinstance(bit, str) else nets.index(bit)


@cache
def _fit(count: int, pins: tuple, init: int, read: tuple, lookup: int) -> tuple[int, tuple[int, ...]] | None:
    """INIT, and the net on each of A, B, C, D, of a half that does what half and lookup table do; None if none does."""
    return _fit_first(_tabulate(count, pins, init, read, lookup), count, _arrangements(count))


def _fit_first(
    table: dict[Values, tuple[int, int]], count: int, arrangements: Iterable[tuple[int, ...]]
) -> tuple[int, tuple[int, ...]] | None:
    """The first arrangement that can do what ``table`` says, behind its INIT."""
    for arrangement in arrangements:
        fitted = _fit_arrangement(table, count, arrangement)
        if fitted is not None:
            return fitted, arrangement
    return None


def _tabulate(count: int, pins: tuple, init: int, read: tuple, lookup: int) -> dict[Values, tuple[int, int]]:
    """Values of the nets -> P and the carry where P is 0."""
    table = {}
    for values in product((0, 1), repeat=count):
        result = _look_up(lookup, [_value(pin, values, 0) for pin in read])
        a, b, c, d = (_value(pin, values, result) for pin in pins)
        table[values] = _look_up(init, [a, b, c, d]), _look_up(init, [a, b, 0, 0])
    return table


def _value(pin: int | str, values: Values, result: int) -> int:
    if isinstance(pin, int):
        return values[pin]
    return result if pin == "result" else _CONSTANTS[pin]


def _look_up(init: int, inputs: list[int]) -> int:
    return init >> sum(value << place for place, value in enumerate(inputs)) & 1


def _arrangements(count: int) -> Iterator[tuple[int, ...]]:
    """Nets on A, B, C, D; pins left over are tied to 1, D first, which leaves the carry function free."""
    slots = [*range(count), *[_TIED] * (4 - count)]
    yield from sorted(set(permutations(slots)), key=lambda slots: [place == _TIED for place in slots])


def _fit_arrangement(table: dict[Values, tuple[int, int]], count: int, arrangement: tuple[int, ...]) -> int | None:
    """The INIT that makes a half with its nets so arranged do what ``table`` says; None if there is none."""
    bits: dict[int, int] = {}
    for values, (propagates, generates) in table.items():
        pins = [1 if net == _TIED else values[net] for net in arrangement]
        address = sum(value << place for place, value in enumerate(pins))
        wanted = [(address, propagates)] + ([] if propagates else [(address & 3, generates)])
        if any(bits.setdefault(place, bit) != bit for place, bit in wanted):
            return None
    if arrangement[3] == _TIED:
        # C does not matter where D is 0: then neither would it to a device that let it into the carry.
        bits |= {place + 4: bit for place, bit in bits.items() if place < 4}
    return sum(bit << place for place, bit in bits.items())
