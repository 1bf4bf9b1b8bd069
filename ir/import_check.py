"""Lists everything in a model that stands in the way of importing it."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from ..errors import GraphError
from .graph import Graph, IntType
from .import_border import MissingInputType
from .import_builder import Builder
from .import_input import InputType, parse_input_type
from .import_names import identifier
from .import_outputs import make_output, settle_output
from .onnx_import import Walk, needed_nodes
from .onnx_model import OnnxModel, read_model

ASSUMED = InputType(IntType(8), Fraction(1, 255))  # to go on with, where the user has to say what comes in


def check_model(path: Path, input_type: str | None = None, *, argmax: bool = False) -> list[str]:
    """One line for each problem, in the model's order; empty if ``import_onnx`` takes the model with these arguments.

    What depends on a node that has a problem is not looked at. Raises BuildError or GraphError where the file or
    ``input_type`` cannot be read at all.
    """
    return _Check(read_model(Path(path)), parse_input_type(input_type) if input_type else None).run(Path(path), argmax)


class _Check:
    """One walk through the model that goes on after errors."""

    def __init__(self, model: OnnxModel, input_type: InputType | None) -> None:
        self._model = model
        self._walk = Walk(model, Builder(input_type))
        self._unknown: set[str] = set()  # outputs of nodes with problems, and what depends on them
        self._problems: dict[str, None] = {}

    def run(self, path: Path, argmax: bool) -> list[str]:
        for node in self._model.nodes:
            if self._unknown.intersection(node.input) or not self._try(lambda n=node: self._walk.visit(n)):
                self._unknown.update(node.output)
        builder, ports = self._walk.builder, []
        for name in self._model.outputs:
            if name not in self._unknown:
                self._try(lambda n=name: ports.append(self._output(n, argmax)))
        if not self._problems:
            name = identifier(path.stem).lower() or "network"
            outputs = tuple(ports)
            graph = Graph(builder.inputs(), needed_nodes(builder.nodes.values(), outputs), outputs, name)
            self._try(graph.check)
        return list(self._problems)

    def _output(self, name: str, argmax: bool) -> object:
        builder = self._walk.builder
        value = settle_output(builder, name, self._walk.value(name, f"output {name}"))
        return make_output(builder, name, value, argmax)

    def _try(self, action: Callable[[], object]) -> bool:
        """Whether ``action`` succeeded; its error is noted."""
        try:
            action()
        except MissingInputType as error:
            self._problems[str(error)] = None
            self._walk.builder.borders.assume(ASSUMED)
            return self._try(action)
        except GraphError as error:
            self._problems[str(error)] = None
            return False
        return True
