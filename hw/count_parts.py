"""What small parts of the hardware are made of, from their parameters alone: so many registers, adders, table rows.

Each function answers with features: how much there is of something that takes resources in proportion. What a feature
takes of a device is fitted to syntheses (`hw/resources.py`); block RAM, LUT RAM and multiplier blocks are exact.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import expm1
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ir.graph import IntType
from .arithmetic import SHORTEST_CHAIN, WIDEST_LOGIC, WIDEST_UNREGISTERED
from .buffer import DEEPEST_LUT_RAM
from .counters import is_power_of_two
from .deep_queue import FETCHING, HEAD
from .memory import BLOCK_SHAPES, choose_style, split_into_banks
from .small_blocks import count_small_blocks, is_worth_small_blocks

CHAINS = ("add", "sum", "compare", "constant", "count", "level", "point", "accumulate", "limit")

CHAINS_OF = {"level": 2, "constant": 0, "limit": 0}
"""Carry chains that are left of one of some kinds: what adds and subtracts takes two, constants are mostly logic."""

PACKED, PACKED_HALVES = ("sum", "accumulate"), 24
"""Those that go to registers and nowhere else: boards/chains.py has several in one chain, of so many halves of cells,
and half a cell between each two of them."""

ENGINES = (
    "serials", "serial_kept", "signed_lanes", "loose_lanes", "loose_masks", "shifted", "popcounts", "far",
    "packed", "packed_pairs", "packed_fours", "spatials", "cells", "short_cells", "cell_sums",
    "cells_pairs", "cells_fours",
)  # fmt: skip

EXACT = ("bram", "small_bram", "dsp", "halves", "mac16")
"""Blocks as different families have them: of 18 kbit and of 4, multipliers of 18 x 18 bits, of 9 x 9 and of 16 x 16."""

FEATURES = (
    *EXACT, "chains",  # exact, or nearly
    "register", "copied", "delayed", "delays", "block_read", "product_register",
    "dpr", "ram", "row_mux", "row_select", "stored", "stored_mux", "stored_words", "moved", "moves",
    *(f"{kind}_{what}" for kind in CHAINS for what in ("long", "short", "tiny", "pairs", "fours")),
    "ripple", "contest", "triples", "sixes", "gates", "inverted", "loose", "loose_signs", "inverted_bits",
    "looked_up", "started",
    "dsp_wide", "small_product", "product", "product_area", "soft9", "soft16", "limited", "decoded", "masked", "mux",
    "begun",
    "rom4", "rom6", "deep4", "deep6", "joined4", "logic4", "logic6", "block_word", "bank_mux", "small_mux",
    "flag", "wraps", "loop", "loops", "picked", "ranks", "outside", "padded", "chosen", "choices",
    "chosen4", "chosen6", "flags", "wide_flags", "joined", "held",
    *ENGINES,
    "winners", "levels", "queues", "deeps", "deep_bits", "stages", "windows", "parallels", "pads", "pools",
    "converters", "forks", "argmaxes",
)  # fmt: skip

PLACES = {name: place for place, name in enumerate(FEATURES)}

Features = NDArray[np.float64]
"""How much there is of each of ``FEATURES``."""


def features(**amounts: float) -> Features:
    found = np.zeros(len(FEATURES))
    for name, amount in amounts.items():
        found[PLACES[name]] = amount
    found.setflags(write=False)  # some are kept and given out again
    return found


def add_all(parts: Iterable[Features]) -> Features:
    return sum(parts, start=NOTHING)


def many(part: Features, count: float) -> Features:
    return part * count


NOTHING = features()


def registers(bits: float, cycles: int = 1) -> Features:
    """``bits`` some cycles later; those delayed by more than two become shift registers on 7-series. On iCE40 each
    takes a cell, for no lookup table feeds it."""
    if cycles <= 2:
        return features(register=bits * cycles, copied=bits * cycles)
    return features(delayed=bits * cycles, delays=bits)


@lru_cache(maxsize=100_000)
def chain(kind: str, bits: int, count: float = 1) -> Features:
    """An adder or what else yosys makes a carry chain of: on ECP5 beyond four bits, on 7-series beyond two; sums of
    `arithmetic.add_up` are chains on both."""
    length = "long" if bits > 4 else "short" if bits > 2 else "tiny"
    # A comparison of two bits with two others is one table.
    tables = 1 if length == "tiny" and kind in ("compare", "constant") else bits
    amounts = {f"{kind}_{length}": tables * count}
    if bits > 2:
        amounts[f"{kind}_fours"] = -(-bits // 4) * count
    if bits > (2 if kind == "sum" else 4):
        is_packed = kind in PACKED
        amounts[f"{kind}_pairs"] = ((bits + 1) / 2 if is_packed else -(-bits // 2)) * count
        amounts["chains"] = (bits + 1) / PACKED_HALVES * count if is_packed else CHAINS_OF.get(kind, 1) * count
    return features(**amounts)


def adder(bits: int, count: float = 1) -> Features:
    return chain("add", bits, count)


def comparator(bits: int, count: float = 1) -> Features:
    return chain("compare", bits, count)


def contest(bits: int, count: float = 1) -> Features:
    """A comparison of two numbers of a stream, neither of which is a constant or one of a few."""
    return comparator(bits, count) if bits > SHORTEST_CHAIN else features(contest=bits**2 / 2 * count)


def choice_tables(inputs: int, values: int) -> int:
    """Lookup tables of so many inputs that choose one of so many bits, each with a flag if they are more than two."""
    return int(values == 2) if values < 3 else -(-(2 * values - 1) // (inputs - 1))


def bits_of(size: int) -> int:
    """Of a number from 0 to ``size`` - 1."""
    return max(0, (size - 1).bit_length())


def counter(size: int) -> Features:
    """Counts from 0 to ``size`` - 1 and starts again."""
    bits = bits_of(size)
    if not bits:
        return NOTHING
    return features(register=bits, wraps=0 if is_power_of_two(size) else bits) + chain("count", bits)


@lru_cache(maxsize=100_000)
def walk(beats: int, groups: int = 1, *, is_addressed: bool = True) -> Features:
    """Of `hw/counters.py`; is_addressed: its count of all slots is used."""
    flags = add_all(features(register=2, flag=bits_of(size)) for size in (beats, groups) if size > 1)
    if is_power_of_two(beats):
        return flags + counter(beats * groups)
    found = flags + counter(beats) + counter(groups)
    return found + counter(beats * groups) if is_addressed and groups > 1 else found


def distinct(columns: float, words: int) -> float:
    """Different columns among ``columns`` random ones of ``words`` bits, those left out that are constant."""
    if words >= 40:
        return columns
    kinds = 2.0**words
    return -kinds * expm1(-columns / kinds) * (1 - 2 / kinds) if words > 1 else 0.0


@lru_cache(maxsize=100_000)
def rom(words: int, width: float, style: str = "auto", different: int | None = None) -> Features:
    """Of `hw/memory.py`; different: columns that are neither alike nor constant, else guessed: the words are random."""
    if words == 1 or not width:
        return NOTHING
    style = choose_style(words, int(width)) if style == "auto" else style
    if style == "block":
        return _block_rom(words, int(width))
    columns = distinct(width, words) if different is None else different
    if style == "logic":
        four, six = _rows(columns, words, 16), _rows(columns, words, 64)
        return features(logic4=four, logic6=six, register=columns)
    return _tables(columns, words) + features(register=columns)


def _tables(columns: float, words: int) -> Features:
    # Up to eight tables of four inputs, or four of six, join in multiplexers of their own.
    # On iCE40 none do.
    joined, deep4, deep6 = (columns * (-(-words // size) - 1) for size in (16, 128, 256))
    four, six = _rows(columns, words, 16), _rows(columns, words, 64)
    return features(rom4=four, rom6=six, deep4=deep4, deep6=deep6, joined4=joined)


def _rows(columns: float, words: int, size: int) -> float:
    """Lookup tables of ``size`` words; a table of two words is a wire."""
    if words == 2:
        return 0
    if words <= 4:  # most of the few functions of two inputs that there are need no more than a table in common
        return min(columns, 6.0)
    return columns * -(-(words - 2) // size)


@lru_cache(maxsize=100_000)
def _block_rom(words: int, width: int) -> Features:
    banks, (widest, shallow) = split_into_banks(words, width), BLOCK_SHAPES[0]
    found = features(register=width)
    start = 0
    for bank in banks:
        own = min(bank.depth, words - start)
        if start and choose_style(own, width) != "block":
            found = found + _tables(width, own) + features(register=2 * width)
        else:
            found = (
                found
                + features(bram=-(-width // (bank.width if bank.depth > shallow else widest)), block_word=width)
                + add_all(_small_blocks(own, min(bank.width, width - low)) for low in range(0, width, bank.width))
            )
        start += bank.depth
    if len(banks) > 1:
        found = found + features(bank_mux=width * (len(banks) - 1), register=2 * bits_of(len(banks)))
    return found


def _small_blocks(words: int, width: int) -> Features:
    """Of a memory in block RAM of 4 kbit."""
    blocks, beside = count_small_blocks(words, width)
    return features(small_bram=blocks, small_mux=width * (beside - 1))


@lru_cache(maxsize=100_000)
def lut_ram(words: int, width: int, *, is_registered: bool = False) -> Features:
    """One port to write and one to read at once; is_registered: a register reads it and nothing else does.

    iCE40 has flip-flops instead, or block RAM where there is a register, and logic for a word read while it is written.
    """
    rows = -(-words // 16)
    if words <= 64:
        ram = 4 * -(-width // (6 if words <= 32 else 3))
    else:
        ram = 4 * width * -(-words // 128)
    found = features(
        dpr=rows * -(-width // 4), ram=ram, row_mux=width * (rows - 1), row_select=rows if rows > 1 else 0
    )  # fmt: skip
    if is_registered and is_worth_small_blocks(words, width):
        return found + _small_blocks(words, width) + features(moved=width, moves=1)
    return found + features(stored=words * width, stored_mux=width * (words - 1), stored_words=words)


@lru_cache(maxsize=100_000)
def block_ram(words: int, width: int) -> Features:
    """One port to write and one to read, as yosys maps it: the widest form that has all words."""
    blocks = 0
    for wide, deep in BLOCK_SHAPES:
        if words <= deep or wide == 1:
            blocks = -(-width // wide) * -(-words // deep)
            break
    return features(bram=blocks, block_word=width, block_read=2 * width) + _small_blocks(words, width)


@lru_cache(maxsize=100_000)
def queue(depth: int, width: int) -> Features:
    """Of `hw/queue.py` or `hw/deep_queue.py`, with its credits."""
    level = depth.bit_length()
    credits = features(register=level + 1, levels=1) + chain("level", level)
    if depth == 1:
        return credits + features(register=width + 1, held=width)
    if _is_deep(depth, width):
        return credits + _deep_queue(depth, width)
    places = 1 << bits_of(depth)
    pointer = bits_of(depth)
    pointers = features(register=2 * pointer, queues=1) + chain("count", pointer, 2)
    return credits + many(credits, 1) + pointers + lut_ram(places, width)


def _is_deep(depth: int, width: int) -> bool:
    return depth > 3 * HEAD and choose_style(depth - 2 * HEAD, width) == "block"


def merge_queue(depth: int, width: int) -> Features:
    """What becomes of a queue where the next stage takes its beats into a register, and yosys looks at both at once."""
    places = 1 << bits_of(depth)
    if places == 1 or _is_deep(depth, width):
        return NOTHING
    return lut_ram(places, width, is_registered=True) - lut_ram(places, width)


def _deep_queue(depth: int, width: int) -> Features:
    places = 1 << (depth - HEAD).bit_length()
    pointer, head = bits_of(places), HEAD.bit_length()
    return add_all(
        (
            block_ram(places, width),
            many(lut_ram(HEAD, width), 2),
            lut_ram(HEAD, 1),
            many(counter(places), 2),
            features(register=pointer + head + 12 + FETCHING * 5, mux=width, deeps=1, deep_bits=pointer + head),
        )
    )


class Term(NamedTuple):
    """A summand as `arithmetic.Term` has it: a number between low and high, shifted, added or subtracted."""

    low: int
    high: int
    shift: int = 0
    minus: bool = False

    @property
    def bits(self) -> int:
        return bits_between(self.low, self.high)


@lru_cache(maxsize=100_000)
def bits_between(low: int, high: int) -> int:
    return IntType.of_range(low, high).bits


@lru_cache(maxsize=100_000)
def _add(a: Term, b: Term) -> tuple[Term, int, bool]:
    """The sum, the bits that are added, and whether it is a difference; as `arithmetic.add_up` adds."""
    if a.shift > b.shift:
        a, b = b, a
    apart = b.shift - a.shift
    if a.minus != b.minus:
        first, second = (b, a) if a.minus else (a, b)
        shift = min(a.shift, b.shift)
        up, down = first.shift - shift, second.shift - shift
        low, high = (first.low << up) - (second.high << down), (first.high << up) - (second.low << down)
        return Term(low, high, shift), bits_between(low, high), True
    low, high = a.low + (b.low << apart), a.high + (b.high << apart)
    bits = bits_between(low >> apart, high >> apart)
    return Term(low, high, a.shift, a.minus), bits, False


def add_up(terms: Sequence[Term]) -> tuple[Features, Term, int]:
    """A tree of adders: its features, its result, its cycles."""
    found = NOTHING
    sums, cycles = list(terms), 0
    while len(sums) > 1:
        added = [_add(a, b) for a, b in zip(sums[0::2], sums[1::2], strict=False)]
        for (_, bits, is_difference), count in Counter(added).items():
            is_logic = bits <= (SHORTEST_CHAIN if is_difference else WIDEST_LOGIC)
            found = found + (features(ripple=bits * count) if is_logic else chain("sum", bits, count))
        sums = [*(total for total, _, _ in added), *sums[2 * len(added) :]]
        if len(sums) == 1 or max(term.bits for term in sums) > WIDEST_UNREGISTERED:
            cycles += 1
            found = found + features(register=sum(term.bits for term in sums))
    return found, sums[0], cycles


def count_up(bits: int) -> tuple[Features, Term, int]:
    """A count of single bits, as `arithmetic.count_up` has it."""
    triples = -(-bits // 3)
    found = features(triples=triples, register=2 * triples)
    if triples == 1:
        return found, Term(0, bits), 1
    sixes = -(-triples // 6)
    parts = [Term(0, min(6, triples - 6 * n)) for n in range(sixes)]
    twos = [Term(0, part.high, 1) for part in parts]
    found = found + features(sixes=triples / 3, register=sum(part.bits for part in (*parts, *twos)))
    tree, total, cycles = add_up([*parts, *twos])
    return found + tree, total, cycles + 2


def ring(words: int, width: int) -> Features:
    """Places of a buffer that is written and read at once, in the style that its stage takes."""
    return block_ram(words, width) if words > DEEPEST_LUT_RAM else lut_ram(words, width)
