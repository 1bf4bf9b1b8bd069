"""What a stage of the serial engine is made of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..ir.graph import IntType
from .count_mac import Sums, count_buffer, gates_of
from .count_parts import (
    NOTHING,
    Features,
    Term,
    add_up,
    bits_of,
    chain,
    count_up,
    counter,
    features,
    many,
    queue,
    registers,
    rom,
    walk,
)
from .finish import begin
from .memory import choose_style, read_cycles
from .plan import LayerPlan
from .product import Product
from .run_walk import fields_of, find_runs
from .serial import divide_work
from .serial_array import LEVELS_PER_REGISTER
from .serial_folds import _Layer
from .slots import Slots
from .weight_planes import Signs

FEW_SLOTS = 1024
"""Up to these, what the memory of masks holds is looked at; beyond, it is as good as random."""


@dataclass(frozen=True)
class Masks:
    """is_kept: the input is, in a buffer. stored: bits of masks and signs that are not the same in every slot;
    different: columns of these that are not alike, None if unknown; used: the share of lanes that any slot sums up.
    runs: words of the issue controller's table, and how many bits of them vary."""

    is_kept: bool
    stored: int
    different: int | None
    used: float
    runs: tuple[int, int]


def count_serial(sums: Sums, fold: LayerPlan, depth: int | None) -> Features:
    """The stage with a queue of ``depth``; None: as deep as its own pace needs."""
    product, x_bits = sums.product, sums.product.x_type.bits
    is_group_major, units = fold.planes == "group-major", fold.shifts_per_slot
    takes_all = product.is_lanewise or (product.is_repeated and is_group_major)
    slots, signs = _slots(sums, fold.pe, fold.simd, fold.planes, units, takes_all)
    beats, own = sums.positions * -(-sums.channels // fold.simd), sums.outputs // sums.blocks
    groups = sums.blocks * -(-own // fold.pe)
    planes = sums.stored.bits

    if slots <= FEW_SLOTS:
        masks = _find_masks(product, fold)
    else:
        # One scan of the input is all where no tile has a second plane.
        is_rescanned = groups > sums.blocks or (not is_group_major and beats > 1 and slots > sums.blocks * beats)
        stored = units * fold.pe * fold.simd * (1 + (signs == "weight"))
        tiles = groups * beats
        runs = (tiles, bits_of(units * planes) + 1) if is_group_major and slots % tiles else (1, 0)
        masks = Masks(is_rescanned and not takes_all, stored, None, 1.0, runs)
    shift_bits = (planes - 1).bit_length() if is_group_major else 0
    others = units * (shift_bits + (signs == "plane")) + (not is_group_major)
    lanes = fold.pe * fold.simd if product.is_lanewise else fold.simd
    if masks.is_kept:
        others += (beats - 1).bit_length() + 1
    width, different = masks.stored + others, None if masks.different is None else masks.different + others
    style = choose_style(slots, width) if fold.memory == "auto" else fold.memory
    read = read_cycles(slots, style)
    buffer, buffered = count_buffer(beats, lanes * x_bits, masks.is_kept)
    array, cycles = _array(sums, fold.simd, units, is_group_major, signs == "weight")
    finish, bits = sums.finish.count(fold.pe), sums.finish.x_type.bits
    fetched = max(read, buffered + (read if masks.is_kept else 0))
    start_bits = _start_bits(sums)
    summed = fetched + cycles + 1 + (start_bits > 0)
    latency = max(summed, finish.lead) + finish.cycles + 1

    found = walk(slots) + walk(groups) + rom(slots, width, style, different) + buffer + finish.features
    found = found + many(array, fold.pe * masks.used) + registers(width, fetched - read)
    found = found + many(chain("accumulate", bits) + features(register=2 * bits, serial_kept=bits), fold.pe)
    if signs == "plane":
        found = found + features(inverted=units * lanes * x_bits, register=units * lanes * x_bits)
    if start_bits:
        started = many(chain("accumulate", bits) + features(register=bits), fold.pe)
        found = found + rom(groups, start_bits * fold.pe, "lut") + walk(1, groups) + started
    runs, varying = masks.runs
    if varying:
        found = found + rom(runs, varying, "lut") + counter(runs)
    found = found + registers(latency - 1) + features(serials=1)
    return found + queue(depth or -(-(latency + 1) // max(1, slots // groups)), fold.pe * sums.finish.y_type.bits)


@lru_cache(maxsize=50_000)
def _find_masks(product: Product, fold: LayerPlan) -> Masks:
    work = divide_work(product, fold)
    slots, planes = work.slots, work.planes
    places = slots.group, slots.beat
    found = [planes.masks(*places, plane).reshape(len(slots), -1) for plane in slots.planes.T]
    if planes.is_negative is not None:
        found += [planes.is_negative[places].reshape(len(slots), -1) & masks for masks in found]
    masks = np.concatenate(found, axis=1)
    varying = masks[:, np.any(masks != masks[0], axis=0)]
    is_kept = bool((slots.is_new & ~slots.takes).any())
    used = float(np.any(masks[:, : fold.pe * fold.simd * slots.planes.shape[1]], axis=0).mean())
    different = {column.tobytes() for column in np.packbits(varying.astype(np.bool_), axis=0).T}
    return Masks(is_kept, varying.shape[1], len(different), used, _count_runs(slots))


def _count_runs(slots: Slots) -> tuple[int, int]:
    runs, _ = find_runs(slots.takes, slots.starts)
    return len(runs), fields_of(runs).width if len(runs) > 1 else 0


@lru_cache(maxsize=1000)
def _start_bits(sums: Sums) -> int:
    """Of what sums begin with: an inverted input lacks a constant for each weight that is subtracted."""
    product, x_type = sums.product, sums.product.x_type
    negative = np.minimum(product.weights, 0).sum(axis=(1, 2))
    start, _, _ = begin(product.function, (x_type.low + x_type.high) * negative, product.sums)
    return IntType.of_range(int(start.min()), int(start.max())).bits if start.any() else 0


@lru_cache(maxsize=50_000)
def _slots(sums: Sums, pe: int, simd: int, planes: str, units: int, takes_all: bool) -> tuple[int, Signs]:
    return _layer(sums, takes_all).choose(pe, simd, planes, units)


@lru_cache(maxsize=1000)
def _layer(sums: Sums, takes_all: bool) -> _Layer:
    return _Layer(sums.product.weights, sums.blocks, sums.product.x_type.bits, takes_all)


@lru_cache(maxsize=50_000)
def _array(sums: Sums, simd: int, units: int, is_group_major: bool, has_signs: bool) -> tuple[Features, int]:
    """Of one output, and its cycles. has_signs: each weight has its own."""
    x_bits, x = sums.product.x_type.bits, sums.x
    mirror = sums.product.x_type.low + sums.product.x_type.high
    term = Term(min(x.low, mirror - x.high), max(x.high, mirror - x.low)) if sums.weight.low < 0 else x
    lanes = simd * x_bits * units
    # Short adders are tables, which do not take in what is in front of them as carry cells do.
    is_loose = simd > 1 and gates_of("gates", "loose", [term, term], simd) == "loose"
    masks = features(**{"loose_masks" if is_loose else "gates": lanes})
    if has_signs:
        masks = masks + features(**{"loose_lanes" if is_loose else "signed_lanes": lanes})
    if term == Term(0, 1) and simd > 2:
        tree, total, cycles = count_up(simd)
    elif is_group_major or units == 1:
        tree, total, cycles = add_up([term] * simd)
    else:
        tree, total, cycles = add_up([term._replace(shift=unit) for unit in range(units) for _ in range(simd)])
    if not cycles:
        tree, cycles = tree + features(register=total.bits), 1
    if not is_group_major:
        return tree + masks, cycles
    most = sums.stored.bits - 1
    levels = most.bit_length()
    # The last level stands in front of an adder, which takes it in.
    widths = [total.bits + min(most, (2 << level) - 1) for level in range(levels - 1)]
    held = [bits for level, bits in enumerate(widths) if level % LEVELS_PER_REGISTER or level == levels - 2]
    shifter = features(shifted=sum(widths), register=sum(held))
    joined, _, adding = add_up([total] * units)
    return many(tree + shifter, units) + masks + (joined if units > 1 else NOTHING), cycles + adding + levels // 2
