"""Serial shift registers around a module, so that wide ports need neither pins nor combinational paths.

Every input bit comes from one bit of a shift register fed by one pin; every output bit goes to a flip-flop of its own
and from there, folded by XOR, into a second shift register that ends at one pin. The module is a black box to the
wrapper and is synthesized apart from it: nothing of it can be optimised into the wrapper, or the other way round.
"""

from collections.abc import Mapping

from ..errors import PlanError
from .devices import Device
from .family import Pin

NAME = "espalier_wrapper"
INSTANCE = "core"


def wrap(module: str, ports: Mapping[str, tuple[str, int]], clock: str = "clk") -> str:
    """Verilog of module ``espalier_wrapper`` with one instance, named ``core``, of ``module``.

    ports: direction ("input" or "output") and width in bits of each port. The pin ``clk`` drives the port ``clock``.
    """
    if ports.get(clock) != ("input", 1):
        names = ", ".join(sorted(ports)) or "none"
        raise PlanError(f"{module}: needs a one-bit input {clock} as its clock, has the ports {names}")
    for name, (direction, _) in ports.items():
        if direction not in ("input", "output"):
            raise PlanError(f"{module}: port {name} is {direction}; only inputs and outputs can be wrapped")
    inputs = {name: width for name, (direction, width) in ports.items() if direction == "input" and name != clock}
    outputs = {name: width for name, (direction, width) in ports.items() if direction == "output"}
    declarations = [f"{direction} [{width - 1}:0] \\{name} " for name, (direction, width) in ports.items()]
    connections = [f".\\{clock} (clk)", *_connect(inputs, "feed"), *_connect(outputs, "result")]
    lines = [
        "(* blackbox *)",
        f"module \\{module} ({', '.join(declarations)});",
        "endmodule",
        "",
        f"module {NAME} (input clk, input serial_in, output serial_out);",
        *_shift_in(sum(inputs.values())),
        *_fold_out(sum(outputs.values())),
        f"  \\{module} {INSTANCE} ({', '.join(connections)});",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def pins_of(device: Device) -> list[Pin]:
    """Pins of the wrapper's ports, where the placer wants them named."""
    return [Pin(port, pin, {}) for port, pin in zip(("clk", "serial_in", "serial_out"), device.pins)]


def _connect(widths: Mapping[str, int], vector: str) -> list[str]:
    connections, low = [], 0
    for name, width in widths.items():
        connections.append(f".\\{name} ({vector}[{low} +: {width}])")
        low += width
    return connections


def _shift_in(width: int) -> list[str]:
    if not width:
        return []
    return [f"  reg [{width - 1}:0] feed;", f"  always @(posedge clk) feed <= {_shifted('feed', width, 'serial_in')};"]


def _fold_out(width: int) -> list[str]:
    if not width:
        return ["  assign serial_out = 1'b0;"]
    zero = "1'b0"
    return [
        f"  wire [{width - 1}:0] result;",
        f"  reg [{width - 1}:0] captured, folded;",
        "  always @(posedge clk) captured <= result;",
        f"  always @(posedge clk) folded <= captured ^ {_shifted('folded', width, zero)};",
        f"  assign serial_out = folded[{width - 1}];",
    ]


def _shifted(vector: str, width: int, lowest: str) -> str:
    return f"{{{vector}[{width - 2}:0], {lowest}}}" if width > 1 else lowest
