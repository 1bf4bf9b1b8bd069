"""What a device holds: how much of each resource there is, and so what it is worth beside the others."""

from dataclasses import dataclass, replace

from .resources import Family, Resources

KINDS = ("lut", "ff", "bram", "dsp")

NAMES = {"lut": "lookup tables", "ff": "flip-flops", "bram": "block RAMs of 18 kbit", "dsp": "DSP blocks"}


@dataclass(frozen=True)
class Budget:
    """lut: lookup tables, counted as the device loses them; ff: flip-flops; bram: blocks of 18 kbit; dsp: multiplier
    blocks. is_limit: plans have to fit; if not, the numbers only say what a resource is worth beside the others."""

    family: Family
    lut: int
    ff: int
    bram: int
    dsp: int
    is_limit: bool = True

    def filled(self, share: float) -> "Budget":
        """``share`` of everything, rounded down."""
        return replace(self, **{kind: int(getattr(self, kind) * share) for kind in KINDS})

    def less(self, taken: "Spent") -> "Budget":
        """What is left beside what is taken."""
        return replace(self, **{kind: max(0, getattr(self, kind) - getattr(taken, kind)) for kind in KINDS})


@dataclass(frozen=True)
class Spent:
    """Numbers of resources as a `Budget` counts them, rounded to whole ones."""

    lut: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, kind) + getattr(other, kind) for kind in KINDS))


def spent(resources: Resources, family: Family) -> Spent:
    return Spent(round(resources.luts(family)), round(resources.ff), round(resources.bram), round(resources.dsp))


# An ECP5-25: what a resource is worth where no device is named.
REFERENCE = Budget("ecp5", 24288, 24288, 56, 28, is_limit=False)


def area_of(taken: Spent, worth: Budget) -> int:
    """The shares of the device added up, as so many of its lookup tables: a device that has few of a resource makes it
    dear. Flip-flops come with the lookup tables and count nothing beside them."""
    blocks = taken.bram * worth.lut / max(1, worth.bram) + taken.dsp * worth.lut / max(1, worth.dsp)
    return round(taken.lut + blocks)


def describe(amounts: Budget | Spent) -> str:
    return ", ".join(f"{getattr(amounts, kind):,} {NAMES[kind]}" for kind in KINDS)
