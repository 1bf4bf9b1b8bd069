"""Quantizers measured: float networks in fewer bits, by calibration alone and trained further, for each quantizer.

    python benchmarks/quantizers.py digits-cnn
    python benchmarks/quantizers.py mnist-mlp --data ../shared/data

Prints Markdown tables of mean and standard deviation over the seeds; docs/quantization.md says how to read them. All
rows of a seed start from the same float network, and all that are trained are so for the same epochs.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from markdown_tables import spread, table

from espalier.errors import EspalierError
from espalier.quant.bits import FLOAT
from espalier.quant.calibrate import calibrate
from espalier.quant.data import Dataset, load_dataset
from espalier.quant.density import density_of
from espalier.quant.evaluate import evaluate
from espalier.quant.fit import fit
from espalier.quant.model import QuantNetwork
from espalier.quant.override import override
from espalier.quant.quantize import SLOWER
from espalier.quant.recipes import QUANTIZERS, Recipe, find_recipe
from espalier.quant.train import torch_state
from espalier.quant.widths import allocate_widths

BITS = {  # of weights, of activations
    "digits-cnn": ((8, 8), (4, 8), (4, 4), (3, 3), (2, 2), (1, 2)),
    "mnist-mlp": ((8, 8), (4, 8), (4, 4), (3, 3), (2, 2), (1, 1)),
}
BUDGETS = (2.5, 3.0, 4.0)  # as if all had so many bits
CALIBRATION = 256

Scores = dict[tuple[str, str], list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=BITS)
    parser.add_argument("--data", type=Path, help="archive of the data set, or its folder; digits needs none")
    parser.add_argument("--seeds", type=int, default=3, help="0 to SEEDS - 1; default: 3")
    options = parser.parse_args(arguments)
    try:
        run(options.network, options.data, range(options.seeds))
    except EspalierError as error:
        print(f"quantizers: error: {error}", file=sys.stderr)
        return 2
    return 0


def run(name: str, data: Path | None, seeds: range) -> None:
    scores: Scores = {}
    recipe = override(find_recipe(name), weight_bits=FLOAT, activation_bits=FLOAT)
    dataset = load_dataset(recipe, data)
    for seed in seeds:
        measure(replace(recipe, seed=seed), dataset, scores)
    further = further_of(recipe)
    print(f"{name}: float {spread(scores['float', ''], 1)} % after {recipe.epochs} epochs of "
          f"{len(dataset.train_inputs)} samples; trained further for {further.epochs}; {len(seeds)} seeds; "
          "accuracy in %\n")  # fmt: skip
    rows = [f"W{weights}A{activations}" for weights, activations in BITS[name]]
    columns = [f"{quantizer}, {how}" for how in ("calibrated", "trained") for quantizer in QUANTIZERS]
    print(scores_table("bits", rows, columns, scores))
    rows = [f"as {bits:g} bits everywhere" for bits in BUDGETS]
    print("\n" + scores_table("memory", rows, ["even, calibrated", "chosen, calibrated"], scores))


def measure(recipe: Recipe, dataset: Dataset, scores: Scores) -> None:
    """Add the scores of one seed."""
    with torch_state(1, recipe.seed):
        model = trained(QuantNetwork(recipe), recipe, dataset)
    note(scores, "float", "", score(model, recipe, dataset))
    inputs = torch.from_numpy(dataset.train_inputs[:CALIBRATION])
    for weights, activations in BITS[recipe.name]:
        for quantizer in QUANTIZERS:
            chosen = override(recipe, weight_bits=weights, activation_bits=activations, quantizer=quantizer)
            further, row = further_of(chosen), f"W{weights}A{activations}"
            made = calibrate(model, chosen, inputs)
            note(scores, row, f"{quantizer}, calibrated", score(made, chosen, dataset))
            with torch_state(1, recipe.seed):
                trained(made, further, dataset)
            note(scores, row, f"{quantizer}, trained", score(made, chosen, dataset))
    for bits in BUDGETS:
        measure_budget(model, recipe, dataset, bits, scores)


def measure_budget(model: QuantNetwork, recipe: Recipe, dataset: Dataset, bits: float, scores: Scores) -> None:
    """Bits chosen for the memory of ``bits`` everywhere, beside these, or the next whole number below, everywhere."""
    row, inputs = f"as {bits:g} bits everywhere", torch.from_numpy(dataset.train_inputs[: 8 * CALIBRATION])
    targets = torch.from_numpy(dataset.train_targets[: 8 * CALIBRATION])
    low, high = mbit(recipe, int(bits)), mbit(recipe, int(bits) + 1)
    budget = low + (bits % 1) * (high - low)
    found = allocate_widths(model, recipe, inputs, targets, budget_mbit=budget, calibration=CALIBRATION).recipe
    even = override(recipe, weight_bits=int(bits), activation_bits=int(bits))
    for name, chosen in (("even", even), ("chosen", found)):
        made = calibrate(model, chosen, inputs[:CALIBRATION])
        note(scores, row, f"{name}, calibrated", score(made, chosen, dataset))
    if recipe.seed == 0:
        print(f"{row}: weights {found.weight_bits}, activations {found.activation_bits}", file=sys.stderr)


def mbit(recipe: Recipe, bits: int) -> float:
    return density_of(override(recipe, weight_bits=bits, activation_bits=bits), {}).mbit


def further_of(recipe: Recipe) -> Recipe:
    """As ``espalier quantize`` trains further."""
    return replace(recipe, epochs=max(1, recipe.epochs // 4), learning_rate=SLOWER * recipe.learning_rate)


def trained(model: QuantNetwork, recipe: Recipe, dataset: Dataset) -> QuantNetwork:
    with tempfile.TemporaryDirectory() as folder:
        fit(model, recipe, dataset, Path(folder), "")
    return model.eval()


def score(model: QuantNetwork, recipe: Recipe, dataset: Dataset) -> float:
    return 100 * evaluate(model, recipe, dataset.test_inputs, dataset.test_targets)


def note(scores: Scores, row: str, column: str, value: float) -> None:
    scores.setdefault((row, column), []).append(value)
    print(f"{row} {column}: {value:.2f}", file=sys.stderr, flush=True)


def scores_table(head: str, rows: Sequence[str], columns: Sequence[str], scores: Scores) -> str:
    return table([head, *columns], [[row, *(spread(scores[row, column], 1) for column in columns)] for row in rows])


if __name__ == "__main__":
    sys.exit(main())
