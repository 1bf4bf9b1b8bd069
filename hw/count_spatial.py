"""What a stage of the spatial engine is made of: its adder graph says so itself."""

from functools import lru_cache

import numpy as np

from ..ir.graph import Bounds
from .adder_graph import AdderGraph, build_adder_graph
from .count_mac import Sums
from .count_parts import Features, features, queue, registers
from .plan import LayerPlan
from .spatial import LEVELS


def count_spatial(sums: Sums, fold: LayerPlan, depth: int | None) -> Features:
    """The stage with a queue of ``depth``; None: as deep as its own pace needs."""
    found, cycles = _adders(sums)
    finish = sums.finish.count(sums.outputs)
    latency = max(cycles, finish.lead) + finish.cycles + 1
    found = found + finish.features + features(register=latency - 1, spatials=1)
    found = found + registers(sums.product.x_type.bits * sums.positions * sums.channels, max(1, finish.lead - cycles))
    return found + queue(depth or latency + 1, sums.outputs * sums.finish.y_type.bits)


@lru_cache(maxsize=1000)
def _adders(sums: Sums) -> tuple[Features, int]:
    graph = _graph(sums)
    cells = graph.cells[graph.cells > 0]
    bits = np.array([int(value).bit_length() for value in graph.high - graph.low])
    stage, last = -(-graph.depth // LEVELS), _last_stage(graph)
    held = int((bits * np.maximum(0, last - stage)).sum())
    ends = sums.outputs * sums.finish.x_type.bits
    short = int(cells[cells <= 4].sum())
    return features(
        cells=int(cells.sum()) - short, short_cells=short, cell_sums=len(cells), register=held + ends, ends=ends,
        cells_pairs=float((-(-cells[cells > 4] // 2)).sum()), cells_fours=float((-(-cells[cells > 2] // 4)).sum()),
    ), 1 + int(stage.max())  # fmt: skip


def _graph(sums: Sums) -> AdderGraph:
    product = sums.product
    inputs = sums.positions * sums.channels
    reach = Bounds(*(np.tile(ends, inputs // len(ends)) for ends in (product.reach.low, product.reach.high)))
    return build_adder_graph(product.weights.reshape(sums.outputs, inputs), reach)


def _last_stage(graph: AdderGraph) -> np.ndarray:
    """(nodes,), the register stage of the last sum that reads each node."""
    stage = -(-graph.depth // LEVELS)
    last = stage.copy()
    np.maximum.at(last, graph.first, stage[graph.inputs :])
    np.maximum.at(last, graph.second, stage[graph.inputs :])
    return last
