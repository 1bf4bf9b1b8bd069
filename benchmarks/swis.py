"""SWIS measured: accuracy at few shifts against truncation, rounding and the best window, post-training and retrained.

    python benchmarks/swis.py digits-cnn --work runs/swis
    python benchmarks/swis.py cifar-cnn --data ../shared/data --work runs/swis
    python benchmarks/swis.py digits-cnn --work runs/swis --table
    python benchmarks/swis.py digits-cnn --work runs/swis --runs

Each row and seed is a file in the work folder, so that a killed run continues. All rows of a seed start from the same
network of real numbers and the same 8-bit integers. --runs makes run folders, as `espalier quantize` does, in
WORK/NETWORK/runs, for hardware to be made of. The tables on stdout are Markdown; docs/swis.md says how to read them.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from markdown_tables import spread, table
from swis_rows import BITS, Bench, Row
from swis_slots import ORDERS, slots_per_tile

from espalier.errors import EspalierError
from espalier.quant.bits import FLOAT
from espalier.quant.data import load_dataset
from espalier.quant.files import read_json, write_json
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.layers import Input
from espalier.quant.override import override
from espalier.quant.quantize import QuantizeOptions, quantize
from espalier.quant.recipes import Recipe, find_recipe
from espalier.quant.runs import load_run
from espalier.quant.swis.options import Swis
from espalier.quant.train import train


@dataclass(frozen=True)
class Study:
    """epochs: of the network of real numbers. further: epochs of retraining. samples: of the test set. shifts: of the
    rows that are not retrained."""

    recipe: Recipe
    seeds: int
    epochs: int
    further: int
    samples: int
    shifts: tuple[float, ...] = (1, 2, 2.5, 3, 4)

    @property
    def whole(self) -> tuple[int, ...]:
        return tuple(int(count) for count in self.shifts if count == int(count))


CIFAR_CNN = replace(
    find_recipe("mnist-cnn"), name="cifar-cnn", dataset="cifar10",
    network=cnn(Input((3, 32, 32), high=255.0), (16, 32, 32), pools=2), images=10_000, flip=True, shift=(2, 2),
)  # fmt: skip
STUDIES = {
    "digits-cnn": Study(find_recipe("digits-cnn"), 3, 20, 2, 449),
    "cifar-cnn": Study(CIFAR_CNN, 3, 8, 1, 1000),
    "resnet8": Study(replace(find_recipe("resnet8"), images=16_000), 1, 12, 1, 2000, (2, 2.5, 3)),
}
AT_ONCE = 4
KINDS = {  # of columns: consecutive, group
    "SWIS-C M=4": (True, 4), "SWIS M=4": (False, 4), "SWIS-C M=16": (True, 16), "SWIS M=16": (False, 16),
}  # fmt: skip
FIXED = {"truncated": "truncate", "rounded": "round", "best window": "window", "plain, N + 1 bits": "plain"}
TRAINED = {name: rule for name, rule in FIXED.items() if rule != "window"}
TILE = Swis(2, 4, filters_at_once=AT_ONCE, joint=True)
HARDWARE = {"swis": Swis(2, 4), "swis-joint": TILE, "swis-joint-double": replace(TILE, double_shift=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=STUDIES)
    parser.add_argument("--data", type=Path, help="archive of the data set, or its folder; digits needs none")
    parser.add_argument("--work", type=Path, required=True, help="folder of results")
    parser.add_argument("--seeds", type=int, help="0 to SEEDS - 1; default: 3, of resnet8 1")
    parser.add_argument("--rows", default="*", help="patterns of row names, first ones first; default: all")
    parser.add_argument("--table", action="store_true", help="only print the tables of what is there")
    parser.add_argument("--runs", action="store_true", help="make run folders of seed 0 instead")
    options = parser.parse_args(arguments)
    study, folder = STUDIES[options.network], options.work / options.network
    seeds = range(options.seeds or study.seeds)
    try:
        if options.runs:
            make_runs(study, folder, options.data)
            return 0
        for trains in (False, True):  # what takes long comes last
            for seed in seeds if not options.table else ():
                rows = [row for row in choose(study, options.rows.split(",")) if (row.epochs > 0) == trains]
                work(study, rows, folder, options.data, seed)
        print(report(study, Results(folder, seeds)))
    except EspalierError as error:
        print(f"swis: error: {error}", file=sys.stderr)
        return 2
    return 0


def rows_of(study: Study) -> Iterator[Row]:
    """What does not train first."""
    for corrected in (False, True):
        for count in study.whole:
            yield from (Row(rule, Swis(count, scheduled=False), corrected) for rule in FIXED.values())
            yield from (Row("swis", swis, corrected) for swis in kinds_of(count, scheduled=False).values())
    for count in study.shifts:
        yield from (Row("swis", swis) for swis in kinds_of(count, scheduled=True).values())
        yield from (Row("swis", swis) for swis in tiles_of(count).values() if is_possible(swis))
    for count in (count for count in study.whole if count <= 2):
        yield from (Row("swis", Swis(count, m, scheduled=False, alpha=0.0), c) for m in (4, 16) for c in (False, True))
    for count in study.shifts:
        for rule in TRAINED.values() if count in study.whole else ():
            yield Row(rule, Swis(count, scheduled=False), epochs=study.further)
        yield from (Row("swis", swis, epochs=study.further) for swis in retrained_of(count).values())


def choose(study: Study, patterns: Sequence[str]) -> list[Row]:
    """Rows whose name fits one of ``patterns``, those of the first pattern first."""
    places = [(next((n for n, p in enumerate(patterns) if fnmatch(row.name, p)), None), row) for row in rows_of(study)]
    return [row for place, row in sorted(((p, row) for p, row in places if p is not None), key=lambda pair: pair[0])]


def kinds_of(count: float, *, scheduled: bool) -> dict[str, Swis]:
    return {name: Swis(count, m, consecutive, scheduled=scheduled) for name, (consecutive, m) in KINDS.items()}


def is_possible(swis: Swis) -> bool:
    return swis.step <= swis.shifts <= swis.most(BITS - 1)


def tiles_of(count: float) -> dict[str, Swis]:
    """With filters computed at once."""
    tile = Swis(count, filters_at_once=AT_ONCE)
    return {
        f"A={AT_ONCE}": tile,
        f"A={AT_ONCE}, double": replace(tile, double_shift=True),
        f"A={AT_ONCE}, joint": replace(tile, joint=True),
    }


def retrained_of(count: float) -> dict[str, Swis]:
    return {
        "SWIS-C M=4": Swis(count, consecutive=True),
        "SWIS M=4": Swis(count),
        f"SWIS M=4, A={AT_ONCE}, joint": Swis(count, filters_at_once=AT_ONCE, joint=True),
    }


@dataclass(frozen=True)
class Results:
    """What is there, by row, for these seeds."""

    folder: Path
    seeds: range

    def path(self, name: str, seed: int) -> Path:
        return self.folder / "rows" / f"{name}-{seed}.json"

    def of(self, name: str, what: str = "score") -> list[float]:
        found = [read_json(path) for seed in self.seeds if (path := self.path(name, seed)).exists()]
        return [float(row[what]) for row in found if what in row]


def real_recipe(study: Study, seed: int) -> Recipe:
    options: dict[str, Any] = {"weight_bits": FLOAT, "activation_bits": FLOAT, "epochs": study.epochs, "seed": seed}
    return override(study.recipe, **options)


def work(study: Study, rows: Sequence[Row], folder: Path, data: Path | None, seed: int) -> None:
    """Do what has no result yet."""
    results, recipe = Results(folder, range(seed, seed + 1)), real_recipe(study, seed)
    results.path("", seed).parent.mkdir(parents=True, exist_ok=True)
    pending = [row for row in rows if not results.path(row.name, seed).exists()]
    if not pending:
        return
    train(recipe, folder / f"real-{seed}", data=data)
    bench = Bench(load_run(folder / f"real-{seed}").model, recipe, load_dataset(recipe, data), study.samples)
    if not results.path("int8", seed).exists():
        write_json(results.path("real", seed), {"score": bench.real()})
        write_json(results.path("int8", seed), bench.run(Row("swis", Swis(BITS - 1, scheduled=False))))
    for row in pending:
        found = bench.run(row)
        write_json(results.path(row.name, seed), found)
        say(f"{study.recipe.name} {seed}: {row.name} {found['score']:.2f} %")


def make_runs(study: Study, folder: Path, data: Path | None) -> None:
    """Run folders of seed 0: plain ones of fewer bits, and decomposed ones."""
    train(real_recipe(study, 0), source := folder / "real-0", data=data)
    changes: dict[str, Any] = {"activation_bits": BITS}
    jobs = {f"plain-w{bits}": ({"weight_bits": bits}, QuantizeOptions("calibrate")) for bits in range(2, BITS + 1)}
    for count in study.shifts:
        for name, swis in HARDWARE.items():
            if is_possible(wanted := replace(swis, shifts=count)):
                options = QuantizeOptions("swis", swis=wanted)
                jobs[f"{name}-n{count:g}"] = ({"weight_bits": BITS}, options)
    lines = []
    for name, (bits, options) in jobs.items():
        path = folder / "runs" / name
        done = quantize(source, path, changes | bits, options, data=data)
        found = done.swis or {}
        figures = [found.get("average_shifts"), found.get("storage_mbit", done.metrics.weight_mbit)]
        slots = slots_per_tile(path / "model.onnx", AT_ONCE, 4, options.swis.step if options.swis else 1)
        say(f"{path}: {done.metrics.score:.2%}")
        cells = ["–" if value is None else f"{value:.4g}" for value in figures]
        lines.append([name, f"{100 * done.metrics.score:.1f}", *cells, *(f"{slots[order]:.2f}" for order in ORDERS)])
    print(table(["run", "accuracy %", "shifts", "weights Mbit", *(f"slots, {order}" for order in ORDERS)], lines))


def report(study: Study, results: Results) -> str:
    title = (
        f"{study.recipe.name}: reals {spread(results.of('real'), 1)} %, 8 bits {spread(results.of('int8'), 1)} %, "
        f"{study.epochs} epochs, retrained for {study.further}; {study.samples} test images; "
        f"{len(results.of('int8'))} seeds; accuracy in %"
    )
    parts = [
        title,
        "#### Post-training, all filters alike, nothing corrected; in brackets the error of a weight in 8-bit steps",
        by_kind(study, results, scheduled=False, corrected=False),
        "#### Post-training, as `espalier quantize` does it: filters scheduled, normalizations corrected",
        by_kind(study, results, scheduled=True, corrected=True),
        "#### MSE against MSE++ (alpha 0, 1), all filters alike, normalizations corrected or not",
        costs(study, results),
        f"#### Schedules, M=4, corrected; A: filters computed at once, {AT_ONCE}",
        schedules(study, results),
        "#### Retrained, filters scheduled",
        retrained(study, results),
    ]
    return "\n\n".join(parts)


def by_kind(study: Study, results: Results, *, scheduled: bool, corrected: bool) -> str:
    lines = []
    for count in study.shifts if scheduled else study.whole:
        fixed = [Row(rule, Swis(count, scheduled=False), corrected) for rule in FIXED.values()]
        kinds = [Row("swis", swis, corrected) for swis in kinds_of(count, scheduled=scheduled).values()]
        lines.append([f"{count:g}", *(cell(results, row, error=True) for row in (*fixed, *kinds))])
    return table(["shifts", *FIXED, *KINDS], lines)


def costs(study: Study, results: Results) -> str:
    lines = []
    for count in (count for count in study.whole if count <= 2):
        every = [Swis(count, m, scheduled=False, alpha=alpha) for m in (4, 16) for alpha in (0.0, 1.0)]
        for corrected in (False, True):
            cells = [cell(results, Row("swis", swis, corrected), error=True) for swis in every]
            lines.append([f"{count:g}", "yes" if corrected else "no", *cells])
    return table(["shifts", "corrected", "M=4, MSE", "M=4, MSE++", "M=16, MSE", "M=16, MSE++"], lines)


def schedules(study: Study, results: Results) -> str:
    lines = []
    for count in study.shifts:
        every = [Swis(count, scheduled=False), Swis(count), *tiles_of(count).values()]
        lines.append([f"{count:g}", *(cell(results, Row("swis", swis), error=True) for swis in every)])
    return table(["shifts", "all alike", "A=1", *tiles_of(1)], lines)


def retrained(study: Study, results: Results) -> str:
    lines = []
    for count in study.shifts:
        fixed = [Row(rule, Swis(count, scheduled=False), epochs=study.further) for rule in TRAINED.values()]
        every = [*fixed, *(Row("swis", swis, epochs=study.further) for swis in retrained_of(count).values())]
        lines.append([f"{count:g}", *(cell(results, row) for row in every)])
    return table(["shifts", *TRAINED, *retrained_of(1)], lines)


def cell(results: Results, row: Row, *, error: bool = False) -> str:
    found = results.of(row.name)
    errors = results.of(row.name, "rmse")
    return spread(found, 1) + (f" ({sum(errors) / len(errors):.2f})" if error and errors else "")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
