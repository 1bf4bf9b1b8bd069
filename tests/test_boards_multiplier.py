"""Registers move into the multiplier they surround only where that changes nothing."""

import pytest

from espalier.boards.multiplier import absorb_multiplier_registers

CLOCK, RESET = 2, 3
PLAIN = {"CLKMUX": "CLK", "CEMUX": "1 ", "LSRMUX": "LSR", "REGSET": "RESET"}


def cell(kind, parameters, inputs, outputs):
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    connections = {port: [bit] for port, bit in (inputs | outputs).items()}
    return {"type": kind, "parameters": parameters, "connections": connections, "port_directions": directions}


def register(data, result, **wires):
    return cell("TRELLIS_FF", PLAIN, {"CLK": CLOCK, "DI": data, "LSR": "0"} | wires, {"Q": result})


def multiplying(changed=None, product=30):
    """Nets 10, 11 (operands' data) -> 20, 21 (operands, B sign-extended) -> 30 (product) -> 40 -> 50, a port."""
    operands = {f"{letter}{bit}": "0" for letter in "AB" for bit in range(18)} | {"A0": 20, "B0": 21, "B1": 21}
    products = {f"P{bit}": 100 + bit for bit in range(36)} | {"P0": product}
    cells = {
        "multiplier": cell("MULT18X18D", {}, operands, products),
        "a": register(10, 20),
        "b": register(11, 21),
        "first": register(30, 40),
        "second": register(40, 50),
    }
    ports = {"y": {"direction": "output", "bits": [50]}}
    return {"attributes": {}, "ports": ports, "cells": cells | (changed or {}), "netnames": {}}


def stages(module):
    return {key for key in module["cells"]["multiplier"]["parameters"] if key.endswith("CLK")}


def test_all_registers_move():
    edited, absorbed = absorb_multiplier_registers(multiplying())
    assert list(edited["cells"]) == ["multiplier"]
    assert stages(edited) == {"REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK"}
    wires = edited["cells"]["multiplier"]["connections"]
    assert [wires[port] for port in ("A0", "B0", "B1", "P0", "CLK0", "CE0", "RST0")] == [
        [10], [11], [11], [50], [CLOCK], ["1"], ["0"],
    ]  # fmt: skip
    assert (absorbed.flip_flops, absorbed.left) == (4, {})


def test_operand_register_with_other_readers_is_copied():
    edited, _ = absorb_multiplier_registers(multiplying({"other": cell("LUT4", {}, {"A": 20}, {"Z": 60})}))
    assert "a" in edited["cells"] and "b" not in edited["cells"]
    assert "REG_INPUTA_CLK" in stages(edited)


def test_operand_without_register_is_left():
    edited, absorbed = absorb_multiplier_registers(multiplying({"b": cell("LUT4", {}, {"A": 11}, {"Z": 21})}))
    assert absorbed.left == {"multiplier.B": "operand: it does not come from flip-flops"}
    assert "REG_INPUTB_CLK" not in stages(edited)


def test_second_register_with_a_reset_stays():
    edited, _ = absorb_multiplier_registers(multiplying({"second": register(40, 50, LSR=RESET)}))
    assert "second" in edited["cells"] and "first" not in edited["cells"]
    assert stages(edited) == {"REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_OUTPUT_CLK"}


def test_product_that_feeds_back_moves_but_its_operand_does_not():
    edited, absorbed = absorb_multiplier_registers(multiplying({"a": register(30, 20), "first": register(30, 40)}))
    assert absorbed.left == {"multiplier.P": "product: it is read in 2 places"}
    assert stages(edited) == set()


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"first": register(30, 40, LSR=RESET)}, "the register has a reset"),
        ({"first": cell("LUT4", {}, {"A": 30}, {"Z": 40})}, "it does not go to a flip-flop"),
        ({"first": register(31, 40)}, "nothing reads it"),
    ],
)
def test_product_without_a_plain_register_is_left(changed, reason):
    module = multiplying(changed)
    edited, absorbed = absorb_multiplier_registers(module)
    assert edited == module
    assert absorbed.left == {"multiplier.P": f"product: {reason}"}
