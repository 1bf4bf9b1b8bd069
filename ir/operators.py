"""The table of operators that a graph may hold; a new operator is added here."""

from .argmax import ArgMax
from .dense import Dense
from .flatten import Flatten
from .graph import Node
from .requantize import Requantize
from .table import Table
from .threshold import Threshold

OPERATORS: dict[str, type[Node]] = {
    operator.__name__: operator for operator in (ArgMax, Dense, Flatten, Requantize, Table, Threshold)
}
