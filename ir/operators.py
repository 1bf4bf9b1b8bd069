"""The table of operators that a graph may hold; a new operator is added here."""

from .add import Add
from .argmax import ArgMax
from .concat import Concat
from .conv2d import Conv2d
from .conv_transpose import ConvTranspose2d
from .dense import Dense
from .depth_to_space import DepthToSpace
from .flatten import Flatten
from .graph import Node
from .max_pool import MaxPool2d
from .pad import Pad
from .requantize import Requantize
from .slice import Slice
from .sum_pool import SumPool2d
from .table import Table
from .threshold import Threshold
from .upsample import Upsample2d

OPERATORS: dict[str, type[Node]] = {
    operator.__name__: operator
    for operator in (
        Add,
        ArgMax,
        Concat,
        Conv2d,
        ConvTranspose2d,
        Dense,
        DepthToSpace,
        Flatten,
        MaxPool2d,
        Pad,
        Requantize,
        Slice,
        SumPool2d,
        Table,
        Threshold,
        Upsample2d,
    )
}
