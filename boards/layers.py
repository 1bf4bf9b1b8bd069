"""Which layer a cell of the flattened netlist belongs to, and the clock rate that each layer would allow on its own."""

import re
from collections.abc import Mapping
from typing import Any

_MODULE = re.compile(r"^module \\?([^\s(;]+)", re.MULTILINE)


def find_layers(
    cells: Mapping[str, Any],
    verilog: str,
    file: str,
    paths: Mapping[str, str],
    modules: Mapping[str, str],
    register: str,
) -> dict[str, str]:
    """Cell name -> layer, for the cells that belong to one. paths, modules: of each layer.

    A flip-flop, whose type begins with ``register``, is known by the line of ``verilog`` (called ``file``) that it came
    from, since each instance has a module of its own; other cells by their names, which yosys starts with the instance
    path.
    """
    starts = [(verilog.count("\n", 0, match.start()) + 1, match[1]) for match in _MODULE.finditer(verilog)]
    belongs = {}
    for name, cell in cells.items():
        source = re.search(rf"(?:^|\|){re.escape(file)}:(\d+)", cell["attributes"].get("src", ""))
        path, whole = name, paths
        if source and cell["type"].startswith(register):
            path, whole = max((start for start in starts if start[0] <= int(source[1])), default=(0, ""))[1], modules
        layer = next((layer for layer, place in whole.items() if f"{path}.".startswith(f"{place}.")), None)
        if layer:
            belongs[name] = layer
    return belongs


def find_layer_rates(arrivals: Mapping[str, float], belongs: Mapping[str, str]) -> dict[str, float]:
    """Layer -> MHz that the slowest path which ends in it allows.

    arrivals: cell -> ns from the clock to its latest input. The setup time of memories, below 0.3 ns, is not in them;
    that of flip-flops is 0.
    """
    slowest: dict[str, float] = {}
    for cell, delay in arrivals.items():
        layer = belongs.get(cell)
        if layer and delay > slowest.get(layer, 0.0):
            slowest[layer] = delay
    return {layer: 1000 / delay for layer, delay in slowest.items()}
