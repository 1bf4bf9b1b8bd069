"""What a stage of the spatial engine is made of: its adder graphs and their pipeline say so themselves."""

from functools import lru_cache

import numpy as np

from ..ir.requantize import Requantize
from .adder_pipeline import WIDEST_LOGIC
from .count_mac import Sums
from .count_parts import NOTHING, Features, add_all, features, queue, registers
from .plan import LayerPlan
from .spatial import SpatialLayer, pipeline_of


def count_spatial(sums: Sums, fold: LayerPlan, depth: int | None) -> Features:
    """The stage with a queue of ``depth``; None: as deep as its own pace needs."""
    found, latency = _pipeline(sums)
    return found + queue(depth or latency + 1, sums.outputs * sums.finish.y_type.bits)


PACKED = 28
"""Halves of a carry chain of several sums; up to 32, but not all are filled."""


@lru_cache(maxsize=1000)
def _pipeline(sums: Sums) -> tuple[Features, int]:
    """All but the queue, and the cycles up to its end."""
    layers = pipeline_of([sums.product])
    latency = sum(layer.cycles for layer in layers) + 1
    y_bits = sums.outputs * sums.finish.y_type.bits
    is_clipped = isinstance(sums.product.function, Requantize)
    way_out = features(register=y_bits, limited=y_bits) if is_clipped else sums.finish.count(sums.outputs).features
    found = add_all(map(_adders, layers)) + (way_out if sums.product.function else NOTHING)
    return found + registers(latency - 1) + features(spatials=1), latency


def _adders(layer: SpatialLayer) -> Features:
    bits = np.array(layer.sums.sum_bits, np.int64)
    # On ECP5 sums lie side by side in chains (`boards/chains.py`), half a carry cell for each bit.
    chains, logic = bits[bits > WIDEST_LOGIC], bits[bits <= WIDEST_LOGIC]
    return features(
        cells=int(chains.sum()), short_cells=int(logic.sum()), cell_sums=len(chains), register=layer.sums.held_bits,
        chains=int(chains.sum()) / PACKED, cells_pairs=int(chains.sum()) / 2, cells_fours=int((-(-chains // 4)).sum()),
    )  # fmt: skip
