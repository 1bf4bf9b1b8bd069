"""The integers that a user says come in: type, scale, and the reals that they stand for."""

import re
from dataclasses import dataclass
from fractions import Fraction

from ..errors import GraphError
from .graph import IntType
from .import_values import Grid

EXAMPLES = (
    "uint8 (the model takes 0 to 255), uint8:1/255 (0 to 1), int16:0.0009765625 (fixed point), bipolar (-1 and +1), "
    "binary (0 and 1)"
)


@dataclass(frozen=True)
class InputType:
    """``dtype`` codes; the model's real is scale * (step * code + base)."""

    dtype: IntType
    scale: Fraction
    step: int = 1
    base: int = 0

    def grid(self, channels: int) -> Grid:
        return Grid.of(channels, self.scale, step=self.step, base=self.base)


def parse_input_type(text: str) -> InputType:
    """Read TYPE or TYPE:SCALE, where TYPE is uintN, intN, binary or bipolar and SCALE a number or a fraction a/b."""
    kind, _, scale = text.strip().partition(":")
    factor = _scale(text, scale) if scale else Fraction(1)
    if kind == "bipolar":
        return InputType(IntType(1), factor, 2, -1)
    if kind == "binary":
        return InputType(IntType(1), factor)
    found = re.fullmatch(r"(u?)int([1-9]\d*)", kind)
    if not found:
        raise GraphError(f"input type {text!r} is unknown; give for example {EXAMPLES}")
    # A float32, which is what the model would take, holds every integer of up to 24 bits.
    if int(found[2]) > 24:
        raise GraphError(f"input type {text!r} has {found[2]} bits; float32, which the model takes, holds at most 24")
    return InputType(IntType(int(found[2]), not found[1]), factor)


# Between them every code times its scale is an ordinary float32 number, which is what the model takes.
LOWEST_SCALE, HIGHEST_SCALE = Fraction(1, 10**30), Fraction(10**30)


def _scale(text: str, scale: str) -> Fraction:
    try:
        factor = Fraction(scale.replace(" ", ""))
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if factor <= 0:
        raise GraphError(
            f"input type {text!r}: {scale!r} is no scale above 0; give a number or a fraction such as 1/255"
        )
    if not LOWEST_SCALE <= factor <= HIGHEST_SCALE:
        raise GraphError(f"input type {text!r}: float32 cannot hold the scale {scale}; choose one of 1e-30 to 1e30")
    return factor
