"""What a device holds, and so what a resource is worth beside the others; and how much of each a plan may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .resources import Family, Resources

KINDS = ("lut", "ff", "bram", "dsp")

NAMES = {"lut": "lookup tables", "ff": "flip-flops", "bram": "block RAMs", "dsp": "DSP blocks"}


@dataclass(frozen=True)
class Spent:
    """lut: lookup tables, counted as the device loses them; ff: flip-flops; bram: blocks of 18 kbit, on iCE40
    of 4 kbit; dsp: multiplier blocks."""

    lut: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, kind) + getattr(other, kind) for kind in KINDS))

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, kind) - getattr(other, kind) for kind in KINDS))


@dataclass(frozen=True)
class Budget:
    """device: what there is of each resource. limits: how much of some of them plans may take, the others as much as
    they will; without limits the device only says what a resource is worth."""

    family: Family
    device: Spent
    limits: Mapping[str, int] = field(default_factory=dict)

    def lowered(self, by: Spent) -> "Budget":
        """With limits lower by what something else takes."""
        return replace(self, limits={kind: max(0, most - getattr(by, kind)) for kind, most in self.limits.items()})

    def exceeded(self, taken: Spent) -> dict[str, int]:
        """By how much ``taken`` is more than the limits."""
        return {k: getattr(taken, k) - most for k, most in self.limits.items() if getattr(taken, k) > most}

    def area(self, taken: Spent) -> int:
        """The shares of the device added up, as so many of its lookup tables: a device that has few of a resource makes
        it dear. Flip-flops come with the lookup tables and count nothing beside them."""
        device = self.device
        blocks = taken.bram * device.lut / max(1, device.bram) + taken.dsp * device.lut / max(1, device.dsp)
        return round(taken.lut + blocks)


# An ECP5-25: what resources are worth where no device is named.
REFERENCE = Budget("ecp5", Spent(24288, 24288, 56, 28))


def spent(resources: Resources, family: Family) -> Spent:
    """In whole numbers, as a device counts."""
    return Spent(round(resources.luts(family)), round(resources.ff), round(resources.bram), round(resources.dsp))
