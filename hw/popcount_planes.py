"""How the weights of a matrix-vector product are stored plane by plane: one bit of each weight in a memory word."""

from dataclasses import dataclass

import numpy as np

from ..ir.graph import Ints, IntType
from .function import words_of
from .weights import fold_tiles


@dataclass(frozen=True)
class StoredPlanes:
    """Weights folded by ``pe`` and ``simd``: a memory word for each tile and plane, the planes of a tile in a row, lane
    (pe, simd) at pe * simd_total + simd.

    shifts: the weight of each plane is 2**shift; is_negative: or, of that one, -2**shift.
    are_signs: a bit is 1 for -2**shift and 0 for 2**shift; inputs are *inverted* then, not negated, which lacks a
    constant for each output, ``offsets``, shape (outputs,): y = sum + offsets.
    """

    words: list[int]
    shifts: tuple[int, ...]
    is_negative: tuple[bool, ...]
    are_signs: bool
    offsets: Ints


def store_planes(weights: Ints, x_type: IntType, pe: int, simd: int, blocks: int = 1) -> StoredPlanes:
    """Fold ``weights``, (outputs, positions, inputs), into the fewest planes: of two's complement, without those that
    are zero everywhere, or of signs."""
    shifts, is_negative = find_planes(weights)
    are_signs = is_negative is None
    coded = _count_signs(weights) if are_signs else weights
    tiles = fold_tiles(coded, pe, simd, blocks).reshape(-1, pe * simd)
    bits = np.stack([tiles >> shift & 1 for shift in shifts], axis=1).reshape(-1, pe * simd)
    offsets = find_offsets(weights, x_type)
    return StoredPlanes(words_of(bits, 1), shifts, is_negative or (False,) * len(shifts), are_signs, offsets)


def find_offsets(weights: Ints, x_type: IntType) -> Ints:
    """``offsets`` of `StoredPlanes`."""
    if find_planes(weights)[1] is not None:
        return np.zeros(len(weights), np.int64)
    # An inverted input is (2**bits - 1) - x if unsigned, and -1 - x if signed.
    inverted_zero = -1 if x_type.signed else x_type.high
    return -inverted_zero * _count_signs(weights).sum(axis=(1, 2))


def find_planes(weights: Ints) -> tuple[tuple[int, ...], tuple[bool, ...] | None]:
    """The shift of each plane, and which of them count negative; None: the planes are signs."""
    dtype = IntType.of_range(min(0, int(weights.min())), max(0, int(weights.max())))
    shifts = tuple(shift for shift in range(dtype.bits) if (weights >> shift & 1).any()) or (0,)
    signs = int(np.abs(weights).max()).bit_length()
    if (weights & 1).all() and signs < len(shifts):
        return tuple(range(signs)), None
    return shifts, tuple(dtype.signed and shift == dtype.bits - 1 for shift in shifts)


def _count_signs(weights: Ints) -> Ints:
    """Odd ``weights`` as sums of 2**shift and -2**shift: the number whose bit is 1 where that is subtracted."""
    highest = (1 << int(np.abs(weights).max()).bit_length()) - 1
    return (highest - weights) >> 1
