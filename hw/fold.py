"""How a unit can be folded: its lanes side by side against its cycles per frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .plan import Engine


@dataclass(frozen=True)
class Fold:
    """takes: channels in a beat of each input, 0 where any number will do; makes: of the result. cycles: slots a frame
    of the slowest process. multipliers: products per cycle. padding: lanes that a whole scan leaves idle. held: inputs
    that lie in registers, each about as large as a multiplier.
    """

    pe: int
    simd: int
    takes: tuple[int, ...]
    makes: int
    cycles: int
    multipliers: int = 0
    padding: int = 0
    held: int = 0
    engine: Engine = "mac"

    @property
    def size(self) -> int:
        return self.multipliers + self.held


@dataclass(frozen=True)
class Space:
    """All folds of a unit: each pe of ``pes`` with each simd of ``simds``, ascending; of_pe, of_simd: what they count,
    ``fold`` tells what comes of them."""

    pes: Sequence[int]
    simds: Sequence[int]
    fold: Callable[[int, int], Fold]
    of_pe: str = "channels"
    of_simd: str = ""
