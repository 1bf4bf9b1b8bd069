"""Pruning and quantization measured: every method on one network, all rows with the same budget, several seeds.

    python benchmarks/pruning.py digits-cnn --work runs/pruning
    python benchmarks/pruning.py mnist-mlp --data ../shared/data --work runs/pruning --processes 2
    python benchmarks/pruning.py resnet8 --data ../shared/data --work runs/pruning --rows "dense,thin*,W*"
    python benchmarks/pruning.py digits-cnn --work runs/pruning --table

Each row and seed is a job, whose result is a file in the work folder: a killed run continues, and the same command
started again beside it takes some of its jobs. --full takes the recipe's full schedule, for machines with a GPU, which
is used where torch has one. The tables on stdout are Markdown; docs/pruning.md says how to read them.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from pruning_bench import Bench
from pruning_jobs import Store, choose, jobs_of, run_jobs
from pruning_networks import STUDIES, Study, float_recipe
from pruning_tables import format_tables, read_results

from espalier.errors import EspalierError
from espalier.quant.data import load_dataset


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=STUDIES)
    parser.add_argument("--data", type=Path, help="archive of the data set, or its folder; digits needs none")
    parser.add_argument("--work", type=Path, required=True, help="folder of results")
    parser.add_argument("--seeds", type=int, help="0 to SEEDS - 1; default: 5, of resnet8 3")
    parser.add_argument("--rows", default="*", help='patterns of row names, such as "dense,thin*"; default: all')
    parser.add_argument("--processes", type=int, default=1, help="each with one thread; default: 1")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto: cuda where there is one")
    parser.add_argument("--full", action="store_true", help="the recipe's full schedule")
    parser.add_argument("--table", action="store_true", help="only print the tables of what is there")
    options = parser.parse_args(arguments)
    try:
        return run(STUDIES[options.network], options)
    except EspalierError as error:
        print(f"pruning: error: {error}", file=sys.stderr)
        return 2


def run(study: Study, options: argparse.Namespace) -> int:
    """Do what is left to do, then print the tables."""
    if not options.table and (failed := work(study, options)):
        return failed
    bench = make_bench(study, options)
    store = Store(options.work / study.recipe, bench.config)
    results = read_results(store, jobs_of(study, bench.budget, options.seeds))
    print(describe(bench), *format_tables(study, results), sep="\n\n")
    return 0


def work(study: Study, options: argparse.Namespace) -> int:
    """Run the jobs here, or in so many processes; 1 if one of them failed."""
    if options.processes == 1:
        work_alone(study, options)
        return 0
    # Started anew, since a copy of a process in which torch has run may not use a GPU.
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=work_alone, args=(study, options)) for _ in range(options.processes)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return int(any(process.exitcode for process in started))


def work_alone(study: Study, options: argparse.Namespace) -> None:
    bench = make_bench(study, options)
    jobs = jobs_of(study, bench.budget, options.seeds)
    chosen = choose(jobs, options.rows.split(","))
    run_jobs(chosen, Store(options.work / study.recipe, bench.config), bench, options.processes, say)


def make_bench(study: Study, options: argparse.Namespace) -> Bench:
    """With the data, for seed 0."""
    budget = study.full if options.full else study.budget
    recipe = float_recipe(study, budget)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Bench.of_data(recipe, budget, load_dataset(recipe, options.data), device)


def describe(bench: Bench) -> str:
    budget, dataset = bench.budget, bench.dataset
    return (
        f"{bench.recipe.name}: {len(dataset.train_inputs)} training and {len(dataset.test_inputs)} test images; "
        f"{budget.pretrain} epochs before pruning and {budget.recovery} from then on, of which {budget.quantize} with "
        f"quantizers where there are any; short recovery {budget.short} epochs"
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
