"""What stages take of a device: exact block RAM and multiplier counts, fitted lookup tables, carry cells, flip-flops.

The coefficients in ``resources.json`` come from `benchmarks/calibrate.py`, which fits them to syntheses by yosys; it
prints how well they predict stages and networks that were not among these.
"""

import json
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .count_parts import FEATURES, PLACES, Features

Family = Literal["ecp5", "xc7"]

FITTED = ("lut", "carry", "lutram", "ff")

CHAIN_ENDS = 4
"""Lookup tables that nextpnr spends on getting into and out of a carry chain of ECP5."""


@dataclass(frozen=True)
class Resources:
    """lut: lookup tables (LUT4 on ECP5, LUT6 on 7-series) for logic. carry: CCU2C or CARRY4. lutram: DPR16X4, or
    lookup tables used as memory. bram: blocks of 18 kbit. dsp: multiplier blocks. chains: carry chains, not counted in
    what yosys tells."""

    lut: float = 0.0
    carry: float = 0.0
    lutram: float = 0.0
    ff: float = 0.0
    bram: float = 0.0
    dsp: float = 0.0
    chains: float = 0.0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(a + b for a, b in zip(astuple(self), astuple(other))))

    def luts(self, family: Family) -> float:
        """Lookup tables that the device loses: on ECP5 two for a carry cell, some for each chain of them, and six for a
        LUT RAM and its writing."""
        if family != "ecp5":
            return self.lut + self.lutram
        return self.lut + 2 * self.carry + CHAIN_ENDS * self.chains + 6 * self.lutram


@dataclass(frozen=True)
class Model:
    """coefficients: (fitted resources, features), of one family; engines: those that were among what they were fitted
    to."""

    coefficients: NDArray[np.float64]
    engines: tuple[str, ...]

    def estimate(self, counted: Features) -> Resources:
        lut, carry, lutram, ff = (self.coefficients @ counted).tolist()
        bram, dsp, chains = (float(counted[PLACES[name]]) for name in ("bram", "dsp", "chains"))
        return Resources(lut, carry, lutram, ff, bram, dsp, chains)


@lru_cache
def find_model(family: Family) -> Model:
    """The fitted model that the package holds."""
    stored = json.loads(Path(__file__).with_name("resources.json").read_text())[family]
    coefficients = np.array([[stored[what].get(name, 0.0) for name in FEATURES] for what in FITTED])
    return Model(coefficients, tuple(stored["engines"]))
