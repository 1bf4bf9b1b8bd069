"""Moves registers around ECP5 multipliers into them: without its own, an inferred MULT18X18D is slower than 150 MHz.

Input registers move for an operand of which every bit is 0 or comes from a flip-flop; one or two registers behind the
product move if nothing else reads what goes into them. All of them must have the same clock, always be enabled, have no
reset and start at 0, as the multiplier's own do. nextpnr knows no delay from the input to the output registers: above
200 MHz look up that limit in the data sheet.
"""

from collections.abc import Mapping, Sequence

from .netlist import Absorbed, Bit, Clock, Module, Readers, Stuck, check_register, find_readers, find_register_behind

_OPERANDS = {letter: [f"{letter}{bit}" for bit in range(18)] for letter in "AB"}
_PRODUCT = [f"P{bit}" for bit in range(36)]


def absorb_multiplier_registers(module: Module) -> tuple[Module, Absorbed]:
    """The module with registers moved into its MULT18X18D, and what was done."""
    before, places, left = len(module["cells"]), 0, {}
    for name, cell in module["cells"].items():
        if cell["type"] != "MULT18X18D" or any(key.startswith("REG_") for key in cell["parameters"]):
            continue
        try:
            module, clock = _absorb_product(module, name)
        except Stuck as reason:
            left[f"{name}.P"] = f"product: {reason}"
            continue
        places += 1
        for operand in _OPERANDS:
            try:
                module = _absorb_operand(module, name, operand, clock)
            except Stuck as reason:
                left[f"{name}.{operand}"] = f"operand: {reason}"
    return module, Absorbed(before - len(module["cells"]), places, left)


def _absorb_product(module: Module, name: str) -> tuple[Module, Clock]:
    clock, rows = _find_product_registers(module, module["cells"][name], find_readers(module))
    results = {port: module["cells"][register]["connections"]["Q"] for port, register in rows[-1].items()}
    gone = {register for row in rows for register in row.values()}
    stages = ["OUTPUT", "PIPELINE"][: len(rows)]
    multiplier = _with_registers(module["cells"][name], clock, stages, results)
    cells = {key: cell for key, cell in module["cells"].items() if key not in gone}
    return module | {"cells": cells | {name: multiplier}}, clock


def _absorb_operand(module: Module, name: str, operand: str, clock: Clock) -> Module:
    cell = module["cells"][name]
    sources, registers = _find_operand_sources(module, cell, _OPERANDS[operand], clock)
    cells = module["cells"] | {name: _with_registers(cell, clock, [f"INPUT{operand}"], sources)}
    readers = find_readers(module | {"cells": cells})
    unread = {register for register in registers if not readers.get(cells[register]["connections"]["Q"][0])}
    return module | {"cells": {key: cell for key, cell in cells.items() if key not in unread}}


def _find_product_registers(module: Module, cell: Module, readers: Readers) -> tuple[Clock, list[dict[str, str]]]:
    """The clock, and one or two rows of flip-flops (product bit -> name) behind the multiplier; raises Stuck."""
    used = {port: cell["connections"][port][0] for port in _PRODUCT if readers.get(cell["connections"][port][0])}
    if not used:
        raise Stuck("nothing reads it")
    first = readers[next(iter(used.values()))][0][0]
    if not first or "CLK" not in module["cells"][first]["connections"]:
        raise Stuck("it does not go to a flip-flop")
    clock = Clock(module["cells"][first]["connections"]["CLK"][0])
    rows = [{port: find_register_behind(module, readers, bit, clock) for port, bit in used.items()}]
    try:
        results = {port: module["cells"][register]["connections"]["Q"][0] for port, register in rows[0].items()}
        rows.append({port: find_register_behind(module, readers, bit, clock) for port, bit in results.items()})
    except Stuck:
        pass  # one register it is
    return clock, rows


def _find_operand_sources(
    module: Module, cell: Module, ports: list[str], clock: Clock
) -> tuple[dict[str, list[Bit]], set[str]]:
    """For each bit of an operand what its flip-flop samples, and these flip-flops; raises Stuck."""
    cells = module["cells"]
    drivers = {cells[key]["connections"]["Q"][0]: key for key in cells if cells[key]["type"] == "TRELLIS_FF"}
    sources: dict[str, list[Bit]] = {}
    registers = set()
    for port in ports:
        bit = cell["connections"][port][0]
        if bit in ("0", "x"):
            sources[port] = ["0"]
            continue
        if bit not in drivers:
            raise Stuck("it does not come from flip-flops")
        check_register(cells[drivers[bit]], clock)
        sources[port] = cells[drivers[bit]]["connections"]["DI"]
        registers.add(drivers[bit])
    return sources, registers


def _with_registers(cell: Module, clock: Clock, stages: Sequence[str], wires: Mapping[str, list[Bit]]) -> Module:
    enables = {"CLK0": [clock.net], "CE0": ["1"], "RST0": ["0"]}
    modes = {f"REG_{stage}_{what}": f"{what}0" for stage in stages for what in ("CLK", "CE", "RST")}
    return cell | {
        "parameters": cell["parameters"] | modes,
        "connections": cell["connections"] | enables | wires,
        "port_directions": cell["port_directions"] | dict.fromkeys(enables, "input"),
    }
