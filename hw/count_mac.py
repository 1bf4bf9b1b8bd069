"""What a stage of the mac engine is made of."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..ir.graph import Bounds, IntType
from .arithmetic import DSP_CYCLES
from .buffer import InputBuffer
from .count_functions import Finishing, finishing
from .count_parts import (
    NOTHING,
    Features,
    Term,
    add_up,
    adder,
    block_ram,
    chain,
    count_up,
    features,
    lut_ram,
    many,
    multiply,
    multiply_wide,
    queue,
    registers,
    rom,
    walk,
)
from .finish import begin
from .memory import choose_style, read_cycles
from .plan import LayerPlan
from .product import Product


@dataclass(frozen=True, eq=False)
class Sums:
    """What does not depend on the fold: sizes, ranges, how the weights are stored, what follows the sums."""

    product: Product
    outputs: int
    positions: int
    channels: int
    are_signs: bool
    stored: IntType
    weight: Term
    x: Term
    finish: Finishing
    start_bits: int

    @property
    def blocks(self) -> int:
        return self.product.blocks

    @cached_property
    def is_one_word(self) -> bool:
        return bool((self.product.weights == self.product.weights.flat[0]).all())


def find_sums(product: Product) -> Sums:
    """Raises nothing: any product has its sums."""
    weights = product.weights
    are_signs = bool((np.abs(weights) == 1).all())
    offsets = np.zeros(len(weights), np.int64)
    if are_signs:
        inverted_zero = -1 if product.x_type.signed else product.x_type.high
        offsets = -inverted_zero * (weights < 0).sum(axis=(1, 2))
    low, high = (0, 1) if are_signs else (min(0, int(weights.min())), max(0, int(weights.max())))
    start, function, sums = begin(product.function, offsets, product.sums)
    outputs, positions, channels = weights.shape
    finish = finishing(
        function, int(sums.low.min()), int(sums.high.max()), product.result, outputs // product.blocks, product.blocks
    )
    reach = _with_zero(product.reach)
    start_type = IntType.of_range(int(start.min()), int(start.max()))
    return Sums(
        product, outputs, positions, channels, are_signs, IntType.of_range(low, high), Term(low, high), reach, finish,
        start_type.bits if start.any() else 0,
    )  # fmt: skip


def _with_zero(reach: Bounds) -> Term:
    return Term(min(0, int(reach.low.min())), max(0, int(reach.high.max())))


def count_mac(sums: Sums, fold: LayerPlan, depth: int | None) -> Features:
    """The stage with a queue of ``depth``; None: as deep as its own pace needs."""
    product, x_bits = sums.product, sums.product.x_type.bits
    beats = sums.positions * -(-sums.channels // fold.simd)
    groups = sums.blocks * -(-(sums.outputs // sums.blocks) // fold.pe)
    width = sums.stored.bits * fold.pe * fold.simd
    words = 1 if sums.is_one_word else groups * beats
    style = choose_style(groups * beats, width) if fold.memory == "auto" else fold.memory
    lanes = fold.pe * fold.simd if product.is_lanewise else fold.simd
    is_kept = groups > 1 and not product.is_repeated and not product.is_lanewise
    found = walk(beats, groups) + rom(words, width, style)

    array, array_cycles = _array(sums, fold.simd, fold.multiplier == "dsp")
    finish = sums.finish.count(fold.pe)
    bits = sums.finish.x_type.bits
    is_accumulated = beats > 1 or array_cycles == 0 or sums.start_bits > 0
    read, (buffer, kept) = read_cycles(words, style), _buffer(beats, lanes * x_bits, is_kept)
    fetched = max(read, kept)
    summed = fetched + array_cycles + is_accumulated
    fetched += max(0, finish.lead - summed)
    summed = max(summed, finish.lead)
    latency = summed + finish.cycles + 1
    found = found + buffer + many(array, fold.pe) + finish.features
    found = (
        found + registers(lanes * x_bits, fetched - kept) + registers((groups * beats - 1).bit_length(), fetched - read)
    )
    if is_accumulated:
        found = found + many(_accumulator(bits, beats > 1, sums.start_bits > 0), fold.pe)
    if beats > 1:
        found = found + registers(2, summed - 1)
    if sums.start_bits:
        found = found + rom(groups, sums.start_bits * fold.pe, "lut") + walk(1, groups)
    found = found + features(register=latency - 1, stages=1)
    depth = depth or -(-(latency + 1) // beats)
    return found + queue(depth, fold.pe * sums.finish.y_type.bits)


@lru_cache(maxsize=20_000)
def _array(sums: Sums, simd: int, is_dsp: bool) -> tuple[Features, int]:
    """Of one output, and its cycles."""
    x_bits = sums.product.x_type.bits
    if sums.are_signs:
        signs = features(inverted=simd * x_bits)
        if x_bits == 1 and simd > 2:
            counted, _, cycles = count_up(simd)
            return counted + features(inverted_bits=simd), cycles
        mirror = sums.product.x_type.low + sums.product.x_type.high
        one = Term(min(sums.x.low, mirror - sums.x.high), max(sums.x.high, mirror - sums.x.low))
        tree, _, cycles = add_up([one] * simd)
        return tree + signs, cycles
    if is_dsp and min(x_bits, sums.stored.bits) > 1:
        products, terms = multiply_wide(sums.x, sums.weight)
        tree, _, cycles = add_up(terms * simd)
        return tree + many(products, simd), cycles + DSP_CYCLES
    products, terms = multiply(Term(*_full(sums.product.x_type, sums.x)), sums.weight)
    if simd * len(terms) > 2 and all((t.low, t.high, t.shift, t.minus) == (0, 1, 0, False) for t in terms):
        counted, _, cycles = count_up(simd * len(terms))
        return counted + many(products, simd), cycles
    tree, _, cycles = add_up(terms * simd)
    return tree + many(products, simd), cycles


def _full(dtype: IntType, reach: Term) -> tuple[int, int]:
    """Limits that take as many bits as the stream has, or those of ``reach`` where these do."""
    return (reach.low, reach.high) if reach.bits == dtype.bits else (dtype.low, dtype.high)


def _accumulator(bits: int, is_looped: bool, has_start: bool) -> Features:
    if is_looped:
        return chain("accumulate", bits) + features(register=bits, started=bits * has_start)
    return features(register=bits) + (adder(bits) if has_start else NOTHING)


def _buffer(beats: int, width: int, is_kept: bool) -> tuple[Features, int]:
    """Of `hw/buffer.py`, with its cycles."""
    form = InputBuffer._choose_form(beats, is_kept)
    cycles = {"none": 1, "register": 2, "lut": 2, "block": 3}[form]
    if form == "none":
        return features(register=width), cycles
    chosen = features(register=2 * width + 2, mux=width)
    if form == "register":
        return chosen + features(register=width), cycles
    address = (beats - 1).bit_length()
    if form == "lut":
        return chosen + lut_ram(beats, width) + features(register=address), cycles
    return chosen + block_ram(beats, width) + features(register=address + 1 + width), cycles
