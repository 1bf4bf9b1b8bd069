"""Runs a mapped ECP5 netlist of logic, carry cells and flip-flops in numpy, cycle after cycle, many runs at once."""

import numpy as np

PINS = "ABCD"
LOGIC = ("LUT4", "CCU2C", "PFUMX", "L6MUX21")


def run(module, inputs):
    """Outputs, port -> (cycles, runs, bits), of inputs of the same form; flip-flops start at 0."""
    (first, *_) = inputs.values()
    cycles, runs, _ = first.shape
    values = {"0": np.zeros(runs, bool), "1": np.ones(runs, bool), "x": np.zeros(runs, bool)}
    registers = [cell["connections"] for cell in module["cells"].values() if cell["type"] == "TRELLIS_FF"]
    for wires in registers:
        values[wires["Q"][0]] = np.zeros(runs, bool)
    clock = {bit for name, port in module["ports"].items() if name in ("clk", "rst") for bit in port["bits"]}
    values |= {bit: np.zeros(runs, bool) for bit in clock}
    order = _in_order(module, {*values, *(bit for name in inputs for bit in module["ports"][name]["bits"])})
    outputs = {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == "output"}
    found = {name: np.zeros((cycles, runs, len(bits)), bool) for name, bits in outputs.items()}
    for cycle in range(cycles):
        for name, bits in inputs.items():
            values |= dict(zip(module["ports"][name]["bits"], bits[cycle].T, strict=True))
        for cell in order:
            _evaluate(cell, values)
        for name, bits in outputs.items():
            found[name][cycle] = np.stack([values[bit] for bit in bits], axis=1)
        values |= {wires["Q"][0]: values[wires["DI"][0]] for wires in registers}
    return found


def _in_order(module, known):
    waiting = [cell for cell in module["cells"].values() if cell["type"] in LOGIC]
    others = {cell["type"] for cell in module["cells"].values()} - {*LOGIC, "TRELLIS_FF", "$scopeinfo"}
    assert not others, others
    order = []
    while waiting:
        ready = [cell for cell in waiting if all(cell["connections"][pin][0] in known for pin in _reads(cell))]
        assert ready, "a loop"
        known = known | {
            bit
            for cell in ready
            for port, way in cell["port_directions"].items()
            if way == "output"
            for bit in cell["connections"].get(port, [])
        }
        chosen = {id(cell) for cell in ready}
        waiting = [cell for cell in waiting if id(cell) not in chosen]
        order += ready
    return order


def _reads(cell):
    return [port for port, way in cell["port_directions"].items() if way == "input" and cell["connections"].get(port)]


def _look_up(init, pins):
    table = np.array([init >> place & 1 for place in range(16)], bool)
    return table[sum(pin.astype(int) << place for place, pin in enumerate(pins))]


def _evaluate(cell, values):
    wires, parameters = cell["connections"], cell["parameters"]
    if cell["type"] == "LUT4":
        pins = [values[wires[pin][0]] if wires.get(pin) else values["0"] for pin in PINS]
        values[wires["Z"][0]] = _look_up(int(parameters["INIT"], 2), pins)
        return
    if cell["type"] in ("PFUMX", "L6MUX21"):
        chosen, if_set, if_clear = ("C0", "ALUT", "BLUT") if cell["type"] == "PFUMX" else ("SD", "D1", "D0")
        values[wires["Z"][0]] = np.where(*(values[wires[pin][0]] for pin in (chosen, if_set, if_clear)))
        return
    carry = values[wires["CIN"][0]]
    for half in (0, 1):
        assert parameters[f"INJECT1_{half}"].strip() == "NO"
        pins, init = [values[wires[f"{pin}{half}"][0]] for pin in PINS], int(parameters[f"INIT{half}"], 2)
        propagates = _look_up(init, pins)
        generates = _look_up(init, [pins[0], pins[1], values["0"], values["0"]])
        for bit in wires.get(f"S{half}", []):
            values[bit] = propagates ^ carry
        carry = np.where(propagates, carry, generates)
    for bit in wires.get("COUT", []):
        values[bit] = carry
