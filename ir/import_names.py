"""Short, readable, unique names for the graph, out of those in the ONNX file."""

import re

# ruff: noqa: SIM905
# Words that Verilog and SystemVerilog keep for themselves, and names of our own ports and instances.
RESERVED = set(
    (
        "always and assign begin bit buf bufif0 bufif1 byte case cell class config const default defparam do edge else "
        "end enum final for force function generate genvar global if initial inout input int integer join large logic "
        "medium module nand negedge new nor not null or output parameter pure real ref reg release repeat scalared "
        "signed small static string strong0 strong1 struct super table task this time tri type union unsigned use var "
        "vectored void wait weak0 weak1 while wire with xnor xor clk rst core"
    ).split()
)
# What exporters call a node that has no name of its own.
GENERIC = re.compile(r"^(node_?)?(matmul|gemm|linear|mm|addmm|quant\w*|graph|global)?[_\d]*$", re.IGNORECASE)
# What tools call a node that no module made.
OPERATOR = re.compile(r"^(conv|convtranspose)_?\d*$", re.IGNORECASE)


class Names:
    """Hands out names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken or name in RESERVED:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def port(self, onnx_name: str, otherwise: str) -> str:
        """A name for an input or output; ``otherwise`` where the file's own one says nothing."""
        name = identifier(onnx_name)
        return self.unique(name if name and not re.search(r"::|^\d|/", onnx_name) else otherwise)

    def layer(self, weights: str, node: str, otherwise: str) -> str:
        """A name for a layer: that of the module it came from, else ``otherwise``."""
        return self.unique(_module(weights, node) or otherwise)


def identifier(name: str) -> str:
    """``name`` with what Verilog refuses replaced; empty if nothing readable is left."""
    word = re.sub(r"_+", "_", re.sub(r"\W", "_", name, flags=re.ASCII)).strip("_")
    return word if re.match(r"[A-Za-z]", word) else ""


def _module(weights: str, node: str) -> str:
    candidates = []
    if weights.endswith(".weight"):
        candidates.append(weights.removesuffix(".weight"))
    parts = [part for part in node.split("/") if part]
    if len(parts) > 1:
        candidates.append(parts[-2])
    elif parts and not OPERATOR.match(parts[0]):
        candidates.append(parts[0])
    named = [identifier(_shortest(candidate)) for candidate in candidates]
    return next((name for name in named if name and not GENERIC.match(name)), "")


def _shortest(path: str) -> str:
    """The last part of a module path; the last two where that is a number: ``features.3`` of ``net.features.3``."""
    parts = path.split(".")
    numbers = len(parts) > 1 and parts[-1].isdigit()
    return ".".join(parts[-2:]) if numbers else parts[-1]
