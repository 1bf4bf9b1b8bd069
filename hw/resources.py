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

Family = Literal["ecp5", "xc7", "ice40", "ice40-hx", "gowin"]

FITTED = ("lut", "carry", "lutram", "ff")


@dataclass(frozen=True)
class Cells:
    """How a family of devices counts.

    carry, lutram, chain: lookup tables that are lost to a carry cell, to a LUT RAM and its writing, and to what nextpnr
    spends on getting into and out of a carry chain. bram, dsp: the features that are its blocks, and how many of these
    make one.
    """

    carry: int = 0
    lutram: int = 0
    chain: int = 0
    bram: str = "bram"
    dsp: str | None = "dsp"
    products: int = 1


CELLS: dict[Family, Cells] = {
    "ecp5": Cells(carry=2, lutram=6, chain=4),
    "xc7": Cells(lutram=1),
    "ice40": Cells(bram="small_bram", dsp="mac16"),
    "ice40-hx": Cells(bram="small_bram", dsp=None),
    "gowin": Cells(carry=1, lutram=8, dsp="halves", products=2),
}


@dataclass(frozen=True)
class Resources:
    """lut: lookup tables (LUT4, LUT6 on 7-series) for logic, on iCE40 logic cells. carry: CCU2C, CARRY4, SB_CARRY or
    ALU. lutram: DPR16X4, RAM16SDP4, or lookup tables used as memory. bram: blocks of 18 kbit, on iCE40 of 4 kbit. dsp:
    multiplier blocks. chains: carry chains, not counted in what yosys tells."""

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
        """Lookup tables that the device loses."""
        cells = CELLS[family]
        return self.lut + cells.carry * self.carry + cells.chain * self.chains + cells.lutram * self.lutram


@dataclass(frozen=True)
class Model:
    """coefficients: (fitted resources, features), of one family; engines: those that were among what they were fitted
    to."""

    cells: Cells
    coefficients: NDArray[np.float64]
    engines: tuple[str, ...]

    def estimate(self, counted: Features) -> Resources:
        lut, carry, lutram, ff = (self.coefficients @ counted).tolist()
        bram, chains = (float(counted[PLACES[name]]) for name in (self.cells.bram, "chains"))
        products = round(counted[PLACES[self.cells.dsp]]) if self.cells.dsp else 0
        return Resources(lut, carry, lutram, ff, bram, -(-products // self.cells.products), chains)


@lru_cache
def find_model(family: Family) -> Model:
    """The fitted model that the package holds."""
    stored = json.loads(Path(__file__).with_name("resources.json").read_text())[family]
    coefficients = np.array([[stored[what].get(name, 0.0) for name in FEATURES] for what in FITTED])
    return Model(CELLS[family], coefficients, tuple(stored["engines"]))
