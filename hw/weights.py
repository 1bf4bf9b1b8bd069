"""How the weights of a matrix-vector product are stored: as signs, or as integers; and what each form adds to sums."""

from dataclasses import dataclass

import numpy as np

from ..ir.graph import Ints, IntType
from .function import words_of
from .plan import Order


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights folded by ``pe`` and ``simd``: ``tiles`` of (slots, pe, simd), each a memory word.

    are_signs: a bit is 1 for weight -1; the input is then *inverted*, not negated, which lacks a constant for each
    output, ``offsets``, shape (outputs,): y = sum + offsets.
    low, high: the range of what is stored, with the zeros that pad it.
    """

    tiles: Ints
    dtype: IntType
    low: int
    high: int
    are_signs: bool
    offsets: Ints

    @property
    def words(self) -> list[int]:
        """Lane (pe, simd) at pe * simd_total + simd."""
        return words_of(self.tiles.reshape(len(self.tiles), -1), self.dtype.bits)


def weight_range(bits: int) -> tuple[int, int]:
    """Of any weights of so many bits; a single bit stands for -1 and 1."""
    return (-1, 1) if bits == 1 else (-(1 << bits - 1), (1 << bits - 1) - 1)


def store(
    weights: Ints,
    x_type: IntType,
    pe: int,
    simd: int,
    blocks: int = 1,
    order: Order = "output",
    bits: int | None = None,
) -> StoredWeights:
    """Fold ``weights``, (outputs, positions, inputs), into the tiles of ``fold_tiles`` in the order of slots.

    order: "output": the groups of a block go one after the other; "input": they are the innermost. bits: stored so
    that any weights of so many bits can take their place.
    """
    are_signs = bool((np.abs(weights) == 1).all()) if bits is None else bits == 1
    offsets = np.zeros(len(weights), np.int64)
    if are_signs:
        # An inverted input is (2**bits - 1) - x if unsigned, and -1 - x if signed.
        inverted_zero = -1 if x_type.signed else x_type.high
        offsets = -inverted_zero * (weights < 0).sum(axis=(1, 2))
    values = (weights < 0).astype(np.int64) if are_signs else weights
    low, high = min(0, int(values.min())), max(0, int(values.max()))
    if bits:
        low, high = (0, 1) if are_signs else weight_range(bits)
    dtype = IntType.of_range(low, high)
    tiles = fold_tiles(values, pe, simd, blocks)
    if order == "input":
        tiles = tiles.reshape(blocks, -1, *tiles.shape[1:]).swapaxes(1, 2)
    return StoredWeights(tiles.reshape(-1, pe, simd), dtype, low, high, are_signs, offsets)


def fold_tiles(weights: Ints, pe: int, simd: int, blocks: int = 1) -> Ints:
    """``weights``, (outputs, positions, inputs), as tiles (groups, beats, pe, simd): for each block of outputs its
    groups of ``pe``, in these the positions, in these the groups of ``simd`` inputs; what is ragged is padded."""
    positions, inputs = weights.shape[1:]
    outputs = len(weights) // blocks
    groups, beats = -(-outputs // pe), -(-inputs // simd)
    padded = np.zeros((blocks, groups * pe, positions, beats * simd), np.int64)
    padded[:, :outputs, :, :inputs] = weights.reshape(blocks, outputs, positions, inputs)
    return padded.reshape(blocks * groups, pe, positions * beats, simd).transpose(0, 2, 1, 3)
