"""Espalier: exact FPGA accelerators for pruned, quantized neural networks, with open tools."""

from importlib import import_module
from typing import Any

# The public face: each name and the module that holds it, loaded at first use.
PUBLIC = {
    "Graph": "ir.graph",
    "IntType": "ir.graph",
    "import_onnx": "ir.onnx_import",
    "simplify": "ir.simplify",
    "execute": "ir.execute",
    "quantize_inputs": "ir.execute",
    "dequantize_outputs": "ir.execute",
    "save": "ir.store",
    "load": "ir.store",
    "Plan": "hw.plan",
    "plan": "hw.planner",
    "generate": "hw.design",
    "simulate": "sim.simulate",
    "synthesize": "boards.synth",
    "connect": "flow.board.connect",
    "EspalierError": "errors",
    "GraphError": "errors",
    "PlanError": "errors",
    "ToolError": "errors",
    "BuildError": "errors",
    "LinkError": "errors",
}
__all__ = sorted(PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'espalier' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f".{PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
