"""Slots that the serial engine takes for the weights of a run, at one fold for all layers."""

from functools import partial
from pathlib import Path

import numpy as np

from espalier.hw.slots import Order, count_slots
from espalier.hw.weight_planes import complement, sign_and_magnitude
from espalier.hw.weights import fold_tiles
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify

ORDERS: tuple[Order, ...] = ("group-major", "plane-major")


def slots_per_tile(model: Path, pe: int, simd: int, shifts: int = 1) -> dict[Order, float]:
    """By order of the slots, how many a tile of pe filters and simd inputs takes, over all layers of a QONNX file.

    Weights in two's complement or with a sign each, whatever is fewer. Layers of several groups of channels are left
    out. shifts: planes in a slot.
    """
    tiles, slots = 0, dict.fromkeys(ORDERS, 0)
    for node in simplify(import_onnx(model).graph).nodes:
        if not isinstance(node, Dense | Conv2d) or getattr(node, "groups", 1) > 1:
            continue
        weights = node.weights.reshape(len(node.weights), -1, node.weights.shape[-1])
        if weights.shape[2] < simd:  # a slot takes several pixels of the window
            weights = weights.reshape(len(weights), 1, -1)
        tiled = fold_tiles(weights, pe, simd)
        takes = np.arange(len(tiled)) == 0
        tiles += tiled.shape[0] * tiled.shape[1]
        for order in ORDERS:
            count = partial(count_slots, takes=takes, order=order, shifts=shifts)
            slots[order] += min(count(form(tiled).used) for form in (complement, sign_and_magnitude))
    return {order: count / tiles for order, count in slots.items()}
