"""What stages take of a device: exact block RAM and multiplier counts, fitted lookup tables, carry cells, flip-flops.

The coefficients in ``resources.json`` come from `benchmarks/calibrate.py`, which fits them to syntheses by yosys; it
prints how well they predict stages and networks that were not among these.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .count_parts import Features

Family = Literal["ecp5", "xc7"]

FITTED = ("lut", "carry", "lutram", "ff")

# Features that are numbers of cells themselves.
EXACT = ("bram", "dsp")


@dataclass(frozen=True)
class Resources:
    """lut: lookup tables (LUT4 on ECP5, LUT6 on 7-series) for logic. carry: CCU2C or CARRY4. lutram: DPR16X4, or
    lookup tables used as memory. bram: blocks of 18 kbit. dsp: multiplier blocks."""

    lut: float = 0.0
    carry: float = 0.0
    lutram: float = 0.0
    ff: float = 0.0
    bram: float = 0.0
    dsp: float = 0.0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(a + b for a, b in zip(astuple(self), astuple(other))))

    def luts(self, family: Family) -> float:
        """Lookup tables that the device loses: on ECP5 a carry cell takes two, a LUT RAM four and its write logic two."""
        return self.lut + 2 * self.carry + 6 * self.lutram if family == "ecp5" else self.lut + self.lutram


@dataclass(frozen=True)
class Model:
    """names: of the features; coefficients: (fitted resources, features), of one family."""

    names: tuple[str, ...]
    coefficients: NDArray[np.float64]

    def estimate(self, features: Features) -> Resources:
        """Raises KeyError for a feature that the model was not fitted with."""
        vector = vector_of(features, self.names)
        return Resources(*(self.coefficients @ vector), *(float(features[name]) for name in EXACT))


def vector_of(features: Mapping[str, float], names: tuple[str, ...]) -> NDArray[np.float64]:
    place = _places(names)
    vector = np.zeros(len(names))
    for name, amount in features.items():
        if name not in EXACT:
            vector[place[name]] = amount
    return vector


@lru_cache
def _places(names: tuple[str, ...]) -> Mapping[str, int]:
    return {name: place for place, name in enumerate(names)}


@lru_cache
def find_model(family: Family) -> Model:
    """The fitted model that the package holds."""
    stored = json.loads(Path(__file__).with_name("resources.json").read_text())
    names = tuple(stored["features"])
    return Model(names, np.array([[stored[family][what].get(name, 0.0) for name in names] for what in FITTED]))
