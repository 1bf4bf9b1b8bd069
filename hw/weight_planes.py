"""Weights as bit planes: each a sum of powers of two, every one of which adds or subtracts the same input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..ir.graph import Ints, IntType
from .timing import Bools

NOTHING = -1
"""In place of a plane: there is none."""

Signs = Literal["none", "plane", "weight"]


@dataclass(frozen=True, eq=False)
class Planes:
    """Weights of any shape, or as tiles (groups, beats, pe, simd), none negative in ``bits``: bit p of each says
    whether the weight has plane p, which counts 2**p.

    is_negative: of each weight, whether its planes are subtracted; None where no weight says so.
    negative_plane: the only plane that is subtracted, for all weights; NOTHING if none is.
    """

    bits: Ints
    is_negative: Bools | None = None
    negative_plane: int = NOTHING

    @property
    def signs(self) -> Signs:
        """What decides whether an input is subtracted."""
        if self.is_negative is not None:
            return "weight"
        return "none" if self.negative_plane == NOTHING else "plane"

    @property
    def used(self) -> Ints:
        """(groups, beats), the planes that any weight of the tile has, as bits."""
        return np.bitwise_or.reduce(self.bits, axis=(2, 3))

    @property
    def subtracted(self) -> Ints:
        """Of each weight, the amount that is subtracted: its sum of negative planes."""
        if self.is_negative is not None:
            return np.where(self.is_negative, self.bits, 0)
        return self.bits & (0 if self.negative_plane == NOTHING else 1 << self.negative_plane)

    def masks(self, group: Ints, beat: Ints, plane: Ints) -> Ints:
        """(slots, pe, simd), which inputs the slots with these tiles and planes, each (slots,), add or subtract."""
        shifted = self.bits[group, beat] >> np.maximum(plane, 0)[:, None, None] & 1
        return np.where((plane == NOTHING)[:, None, None], 0, shifted)


def complement(tiles: Ints) -> Planes:
    """Two's complement, in the fewest bits: the highest plane is negative if any weight is."""
    dtype = IntType.of_range(min(0, int(tiles.min())), max(0, int(tiles.max())))
    return Planes(tiles & ((1 << dtype.bits) - 1), negative_plane=dtype.bits - 1 if dtype.signed else NOTHING)


def sign_and_magnitude(tiles: Ints) -> Planes:
    """Each weight with a sign of its own."""
    return Planes(np.abs(tiles), tiles < 0)


def forms_of(weights: Ints) -> list[Planes]:
    """The forms that weights of any shape may have; only one where none is negative."""
    plain = complement(weights)
    return [plain] if plain.signs == "none" else [plain, sign_and_magnitude(weights)]


def choose_form(forms: Sequence[Planes], slots: Sequence[int], x_bits: int, simd: int) -> int:
    """Which form is the best: the fewest slots, weighted with what the lanes of a slot cost."""
    costs = [count * cost_of_lanes(form.signs, x_bits, simd) for form, count in zip(forms, slots, strict=True)]
    return costs.index(min(costs))


def cost_of_lanes(signs: Signs, x_bits: int, simd: int) -> float:
    """About how many LUT4 one output takes, its share of the controller included.

    A tree adds masked inputs in its carry cells; a sign for each weight costs a table for every second input.
    """
    rest = 4 * x_bits + 20
    return x_bits * simd * (1.5 if signs == "weight" else 1.0) + rest
