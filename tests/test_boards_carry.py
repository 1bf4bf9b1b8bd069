"""A lookup table moves into the carry cells behind it only if sum and carry stay the same for all inputs."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from espalier.boards.carry import absorb_lookups, spread_inputs

ADD, PINS = 0x96AA, "ABCD"  # the INIT that yosys gives an adder: A + B with D tied to 1 and C to 0
NETS = (2, 3, 4, 5, 6)
AND = 0b1000100010001000


def lookup(init, inputs, result):
    wires = {pin: [bit] for pin, bit in zip(PINS, inputs)} | {"Z": [result]}
    directions = dict.fromkeys(PINS, "input") | {"Z": "output"}
    return {"type": "LUT4", "parameters": {"INIT": f"{init:016b}"}, "connections": wires, "port_directions": directions}


def carry(halves, inject="NO"):
    """halves: for each of two, INIT and the nets on A, B, C, D."""
    parameters = {f"INIT{half}": f"{init:016b}" for half, (init, _) in enumerate(halves)}
    parameters |= {"INJECT1_0": inject, "INJECT1_1": inject}
    wires = {f"{pin}{half}": [bit] for half, (_, nets) in enumerate(halves) for pin, bit in zip(PINS, nets)}
    wires |= {"CIN": [90], "S0": [91], "S1": [92], "COUT": [93]}
    directions = {port: "output" if port in ("S0", "S1", "COUT") else "input" for port in wires}
    return {"type": "CCU2C", "parameters": parameters, "connections": wires, "port_directions": directions}


def module(**cells):
    return {"attributes": {}, "ports": {}, "cells": cells, "netnames": {}}


def behave(cells, values):
    """Sum and carry tables of all carry cells, for given values of the nets: P and g of both halves."""
    values = values | {"0": 0, "1": 1}
    for cell in cells.values():
        if cell["type"] == "LUT4":
            values[cell["connections"]["Z"][0]] = read(cell["parameters"]["INIT"], cell, PINS, values)
    found = []
    for name in sorted(cells):
        for half in (0, 1) if cells[name]["type"] == "CCU2C" else ():
            pins = [f"{pin}{half}" for pin in PINS]
            init = cells[name]["parameters"][f"INIT{half}"]
            propagates = read(init, cells[name], pins, values)
            generates = read(init, cells[name], pins[:2], values)
            found.append((propagates, None if propagates else generates))
    return found


def read(init, cell, pins, values):
    return int(init, 2) >> sum(values[cell["connections"][pin][0]] << place for place, pin in enumerate(pins)) & 1


def same(before, after):
    assignments = [dict(zip(NETS, bits)) for bits in product((0, 1), repeat=len(NETS))]
    return all(behave(before["cells"], values) == behave(after["cells"], values) for values in assignments)


@given(
    st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
    st.lists(st.lists(st.sampled_from([*NETS, "0", "1"]), min_size=4, max_size=4), min_size=2, max_size=2),
    st.lists(st.sampled_from([*NETS[:3], 50, 51, "0", "1"]), min_size=8, max_size=8),
    st.booleans(),
)
def test_any_cells_behave_as_before(inits, inputs, pins, is_adder):
    first, second = (ADD, ADD) if is_adder else inits[2:]
    before = module(
        one=lookup(inits[0], inputs[0], 50),
        two=lookup(inits[1], inputs[1], 51),
        sum=carry([(first, pins[:4]), (second, pins[4:])]),
    )
    assert same(before, absorb_lookups(before)[0])


def test_sum_of_two_partial_products_needs_no_lookup_table():
    before = module(
        one=lookup(AND, [2, 3, "0", "0"], 50),
        two=lookup(AND, [4, 5, "0", "0"], 51),
        sum=carry([(ADD, [50, 51, "0", "1"]), (ADD, ["0", "0", "0", "1"])]),
    )
    after, moved = absorb_lookups(before)
    assert (moved, list(after["cells"])) == (2, ["sum"])
    assert same(before, after)


def test_lookup_table_with_another_reader_stays():
    before = module(
        one=lookup(AND, [2, 3, "0", "0"], 50),
        other=lookup(AND, [50, 4, "0", "0"], 60),
        sum=carry([(ADD, [50, 5, "0", "1"]), (ADD, ["0", "0", "0", "1"])]),
    )
    assert absorb_lookups(before) == (before, 0)


def test_lookup_table_read_by_two_halves_moves_into_both():
    before = module(
        one=lookup(AND, [2, 3, "0", "0"], 50),
        sum=carry([(ADD, [50, 5, "0", "1"]), (ADD, [4, 50, "0", "1"])]),
    )
    after, moved = absorb_lookups(before)
    assert (moved, same(before, after)) == (1, True)


def test_half_that_ignores_its_carry_is_left_alone():
    halves = [(ADD, [50, 5, "0", "1"]), (ADD, ["0", "0", "0", "1"])]
    before = module(one=lookup(AND, [2, 3, "0", "0"], 50), sum=carry(halves, inject="YES"))
    assert absorb_lookups(before) == (before, 0)


def test_five_nets_do_not_fit():
    before = module(
        one=lookup(0x8000, [2, 3, 4, 5], 50),
        sum=carry([(ADD, [50, 6, "0", "1"]), (ADD, ["0", "0", "0", "1"])]),
    )
    assert absorb_lookups(before) == (before, 0)


@given(
    st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
    st.lists(st.sampled_from([*NETS[:3], "0", "1"]), min_size=16, max_size=16),
)
def test_cells_with_their_nets_on_other_pins_behave_as_before(inits, pins):
    halves = [(init, pins[4 * place : 4 * place + 4]) for place, init in enumerate(inits)]
    before = module(one=carry(halves[:2]), two=carry(halves[2:]))
    assert same(before, spread_inputs(before)[0])


def test_the_operands_of_a_sum_take_turns_on_all_four_pins():
    before = module(one=carry([(ADD, [2, 3, "0", "1"])] * 2), two=carry([(ADD, [4, 5, "0", "1"])] * 2))
    after, changed = spread_inputs(before)
    taken = [pin for cell in after["cells"].values() for pin, nets in cell["connections"].items() if nets[0] in NETS]
    assert changed == 4
    assert sorted(taken) == ["A0", "A0", "B1", "B1", "C0", "C1", "D0", "D1"]
    assert same(before, after)


def test_a_half_that_ignores_its_carry_keeps_its_pins():
    before = module(sum=carry([(ADD, [2, 3, "0", "1"])] * 2, inject="YES"))
    assert spread_inputs(before) == (before, 0)
