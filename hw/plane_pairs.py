"""The slots of a tile in the popcount engine: each plane of its weights with each plane of its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Value

from ..ir.graph import IntType
from .popcount_planes import StoredPlanes
from .steps import Steps


@dataclass(frozen=True)
class PlanePairs:
    """For each slot: the bit of the inputs, by how much its counts are shifted, and whether they are subtracted."""

    bits: tuple[int, ...]
    shifts: tuple[int, ...]
    subtracts: tuple[bool, ...]

    @property
    def is_plain(self) -> bool:
        """Whether there is but one slot, neither shifted nor subtracted."""
        return self.shifts == (0,) and not self.subtracts[0]

    @property
    def is_last_bit(self) -> tuple[bool, ...]:
        """Whether the next slot has another plane of weights."""
        return tuple(bit == self.bits[-1] for bit in self.bits)

    @property
    def lacking(self) -> int:
        """What the sums of a tile lack where -1 - count is added in place of -count."""
        return sum(1 << shift for shift, subtracts in zip(self.shifts, self.subtracts, strict=True) if subtracts)


def pair_planes(stored: StoredPlanes, x_type: IntType) -> PlanePairs:
    """The planes of weights in order, and within each of them those of the inputs."""
    pairs = [(plane, bit) for plane in range(len(stored.shifts)) for bit in range(x_type.bits)]
    top = x_type.bits - 1 if x_type.signed else None
    return PlanePairs(
        tuple(bit for _, bit in pairs),
        tuple(stored.shifts[plane] + bit for plane, bit in pairs),
        tuple(stored.is_negative[plane] != (bit == top) for plane, bit in pairs),
    )


def flag(pairs: Steps, flags: Sequence[bool]) -> Value:
    """The present slot's of ``flags``, of which there is one for each slot of a tile."""
    return pairs.flag([slot for slot, flag in enumerate(flags) if flag])


def number(pairs: Steps, numbers: Sequence[int]) -> Value:
    """The present slot's of ``numbers``."""
    bits = max(numbers).bit_length()
    return Value.cast(Cat(*(flag(pairs, [bool(number >> bit & 1) for number in numbers]) for bit in range(bits))))
