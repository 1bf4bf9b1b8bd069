"""The integer graph: operators, exact execution, storage and exact passes. Needs numpy and safetensors only."""

from .add import Add
from .argmax import ArgMax
from .chain import Chain, Step
from .concat import Concat
from .conv2d import Conv2d
from .conv_transpose import ConvTranspose2d
from .dense import Dense
from .depth_to_space import DepthToSpace
from .execute import dequantize_outputs, execute, quantize_inputs
from .flatten import Flatten
from .graph import Bounds, Graph, Input, Ints, IntType, Node, Output, TensorType
from .max_pool import MaxPool2d
from .pad import Pad
from .ranges import find_bounds
from .requantize import Requantize
from .simplify import simplify
from .slice import Slice
from .store import digest, load, save
from .sum_pool import SumPool2d
from .table import Table
from .threshold import Threshold
from .upsample import Upsample2d

__all__ = [
    "Add",
    "ArgMax",
    "Bounds",
    "Chain",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "DepthToSpace",
    "Flatten",
    "Graph",
    "Input",
    "IntType",
    "Ints",
    "MaxPool2d",
    "Node",
    "Output",
    "Pad",
    "Requantize",
    "Slice",
    "Step",
    "SumPool2d",
    "Table",
    "TensorType",
    "Threshold",
    "Upsample2d",
    "dequantize_outputs",
    "digest",
    "execute",
    "find_bounds",
    "load",
    "quantize_inputs",
    "save",
    "simplify",
]
