"""What a decomposed network stores, and how many shifts its filters have."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..model import QuantNetwork
from .options import Swis
from .quantizer import SharedShifts

MBIT = 1e6  # bits


@dataclass(frozen=True)
class LayerShifts:
    """A layer without what pruning dropped.

    shifts: of each filter. average: over the steps in which hardware computes filters, as many at once as the options
    say. groups: of each filter. storage_bits: of signs, masks and positions; weight_bits: of the same weights as plain
    integers. rmse: of the weights, in steps of their scale.
    """

    layer: str
    average: float
    shifts: tuple[int, ...]
    groups: int
    weights: int
    weight_bits: int
    storage_bits: int
    rmse: float


def describe_shifts(model: QuantNetwork) -> tuple[LayerShifts, ...]:
    """One entry for each layer of a network whose quantizers are ``SharedShifts``."""
    layers: list[tuple[str, Any]] = [(name, model.get_submodule(name)) for name in model.weighted_layers]
    return tuple(_describe(name, layer) for name, layer in layers)


def _describe(name: str, layer: Any) -> LayerShifts:
    quantizer = layer.weight_quant.tensor_quant
    assert isinstance(quantizer, SharedShifts)
    weights = quantizer.grouped(layer.weight)
    living, read = np.asarray(weights.any(axis=(1, 2))), weights.any(axis=(0, 2))
    shifts = quantizer.shifts.cpu().numpy()[living]
    errors = (weights - quantizer.decomposed(layer.weight).codes)[living]
    per_filter = int(weights.any(axis=0).sum())
    count = int(living.sum()) * per_filter
    bits = storage_bits(shifts, int(read.sum()), per_filter, quantizer.swis, quantizer.positions)
    every, first = quantizer.shifts.cpu().numpy(), np.arange(0, len(living), quantizer.swis.filters_at_once)
    steps = every[first][np.logical_or.reduceat(living, first)]
    return LayerShifts(
        layer=name,
        average=float(steps.mean()) if len(steps) else 0.0,
        shifts=tuple(shifts.tolist()),
        groups=int(read.sum()),
        weights=count,
        weight_bits=count * (quantizer.positions + 1),
        storage_bits=bits,
        rmse=float(np.sqrt(np.square(errors).sum() / max(1, count))),
    )


def storage_bits(shifts: np.ndarray, groups: int, weights: int, swis: Swis, positions: int) -> int:
    """Bits of filters with so many ``shifts``, and ``groups`` and ``weights`` each.

    A group of M weights has M signs and, for each shift, M mask bits and a position; a run of positions only its first.
    What fills up a group takes no bits. Groups that take their positions together store these once.
    """
    place = (positions - 1).bit_length()
    masks = weights * int((1 + shifts).sum())
    shared = shifts[:: swis.sharing]
    places = int((np.minimum(shared, 1) if swis.consecutive else shared).sum())
    return masks + groups * place * places


def summarize(layers: tuple[LayerShifts, ...]) -> dict[str, Any]:
    """As JSON: each layer, and of the network the shifts of a weight on average and what all store, in Mbit."""
    weights = sum(layer.weights for layer in layers)
    means = [layer.weights * float(np.mean(layer.shifts)) for layer in layers if layer.shifts]
    storage = sum(layer.storage_bits for layer in layers)
    figures = {
        "average_shifts": sum(means) / max(1, weights),
        "storage_mbit": storage / MBIT,
        "compression": sum(layer.weight_bits for layer in layers) / max(1, storage),
    }
    return figures | {"layers": [asdict(layer) for layer in layers]}
