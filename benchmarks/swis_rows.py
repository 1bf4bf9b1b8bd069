"""Rows of the SWIS benchmark: how weights are brought to few shifts, decomposed or by what that is compared with."""

import copy
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espalier.quant.calibrate import NormCorrection, quantize_tensors
from espalier.quant.data import Dataset
from espalier.quant.evaluate import evaluate
from espalier.quant.fit import fit
from espalier.quant.model import QuantNetwork
from espalier.quant.override import override
from espalier.quant.quantize import SLOWER
from espalier.quant.recipes import Recipe
from espalier.quant.swis.assign import assign_shifts
from espalier.quant.swis.decompose import Decomposed, Ints, nearest_sums
from espalier.quant.swis.groups import group_places
from espalier.quant.swis.options import Swis
from espalier.quant.swis.quantizer import SharedShifts
from espalier.quant.train import torch_state

BITS = 8
POSITIONS = BITS - 1
CALIBRATION = 256


@dataclass(frozen=True)
class Row:
    """rule: "swis", decomposed as ``swis`` says; one of ``RULES``, the same for all weights of a layer; or "plain",
    quantized to a bit more than the shifts, with scales of their own. corrected: normalizations make up for their
    shift, as in ``espalier quantize``. epochs: trained further, 0 for none."""

    rule: str
    swis: Swis
    corrected: bool = True
    epochs: int = 0

    @property
    def name(self) -> str:
        """A file's name."""
        swis, kind = self.swis, self.rule
        parts = [kind if kind != "swis" else "swis-c" if swis.consecutive else "swis", f"n{swis.shifts:g}"]
        if kind == "swis":
            parts += [f"m{swis.group}", f"alpha{swis.alpha:g}"]
            parts += [f"a{swis.filters_at_once}" if swis.scheduled else "even"]
            parts += ["joint"] * swis.joint + ["double"] * swis.double_shift
        parts += [] if self.corrected else ["uncorrected"]
        return "-".join([*parts, *([f"e{self.epochs}"] if self.epochs else [])])


def truncated(weights: Ints, shifts: int) -> Ints:
    """The highest bits of each magnitude."""
    low = POSITIONS - shifts
    return np.sign(weights) * (np.abs(weights) >> low << low)


def rounded(weights: Ints, shifts: int) -> Ints:
    """Each magnitude to the nearest one with so many highest bits."""
    low = POSITIONS - shifts
    return np.sign(weights) * (np.minimum((np.abs(weights) + (1 << low >> 1)) >> low, (1 << shifts) - 1) << low)


def windowed(weights: Ints, shifts: int) -> Ints:
    """The run of positions, one for the whole layer, with the least sum of squared errors."""
    runs = [((1 << shifts) - 1) << low for low in range(POSITIONS - shifts + 1)]
    every = [np.sign(weights) * nearest_sums(run, POSITIONS)[np.abs(weights)] for run in runs]
    return min(every, key=lambda codes: int(np.square(codes - weights).sum()))


RULES = {"truncate": truncated, "round": rounded, "window": windowed}


class Fixed(SharedShifts):
    """A quantizer that follows one of ``RULES``."""

    def __init__(self, scaling_shape: tuple[int, ...], places: Ints, row: Row) -> None:
        super().__init__(BITS, scaling_shape, places, row.swis)
        self._rule = row.rule

    def decomposed(self, weights: torch.Tensor) -> Decomposed:
        integers = self.grouped(weights)
        codes = RULES[self._rule](integers, int(self.swis.shifts))
        return Decomposed(codes, np.bitwise_or.reduce(np.abs(codes), axis=2))


class Bench:
    """One seed: its network of real numbers, with weights and activations calibrated to 8 bits once for all rows."""

    def __init__(self, model: QuantNetwork, recipe: Recipe, dataset: Dataset, test_samples: int) -> None:
        self._model, self._dataset, self._samples = model, dataset, test_samples
        plain = override(recipe, weight_bits=BITS, activation_bits=BITS)
        self._recipe = replace(plain, swis=Swis(POSITIONS, scheduled=False))
        self._inputs = torch.from_numpy(dataset.train_inputs[:CALIBRATION])
        self._base = quantize_tensors(model, self._recipe, self._inputs)

    def real(self) -> float:
        return self._score(self._model)

    def run(self, row: Row) -> dict[str, float]:
        """The score in percent, the error of weights in steps of 8 bits, and the shifts of a filter on average."""
        recipe, model = replace(self._recipe, swis=row.swis), copy.deepcopy(self._model)
        if row.rule == "plain":
            recipe = override(replace(recipe, swis=None), weight_bits=int(row.swis.shifts) + 1)
            made = quantize_tensors(model, recipe, self._inputs)
        else:
            made = self._coarse(row, recipe, model)
        if row.corrected:
            NormCorrection(model, self._inputs).apply(made)
        if row.epochs:
            further = replace(recipe, epochs=row.epochs, learning_rate=SLOWER * recipe.learning_rate)
            with torch_state(1, recipe.seed), tempfile.TemporaryDirectory() as folder:
                fit(made, further, self._dataset, Path(folder), "")
        return {"score": self._score(made)} | ({} if row.rule == "plain" else _figures(made))

    def _coarse(self, row: Row, recipe: Recipe, model: QuantNetwork) -> QuantNetwork:
        """With the 8-bit integers brought to few shifts; the channels of ``model`` come in the same order."""
        made = copy.deepcopy(self._base)
        for spec in recipe.network.weighted:
            layer: Any = made.get_submodule(spec.name)
            shape = layer.weight_quant.tensor_quant.scaling_shape
            places = group_places(recipe.network, spec, row.swis.group)
            make = SharedShifts(BITS, shape, places, row.swis) if row.rule == "swis" else Fixed(shape, places, row)
            layer.weight_quant.tensor_quant = make
        made.eval()
        if row.rule == "swis":
            assign_shifts(made, recipe, model)
        return made

    def _score(self, model: QuantNetwork) -> float:
        inputs, targets = self._dataset.test_inputs[: self._samples], self._dataset.test_targets[: self._samples]
        return 100 * evaluate(model, self._recipe, inputs, targets)


def _figures(made: QuantNetwork) -> dict[str, float]:
    squares = weights = shifts = 0.0
    for name in made.weighted_layers:
        layer: Any = made.get_submodule(name)
        quantizer = layer.weight_quant.tensor_quant
        errors = quantizer.grouped(layer.weight) - quantizer.decomposed(layer.weight).codes
        squares += float(np.square(errors).sum())
        weights += layer.weight.numel()
        shifts += layer.weight.numel() * float(quantizer.shifts.double().mean())
    return {"rmse": (squares / weights) ** 0.5, "shifts": shifts / weights}
