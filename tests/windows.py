"""A graph whose only node hands out the windows of its input, so that their stages can be tested alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from espalier.hw import operators
from espalier.hw.window import sliding_window
from espalier.ir.graph import Bounds, Graph, Input, Ints, IntType, Node, Output, TensorType
from graphs import UINT4


@dataclass(frozen=True, eq=False)
class Windows(Node):
    """The stream of the last part that ``sliding_window`` returns for ``options``."""

    options: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 1

    def parts(self, x: TensorType):
        parts = sliding_window(self.name, x, **self.options)
        return [*parts[:-1], replace(parts[-1], name=self.name)]

    def shape(self, x: TensorType) -> tuple[int, ...]:
        return self.parts(x)[-1].makes.shape

    def evaluate(self, x: Ints) -> Ints:
        parts = self.parts(TensorType(x.shape[1:], IntType(62, signed=True)))
        return parts[-1].view(x)

    def bounds(self, x: Bounds) -> Bounds:
        channels = np.ones(self.channels, np.int64)
        return Bounds(channels * self.result.low, channels * self.result.high)


def windows_graph(monkeypatch, shape, dtype: IntType = UINT4, **options) -> Graph:
    """One node ``taps`` on an input of ``shape``, built by sliding_window(**options)."""
    monkeypatch.setitem(operators.STAGES, Windows, lambda unit, fold, bounds: unit.nodes[0].parts(unit.source))
    source = TensorType(shape, dtype)
    made = Windows("taps", ("x",), dtype, options).parts(source)[-1].makes
    node = Windows("taps", ("x",), made.dtype, options, made.channels)
    return Graph((Input("x", source, shape),), (node,), (Output("y", "taps", made.shape),), name="windows")
