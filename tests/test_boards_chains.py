"""Sums that share a carry chain give what each gave in a chain of its own, for all numbers that do not carry."""

from itertools import count

import numpy as np
import pytest

from espalier.boards import chains
from espalier.boards.chains import pack_chains
from espalier.hw import count_parts

ADD = 0x96AA
CONSTANTS = {"0": 0, "1": 1, "x": 0}


def cell(halves, carry_in, carry_out):
    """halves: for each of two, the nets on A and B and of the sum."""
    wires = {"CIN": [carry_in], "COUT": [carry_out]}
    for number, (a, b, total) in enumerate(halves):
        wires |= {f"A{number}": [a], f"B{number}": [b], f"C{number}": ["0"], f"D{number}": ["1"], f"S{number}": [total]}
    parameters = {"INIT0": f"{ADD:016b}", "INIT1": f"{ADD:016b}", "INJECT1_0": "NO", "INJECT1_1": "NO"}
    directions = {port: "output" if port in ("S0", "S1", "COUT") else "input" for port in wires}
    made = {"type": "CCU2C", "parameters": parameters, "attributes": {}}
    return made | {"connections": wires, "port_directions": directions}


def adders(widths, group=lambda index: "1", carries=()):
    """A module with a sum of two inputs for each width, which has no more bits than these, and its operands' nets."""
    nets, cells, netnames, operands, outputs = count(2), {}, {}, [], []
    for index, width in enumerate(widths):
        a, b, total = ([next(nets) for _ in range(width)] for _ in range(3))
        carry = "0"
        for place in range(0, width, 2):
            halves = [(a[i], b[i], total[i]) if i < width else ("0", "0", next(nets)) for i in (place, place + 1)]
            cells[f"p.sum_{index}_{place}"] = cell(halves, carry, following := next(nets))
            carry = following
        attributes = {chains.SUM: group(index)} | ({chains.CARRIES: "1"} if index in carries else {})
        netnames[f"p.sum_{index}"] = {"bits": total, "attributes": attributes}
        operands.append((a, b, total))
        outputs += total
    ports = {"y": {"direction": "output", "bits": outputs}}
    return {"attributes": {}, "ports": ports, "cells": cells, "netnames": netnames}, operands


def behave(module, values):
    """The values of all nets."""
    values = dict(values) | CONSTANTS
    waiting = [cell for cell in module["cells"].values() if cell["type"] == "CCU2C"]
    while waiting:
        ready = [cell for cell in waiting if cell["connections"]["CIN"][0] in values]
        assert ready, "a chain that does not begin"
        waiting = [cell for cell in waiting if cell not in ready]
        for found in ready:
            wires, carry = found["connections"], values[found["connections"]["CIN"][0]]
            for half in (0, 1):
                a, b, c, d = (values[wires[f"{pin}{half}"][0]] for pin in "ABCD")
                init = int(found["parameters"][f"INIT{half}"], 2)
                propagates = init >> (a + 2 * b + 4 * c + 8 * d) & 1
                values[wires[f"S{half}"][0]] = propagates ^ carry
                carry = carry if propagates else init >> (a + 2 * b) & 1
            values[wires["COUT"][0]] = carry
    return values


def drive(operands, rng, may_carry):
    """Random values of all operands; those that may not carry out of their last bit do not."""
    values, totals = {}, []
    for index, (a, b, total) in enumerate(operands):
        one = int(rng.integers(0, 1 << len(a)))
        two = int(rng.integers(0, 1 << len(a) if index in may_carry else (1 << len(a)) - one))
        values |= {net: one >> place & 1 for place, net in enumerate(a)}
        values |= {net: two >> place & 1 for place, net in enumerate(b)}
        totals.append((total, (one + two) % (1 << len(a))))
    return values, totals


def sum_up(module, operands, rng, may_carry, starts=()):
    """The sums of ``drive`` by ``module``, and what they are."""
    values, totals = drive(operands, rng, may_carry)
    found = behave(module, values)
    wanted = [(value + (index in starts)) % (1 << len(total)) for index, (total, value) in enumerate(totals)]
    return [sum(found[net] << place for place, net in enumerate(total)) for total, _ in totals], wanted


@pytest.mark.parametrize("carries", [(), (0, 3), range(9)])
@pytest.mark.parametrize("longest", [4, 13, 32])
def test_packed_sums_are_the_sums(longest, carries, monkeypatch):
    monkeypatch.setattr(chains, "LONGEST_CHAIN", longest)
    module, operands = adders([3, 4, 1, 7, 8, 2, 9, 5, 6], carries=carries)
    packed, fewer = pack_chains(module)
    assert (fewer > 2) == (longest > 4)
    rng = np.random.default_rng(0)
    for _ in range(100):
        found, wanted = sum_up(packed, operands, rng, carries)
        assert found == wanted


def test_sums_that_carry_without_a_word_would_disturb_their_neighbours():
    module, operands = adders([4] * 6)
    packed, _ = pack_chains(module)
    found, wanted = sum_up(packed, operands, np.random.default_rng(1), range(6))
    assert found != wanted


def test_a_chain_takes_no_more_halves_than_it_has():
    packed, fewer = pack_chains(adders([7] * 10)[0])
    assert (fewer, len(packed["cells"])) == (7, 2 * 14 + 7)


def test_sums_of_the_same_numbers_share_a_chain(monkeypatch):
    monkeypatch.setattr(chains, "LONGEST_CHAIN", 8)
    module, operands = adders([4] * 4)
    same = dict(zip(operands[3][0], operands[0][0]))  # the last sum reads a number of the first one
    for made in module["cells"].values():
        wires = {pin: [same.get(net, net) for net in nets] for pin, nets in made["connections"].items()}
        made["connections"] = wires
    packed, fewer = pack_chains(module)
    firsts = {name.partition(".packed")[0] for name in packed["cells"]}
    assert (fewer, firsts) == (2, {"p.sum_0_0", "p.sum_1_0"})
    totals = operands[0][2] + operands[3][2]
    chain = [made["connections"] for name, made in packed["cells"].items() if name.startswith("p.sum_0_0")]
    assert sorted(totals) == sorted(wires[f"S{half}"][0] for wires in chain for half in (0, 1))


def test_sums_of_other_depths_or_pipelines_share_no_chain():
    module, _ = adders([4] * 4, group=lambda index: f"{index + 1:b}")
    assert pack_chains(module) == (module, 0)
    module, _ = adders([4] * 2)
    module["netnames"]["q.sum_1"] = module["netnames"].pop("p.sum_1")
    assert pack_chains(module) == (module, 0)


def test_a_carry_that_is_read_keeps_its_chain():
    module, _ = adders([4, 4, 4])
    module["ports"]["carry"] = {"direction": "output", "bits": module["cells"]["p.sum_1_2"]["connections"]["COUT"]}
    packed, fewer = pack_chains(module)
    assert (fewer, {"p.sum_1_0", "p.sum_1_2"} <= set(packed["cells"])) == (1, True)


def test_every_output_of_a_cell_has_a_net_of_its_own():
    packed, _ = pack_chains(adders([3, 4, 1, 7], carries=(0,))[0])
    nets = [cell["connections"][port][0] for cell in packed["cells"].values() for port in ("S0", "S1", "COUT")]
    assert len(set(nets)) == len(nets) and all(isinstance(net, int) for net in nets)


def flip_flop(data, out):
    directions = {"DI": "input", "Q": "output"}
    made = {"type": "TRELLIS_FF", "parameters": {}, "attributes": {}, "port_directions": directions}
    return made | {"connections": {"DI": [data], "Q": [out]}}


def registered_sums(widths, starts=(), read=()):
    """As `adders`, but of sums that carry and go to flip-flops; starts: those that are one more; read: those that
    something else reads as well."""
    module, operands = adders(widths)
    nets = count(10_000)
    for index, (_, _, total) in enumerate(operands):
        name = f"p.sum_{index}"
        module["netnames"][name]["attributes"] = {}
        module["cells"][f"{name}_0"]["connections"]["CIN"] = ["1" if index in starts else "0"]
        for place, net in enumerate(total):
            module["cells"][f"{name}_q{place}"] = flip_flop(net, next(nets))
    outputs = [net for index in read for net in operands[index][2]]
    module["ports"] = {"y": {"direction": "output", "bits": outputs}}
    return module, operands


@pytest.mark.parametrize("starts", [(), (0, 4, 5), range(9)])
@pytest.mark.parametrize("longest", [12, 24])
def test_sums_in_front_of_registers_share_chains_whatever_they_carry(longest, starts, monkeypatch):
    monkeypatch.setattr(chains, "LONGEST_REGISTERED", longest)
    module, operands = registered_sums([3, 4, 1, 7, 8, 2, 9, 5, 6], starts)
    packed, fewer = pack_chains(module)
    assert fewer > 2
    rng = np.random.default_rng(0)
    for _ in range(100):
        found, wanted = sum_up(packed, operands, rng, range(9), starts)
        assert found == wanted


def test_what_stands_between_two_sums_is_needed(monkeypatch):
    module, operands = registered_sums([4] * 6)
    monkeypatch.setattr(chains, "STOP", chains.Half("1" * 16, ("1",) * 4, None))  # hands on whatever comes in
    packed, _ = pack_chains(module)
    found, wanted = sum_up(packed, operands, np.random.default_rng(1), range(6))
    assert found != wanted


def test_sums_that_anything_else_reads_keep_their_chains():
    module, _ = registered_sums([4] * 6, read=(0, 2))
    packed, fewer = pack_chains(module)
    assert fewer == 3
    assert all(packed["cells"][name] == module["cells"][name] for name in ("p.sum_0_0", "p.sum_2_2"))


def test_areas_are_predicted_with_chains_as_long_as_these():
    assert count_parts.PACKED_HALVES == chains.LONGEST_REGISTERED
