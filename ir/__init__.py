"""The integer graph: operators, exact execution, storage and exact passes. Needs numpy and safetensors only."""

from .argmax import ArgMax
from .chain import Chain, Step
from .dense import Dense
from .execute import dequantize_outputs, execute, quantize_inputs
from .flatten import Flatten
from .graph import Bounds, Graph, Input, Ints, IntType, Node, Output, TensorType
from .ranges import find_bounds
from .requantize import Requantize
from .simplify import simplify
from .store import digest, load, save
from .table import Table
from .threshold import Threshold

__all__ = [
    "ArgMax",
    "Bounds",
    "Chain",
    "Dense",
    "Flatten",
    "Graph",
    "Input",
    "IntType",
    "Ints",
    "Node",
    "Output",
    "Requantize",
    "Step",
    "Table",
    "TensorType",
    "Threshold",
    "dequantize_outputs",
    "digest",
    "execute",
    "find_bounds",
    "load",
    "quantize_inputs",
    "save",
    "simplify",
]
