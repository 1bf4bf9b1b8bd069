"""The one fold of a layer in the spatial engine: all outputs and all inputs side by side."""

from collections.abc import Callable, Mapping

import numpy as np

from ..errors import PlanError
from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from .fold import Fold, Space
from .sliding import sliding_of
from .unit import Unit
from .whole_windows import fill_with_zeros


def _space(unit: Unit, inputs: int, takes: int, cycles: int, held: int = 0) -> Space:
    """Weights that are zero are no products."""
    node, outputs = unit.nodes[0], unit.result.channels
    assert isinstance(node, Dense | Conv2d)
    products = int(np.count_nonzero(node.weights))

    def fold(pe: int, simd: int) -> Fold:
        if (pe, simd) != (outputs, inputs):
            raise PlanError(
                f"{unit.name}: pe {pe} and simd {simd}, but the spatial engine has no other fold than all its "
                f"{outputs} outputs and {inputs} inputs at once; leave out pe and simd, or choose another engine"
            )
        return Fold(pe, simd, (takes,), outputs, cycles, products, held=held, engine="spatial")

    return Space([outputs], [inputs], fold, "outputs", "inputs")


def _dense(unit: Unit) -> Space:
    return _space(unit, unit.source.channels, unit.source.channels, unit.source.pixels)


def _conv(unit: Unit) -> Space:
    """As long as its windows take, which come one a cycle."""
    given = unit.nodes[0]
    assert isinstance(given, Conv2d)
    node = fill_with_zeros(given)
    sliding = sliding_of(node, unit.source)
    cycles = max(sliding.image.pixels, int(sliding.ends[-1]) + 1)
    inputs = node.weights[0].size
    return _space(unit, 1 if given.is_depthwise else inputs, node.channels, cycles, held=inputs)


SPATIAL_SPACES: Mapping[str, Callable[[Unit], Space]] = {"dense": _dense, "conv": _conv, "depthwise": _conv}
