"""What a stage of the mac engine is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from ..ir.graph import Bounds, IntType
from ..ir.threshold import Threshold
from .arithmetic import DSP_CYCLES, WIDEST_LOGIC
from .buffer import DEEPEST_LUT_RAM, choose_form
from .count_functions import Finishing, finishing
from .count_parts import (
    NOTHING,
    Features,
    Term,
    add_up,
    adder,
    bits_of,
    block_ram,
    chain,
    count_up,
    features,
    lut_ram,
    many,
    queue,
    registers,
    rom,
    walk,
)
from .count_products import limits_of_product, multiply, multiply_wide
from .finish import begin
from .kept_sums import FEWEST_IN_MEMORY
from .memory import choose_style, read_cycles
from .packing import Packing, choose_packing
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
    starts: tuple[int, int]

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
    every = int(np.bitwise_or.reduce(weights, axis=None))
    if every and not start.any() and isinstance(function, Threshold):  # bits that no sum has take nothing
        lowest = (every & -every).bit_length() - 1
        function = replace(function, thresholds=-(-function.thresholds >> lowest))
        sums = Bounds(sums.low >> lowest, sums.high >> lowest)
    finish = finishing(
        function, int(sums.low.min()), int(sums.high.max()), product.result, outputs // product.blocks, product.blocks
    )
    reach = _with_zero(product.reach)
    start_type = IntType.of_range(int(start.min()), int(start.max()))
    return Sums(
        product, outputs, positions, channels, are_signs, IntType.of_range(low, high), Term(low, high), reach, finish,
        start_type.bits if start.any() else 0, (int(start.min()), int(start.max())),
    )  # fmt: skip


def _with_zero(reach: Bounds) -> Term:
    return Term(min(0, int(reach.low.min())), max(0, int(reach.high.max())))


def count_mac(sums: Sums, fold: LayerPlan, depth: int | None) -> Features:
    """The stage with a queue of ``depth``; None: as deep as its own pace needs."""
    product, x_bits = sums.product, sums.product.x_type.bits
    is_output_major = fold.order == "output"
    beats, own_groups = sums.positions * -(-sums.channels // fold.simd), -(-(sums.outputs // sums.blocks) // fold.pe)
    groups = own_groups * sums.blocks
    lanes = fold.pe * fold.simd if product.is_lanewise else fold.simd
    is_kept = own_groups > 1 and not product.is_lanewise and not (product.is_repeated and is_output_major)

    is_dsp = fold.multiplier == "dsp"
    array = find_array(sums, fold.pe, fold.simd, is_dsp, beats > 1)
    if not (is_dsp or sums.are_signs):  # bits of weights that are zero in all of few slots take nothing
        array = array._replace(features=array.features * (1 - 2.0 ** -(groups * beats)))
    memory, read = _memory(groups * beats, sums.is_one_word, array.word_bits, fold)
    finish = sums.finish.count(fold.pe)
    buffer, kept = count_buffer(beats if is_output_major else 1, lanes * x_bits, is_kept)
    found = _walk(is_output_major, beats, own_groups, sums.blocks) + memory + buffer
    found = found + array.features + finish.features
    kept_groups = 1 if is_output_major else own_groups
    is_added = beats > 1 or array.cycles == 0 or sums.start_bits > 0 or array.has_carry
    fetched = max(read, kept, _kept_cycles(kept_groups) - array.cycles)
    summed = fetched + array.cycles + is_added
    fetched, summed = fetched + max(0, finish.lead - summed), max(summed, finish.lead)
    latency = summed + finish.cycles + 1
    address = (groups * beats - 1).bit_length()
    found = found + registers(lanes * x_bits, fetched - kept) + registers(address, fetched - read)
    if is_added:
        found = found + many(_accumulator(array.total_bits, beats > 1, sums.start_bits > 0), array.totals)
    if beats > 1:
        found = found + registers(2, summed - 1) + _kept_sums(kept_groups, array.total_bits * array.totals)
    if sums.start_bits:
        found = found + rom(groups, sums.start_bits * fold.pe, "lut") + walk(1, groups)
    found = found + registers(latency - 1) + features(stages=1)
    most = -(-(latency + 1) // beats) if is_output_major else min(latency + 1, own_groups)
    return found + queue(depth or most, fold.pe * sums.finish.y_type.bits)


def _memory(slots: int, is_one_word: bool, bits: int, fold: LayerPlan) -> tuple[Features, int]:
    """Of the weights, and the cycles that it takes to read. What writes one that is loaded is not counted."""
    if not fold.is_loaded:
        words, style = 1 if is_one_word else slots, fold.memory
        style = choose_style(slots, bits) if style == "auto" else style
        return rom(words, bits, style), read_cycles(words, style)
    words = 2 << (slots - 1).bit_length()  # of both banks
    style = "spram" if fold.memory == "spram" else choose_style(words, bits)
    taken = {"block": block_ram, "lut": lut_ram}.get(style, lambda words, bits: NOTHING)(words, bits)
    return taken + registers(bits, read_cycles(words, style) - (style == "block")), read_cycles(words, style)


def _walk(is_output_major: bool, beats: int, groups: int, blocks: int) -> Features:
    if is_output_major:
        return walk(beats, groups * blocks)
    return walk(groups, beats) + (walk(beats * groups * blocks) if blocks > 1 else NOTHING)


def _kept_cycles(groups: int) -> int:
    return 0 if groups < FEWEST_IN_MEMORY else 1 + (groups > DEEPEST_LUT_RAM)


def _kept_sums(groups: int, bits: int) -> Features:
    """What keeps the sums of other groups: registers, or a memory."""
    if groups < FEWEST_IN_MEMORY:
        return registers(bits * (groups - 1))
    cycles, address = _kept_cycles(groups), bits_of(groups)
    pointers = registers(address, cycles + 1) + features(register=1)
    if cycles == 2:
        return pointers + block_ram(groups, bits) + registers(bits)
    return pointers + lut_ram(groups, bits, is_registered=True) + features(register=bits)


class Array(NamedTuple):
    """word_bits: of the weights of a slot. totals: sums that are kept, of ``total_bits`` each."""

    features: Features
    cycles: int
    word_bits: int
    totals: int
    total_bits: int
    has_carry: bool = False


@lru_cache(maxsize=50_000)
def find_array(sums: Sums, pe: int, simd: int, is_dsp: bool, is_long: bool) -> Array:
    x_bits, stored = sums.product.x_type.bits, sums.stored
    is_dsp = is_dsp and not sums.are_signs and min(x_bits, stored.bits) > 1
    start = IntType.of_range(sums.starts[0], sums.starts[1])
    ends = sums.finish.x_type, start
    total = IntType.of_range(min(one.low for one in ends), max(one.high for one in ends))
    if is_dsp and not sums.product.is_lanewise:
        limits = (sums.x.low, sums.x.high), (sums.weight.low, sums.weight.high)
        packing = choose_packing(*limits, pe, simd, total if is_long else None)
        if packing:
            return _packed(sums, pe, simd, packing, total)
    one, cycles = _sum_of(sums, simd, is_dsp)
    return Array(many(one, pe), cycles, stored.bits * pe * simd, pe, sums.finish.x_type.bits)


def _packed(sums: Sums, pe: int, simd: int, packing: Packing, total: IntType) -> Array:
    """Several outputs in a multiplier: of `hw/packed_array.py`."""
    lanes, packs = packing.lanes, -(-pe // packing.lanes)
    low, high = sums.weight.low, sums.weight.high
    above = IntType.of_range(low - (low < 0), high).bits
    word_bits = (sums.stored.bits + (lanes - 1) * above) * packs * simd
    ones = sum(1 << packing.spacing * lane for lane in range(lanes))
    products, terms = multiply_wide(sums.x, Term(low * ones, high * ones))
    found = many(products, packs * simd)
    if packing.is_whole:
        tree, _, cycles = add_up(terms * simd)
        width = packing.spacing * (lanes - 1) + total.bits
        return Array(found + many(tree, packs), DSP_CYCLES + cycles, word_bits, packs, width)
    groups = -(-simd // packing.group)
    tree, _, cycles = add_up(terms * min(simd, packing.group))
    found = found + many(tree, packs * groups)
    least, most = limits_of_product(sums.x, sums.weight)
    part = Term(packing.group * min(0, least), packing.group * max(0, most))
    parts, _, adding = add_up([part] * groups)
    found = found + many(parts, pe)
    return Array(found, DSP_CYCLES + cycles + adding, word_bits, pe, sums.finish.x_type.bits, low < 0 or sums.x.low < 0)


def _sum_of(sums: Sums, simd: int, is_dsp: bool) -> tuple[Features, int]:
    """Of one output, and its cycles."""
    x_bits = sums.product.x_type.bits
    if sums.are_signs:
        if x_bits == 1 and simd > 2:
            counted, _, cycles = count_up(simd)
            return counted + features(inverted_bits=simd), cycles
        mirror = sums.product.x_type.low + sums.product.x_type.high
        one = Term(min(sums.x.low, mirror - sums.x.high), max(sums.x.high, mirror - sums.x.low))
        tree, _, cycles = add_up([one] * simd)
        return tree + features(**{gates_of("inverted", "loose_signs", [one, one], simd): simd * x_bits}), cycles
    if is_dsp:
        products, terms = multiply_wide(sums.x, sums.weight)
        tree, _, cycles = add_up(terms * simd)
        return tree + many(products, simd), cycles + DSP_CYCLES
    products, terms = multiply(_full(sums.product.x_type, sums.x), sums.weight)
    if simd * len(terms) > 2 and all(term == Term(0, 1) for term in terms):
        counted, _, cycles = count_up(simd * len(terms))
    else:
        counted, _, cycles = add_up(terms * simd)
        if gates_of("gates", "loose", (terms * 2)[:2], simd * len(terms)) == "loose":
            bits = simd * len(terms) * terms[0].bits
            # A product of two bits and two is a table; of one bit and several, a gate that others take in.
            return counted + (features(rom4=bits, rom6=bits) if len(terms) == 1 else features(loose=bits)), cycles
    return counted + many(products, simd), cycles


def gates_of(name: str, loose: str, first: Sequence[Term], terms: int) -> str:
    """What the gates in front of a tree of adders count as: carry chains take them in, shorter adders do not."""
    _, total, _ = add_up(first)
    return name if terms > 1 and total.bits > WIDEST_LOGIC else loose


def _full(dtype: IntType, reach: Term) -> Term:
    """Limits that take as many bits as the stream has, or those of ``reach`` where these do."""
    return reach if reach.bits == dtype.bits else Term(dtype.low, dtype.high)


def _accumulator(bits: int, is_looped: bool, has_start: bool) -> Features:
    if is_looped:
        return chain("accumulate", bits) + features(register=bits, started=bits * has_start)
    return features(register=bits) + (adder(bits) if has_start else NOTHING)


def count_buffer(beats: int, width: int, is_kept: bool, *, is_late: bool = False) -> tuple[Features, int]:
    """Of `hw/buffer.py`, with its cycles."""
    form, is_late, cycles = choose_form(beats, is_kept, is_late)
    if form == "none":
        return registers(width), cycles
    chosen = registers(width + 2) + features(register=width, mux=0 if is_late else width)
    if form == "register":
        return chosen + registers(width), cycles
    address = (beats - 1).bit_length()
    if form == "lut":
        return chosen + lut_ram(beats, width, is_registered=is_late) + registers(address), cycles
    return chosen + block_ram(beats, width) + registers(address + 1 + width), cycles
