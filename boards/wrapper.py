"""Registered serial shift registers around a module, so that wide ports need neither pins nor combinational paths.

Every input bit comes from one bit of a shift register fed by one pin; every output bit goes to a flip-flop of its own and from
there, folded by XOR, into a second shift register that ends at one pin. The module is a black box to the wrapper and is
synthesized apart from it, so nothing of it can be optimised into the wrapper, or the other way round.
"""

from collections.abc import Mapping, Sequence

from ..errors import PlanError

NAME = "espalier_wrapper"
INSTANCE = "core"


def wrap(module: str, ports: Mapping[str, tuple[str, int]], clock: str = "clk") -> str:
    """Verilog of module ``espalier_wrapper`` with one instance, named ``core``, of ``module``.

    ports: direction ("input" or "output") and width in bits of each port; ``clock`` is connected to the clock pin.
    """
    if ports.get(clock, ("", 0))[0] != "input":
        raise PlanError(f"{module}: needs an input port {clock!r} as its clock, has {', '.join(sorted(ports)) or 'none'}")
    inputs = {name: width for name, (direction, width) in ports.items() if direction == "input" and name != clock}
    outputs = {name: width for name, (direction, width) in ports.items() if direction == "output"}
    others = sorted(name for name, (direction, _) in ports.items() if direction not in ("input", "output"))
    if others:
        raise PlanError(f"{module}: port {others[0]} is {ports[others[0]][0]}; only inputs and outputs can be wrapped")
    connections = [f".\\{clock} (clk)", *_slices(inputs, "feed"), *_slices(outputs, "result")]
    lines = [
        "(* blackbox *)",
        f"module \\{module} ({', '.join(_declaration(name, *port) for name, port in ports.items())});",
        "endmodule",
        "",
        "(* top *)",
        f"module {NAME} (input clk, input serial_in, output serial_out);",
        *_shift_in(sum(inputs.values())),
        *_fold_out(sum(outputs.values())),
        f"  \\{module} {INSTANCE} ({', '.join(connections)});",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _declaration(name: str, direction: str, width: int) -> str:
    return f"{direction} [{width - 1}:0] \\{name} "


def _slices(widths: Mapping[str, int], vector: str) -> Sequence[str]:
    connections, low = [], 0
    for name, width in widths.items():
        connections.append(f".\\{name} ({vector}[{low} +: {width}])")
        low += width
    return connections


def _shift_in(width: int) -> Sequence[str]:
    if not width:
        return []
    before = f"{{feed[{width - 2}:0], serial_in}}" if width > 1 else "serial_in"
    return [f"  reg [{width - 1}:0] feed;", f"  always @(posedge clk) feed <= {before};"]


def _fold_out(width: int) -> Sequence[str]:
    if not width:
        return ["  assign serial_out = 1'b0;"]
    before = f"{{folded[{width - 2}:0], 1'b0}}" if width > 1 else "1'b0"
    return [
        f"  wire [{width - 1}:0] result;",
        f"  reg [{width - 1}:0] captured, folded;",
        "  always @(posedge clk) captured <= result;",
        f"  always @(posedge clk) folded <= captured ^ {before};",
        f"  assign serial_out = folded[{width - 1}];",
    ]
