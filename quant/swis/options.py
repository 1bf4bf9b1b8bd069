"""What is said of a decomposition: how many shifts, shared by which weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from ...errors import BuildError, GraphError

MOST = 4096
"""Weights in a group, and filters computed at once, at most."""


@dataclass(frozen=True)
class Swis:
    """A group of ``group`` weights of one filter, neighbours along its input channels, shares its shifts.

    shifts: how many a group has on average over a layer. consecutive: its positions are neighbours (SWIS-C).
    filters_at_once: filters that hardware computes side by side, and that therefore have equally many shifts; joint:
    and at the same positions. double_shift: hardware takes two shifts a cycle, so that they are even. scheduled:
    filters have more or fewer shifts by what it costs them; if not, all have the same. alpha: weight of the squared sum
    of a group's errors beside the sum of their squares.
    """

    shifts: float
    group: int = 4
    consecutive: bool = False
    filters_at_once: int = 1
    joint: bool = False
    double_shift: bool = False
    scheduled: bool = True
    alpha: float = 1.0

    @property
    def step(self) -> int:
        """Shifts that are taken at once."""
        return 2 if self.double_shift else 1

    @property
    def sharing(self) -> int:
        """Filters whose groups have their positions in common."""
        return self.filters_at_once if self.joint else 1

    def most(self, positions: int) -> int:
        """The most shifts of a group of weights with so many bits of magnitude."""
        return positions // self.step * self.step

    def check(self, weight_bits: tuple[int, ...]) -> None:
        """Raise GraphError where an option is none for layers with so many bits."""
        for bits in weight_bits:
            if not 3 <= bits <= 8:
                raise GraphError(
                    f"--weights: {bits} bits were given; --method swis decomposes weights of 3 to 8, so give 8"
                )
        for option, value in (("--group", self.group), ("--filters-at-once", self.filters_at_once)):
            if not 1 <= value <= MOST:
                raise GraphError(f"{option}: {value} was given; it must be a whole number from 1 to {MOST}")
        if not (isfinite(self.alpha) and 0 <= self.alpha <= 1e6):
            raise GraphError(f"--alpha: {self.alpha:g} was given; it must be from 0 to 1e6")
        if self.joint and self.filters_at_once == 1:
            raise GraphError("--joint: a filter alone shares with none; give --filters-at-once, the pe of the hardware")
        self._check_shifts(max(weight_bits) - 1)

    def _check_shifts(self, positions: int) -> None:
        most = self.most(positions)
        if not self.step <= self.shifts <= most:
            why = ", whose shifts are even with --double-shift" if self.double_shift else ""
            raise GraphError(
                f"--shifts: {self.shifts:g} was given; it must be from {self.step} to {most} for weights with "
                f"{positions} bits of magnitude{why}"
            )
        if not self.scheduled and self.shifts % self.step:
            raise GraphError(
                f"--shifts: {self.shifts:g} was given, but with --even all filters have the same; give a multiple of "
                f"{self.step}, or leave --even out"
            )

    @classmethod
    def of_flags(cls, method: str, flags: Mapping[str, Any]) -> "Swis | None":
        """From the options of the command line, by their names there, None where left out; raises GraphError."""
        given = {name: value for name, value in flags.items() if value is not None}
        if method != "swis":
            if given:
                option = next(iter(given)).replace("_", "-")
                raise GraphError(f"--{option}: is of --method swis; leave it out, or choose this method")
            return None
        if "shifts" not in given:
            raise GraphError("--shifts: none were given; --method swis needs how many a group has on average, as 2.5")
        scheduled = not given.pop("even", False)
        return cls(**given, scheduled=scheduled)

    def record(self) -> dict[str, Any]:
        """Every option as a JSON value."""
        return asdict(self)


def read_swis(record: Any, where: str) -> Swis | None:
    """The options that ``Swis.record`` described, None if there are none; raises BuildError naming ``where``."""
    if record is None:
        return None
    try:
        return Swis(**record)
    except TypeError:
        raise BuildError(f"{where}: its swis is not as this version of Espalier writes it; quantize anew") from None
