"""Chains at the border as C, where they are a plain scale and zero point with some arithmetic around; exact or None."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...ir.chain import Chain, Step, quantizer_range

ARITHMETIC = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}
ROUNDED = ("ROUND", "HALF_EVEN")
WIDEST = 1 << 22
"""Magnitude of what the header rounds."""


class Conversion:
    """C of a chain: ``tables``, definitions of arrays that its ``lines`` use, which change ``x`` at place ``at``."""

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self.tables: list[str] = []
        self.lines: list[str] = []

    def add(self, step: Step) -> bool:
        """Whether the step could be written."""
        if step.operator in ARITHMETIC:
            return self._add_arithmetic(step)
        if step.operator == "Quant":
            return self._add_quantizer(step)
        return step.operator == "Codes" and self._add_border("x = espalier_to_code(x", step)

    def begin(self, step: Step) -> bool:
        """The same for a Dequantize at the start."""
        return self._add_border("x = espalier_from_code(codes[at]", step)

    def _add_arithmetic(self, step: Step) -> bool:
        constant = self._constant(np.asarray(step.constants[0], np.float32))
        if constant is None:
            return False
        operands = ("x", constant) if step.position == 0 else (constant, "x")
        self.lines.append(f"x = espalier_{ARITHMETIC[step.operator]}({', '.join(operands)});")
        return True

    def _add_quantizer(self, step: Step) -> bool:
        scale, zero, bits = (np.asarray(constant, np.float32) for constant in step.constants)
        is_signed = bool(step.attributes["signed"])
        limits = quantizer_range(bits, is_signed, bool(step.attributes["narrow"]))
        if str(step.attributes["rounding_mode"]) not in ROUNDED or (is_signed and (bits == 1).any()):
            return False
        if max(np.abs(limit).max() for limit in limits) > WIDEST:
            return False
        return self._add_call("x = espalier_quantizer(x", (scale, zero, *limits))

    def _add_border(self, call: str, step: Step) -> bool:
        return self._add_call(call, [np.asarray(constant, np.float64) for constant in step.constants])

    def _add_call(self, call: str, constants: Sequence[NDArray]) -> bool:
        written = [self._constant(constant) for constant in constants]
        if None in written:
            return False
        self.lines.append(f"{call}, {', '.join(map(str, written))});")
        return True

    def _constant(self, values: NDArray) -> str | None:
        """The constant as a literal, or a table of one for each channel."""
        try:
            full = np.broadcast_to(values, self._shape).reshape(-1, self._shape[-1])
        except ValueError:
            return None
        if not np.isfinite(full).all() or (full != full[0]).any():
            return None
        kind, literals = ("float", [f"{_decimal(value, 9)}f" for value in full[0]])
        if values.dtype == np.float64:
            kind, literals = "double", [_decimal(value, 17) for value in full[0]]
        if len(set(literals)) == 1:
            return literals[0]
        table = f"table_{len(self.tables)}"
        self.tables.append(f"static const {kind} {table}[{len(literals)}] = {{{', '.join(literals)}}};")
        return f"{table}[at % {len(literals)}]"


def _decimal(value: float, digits: int) -> str:
    """As many digits as give the same number again."""
    text = f"{value:.{digits}g}"
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def convert(chain: Chain | None, shape: tuple[int, ...], *, of_codes: bool = False) -> Conversion | None:
    """``chain`` in C for data of ``shape``, or for codes; without a chain no change at all.

    None where it needs more than the header has.
    """
    steps, found = list(chain.steps if chain else ()), Conversion(shape)
    if of_codes and steps and steps[0].operator == "Dequantize":
        is_written = found.begin(steps.pop(0))
    else:
        is_written = True
        found.lines += ["x = (float)codes[at];"] * of_codes
    return found if is_written and all(map(found.add, steps)) else None
