"""Which networks the pruning benchmark has, with which budget, and the rows of each one's tables."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import pruning_rows as rows
from pruning_bench import Bench, Budget, Row

from espalier.quant.override import override
from espalier.quant.recipes import Recipe, find_recipe

SPARSITIES = (0.5, 0.75)
SHORT = (
    ("activation-l1", "layerwise"), ("activation-l1", "one-shot"), ("activation-l1", "stepwise"),
    ("activation-l0", "layerwise"), ("activation-l0", "one-shot"), ("weight-l1", "layerwise"),
    ("weight-l1", "one-shot"), ("weight-l1", "stepwise"), ("random", "one-shot"),
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A network's part of the benchmark: seeds, budgets, and which rows it has.

    decays: of STR, each of which leaves another share of the weights; where there are none, TRP is left out as well.
    """

    recipe: str
    seeds: int
    budget: Budget
    full: Budget
    methods: tuple[tuple[str, str], ...]
    bits: tuple[str, ...]
    sparsities: tuple[float, ...] = SPARSITIES
    claims: bool = True
    decays: tuple[float, ...] = ()


EVERY = tuple((criterion, schedule) for criterion in rows.CRITERIA for schedule in rows.SCHEDULES)
LOW = ("W8A8", "W4A8", "W4A4", "W3A3", "W2A2")
STUDIES = {
    "digits-cnn": Study(
        "digits-cnn", 5, Budget(None, 15, 10, 5, 3), Budget(None, 60, 40, 20, 3), EVERY, LOW, decays=(8e-3, 1.5e-2)
    ),
    "mnist-mlp": Study(
        "mnist-mlp", 5, Budget(10_000, 4, 3, 1, 3), Budget(60_000, 50, 25, 10, 3), EVERY, (*LOW, "W1A1"),
        decays=(8e-3, 1.5e-2),
    ),
    "mnist-cnn": Study(
        "mnist-cnn", 5, Budget(10_000, 4, 3, 1, 3), Budget(60_000, 50, 25, 10, 3), EVERY, LOW
    ),
    "autoencoder": Study(
        "autoencoder", 5, Budget(10_000, 6, 3, 1, 3, ("conv3",)), Budget(60_000, 50, 25, 10, 3, ("conv3",)),
        tuple(pair for pair in EVERY if pair[0] in ("activation-l1", "weight-l1", "random")), LOW, (0.5,), claims=False,
    ),
    "resnet8": Study(
        "resnet8", 3, Budget(16_000, 8, 4, 2, 4), Budget(50_000, 200, 100, 40, 4),
        (("activation-l1", "layerwise"), ("activation-l1", "one-shot"), ("weight-l1", "stepwise"),
         ("random", "one-shot")), ("W8A8", "W4A4", "W2A2"), (0.5,), claims=False,
    ),
}  # fmt: skip


def float_recipe(study: Study, budget: Budget) -> Recipe:
    return replace(override(find_recipe(study.recipe), weight_bits=32, activation_bits=32), images=budget.images)


def rows_of(study: Study, budget: Budget) -> tuple[Row, ...]:
    return (*_table(study, budget), *(_claims(study, budget) if study.claims else ()))


def _table(study: Study, budget: Budget) -> Iterator[Row]:
    whole, recovery = budget.whole, budget.recovery
    yield Row("pretrained", "", budget.pretrain, Bench.pretrain, needs="")
    yield Row("dense", "main", recovery, rows.continued)
    for sparsity in study.sparsities:
        share = f"{100 * sparsity:g}"
        for criterion, schedule in study.methods:
            run = partial(rows.scheduled, criterion=criterion, schedule=schedule, sparsity=sparsity, epochs=recovery)
            yield Row(f"{criterion} {schedule} {share}", "main", recovery, run)
        yield Row(f"cap untrained {share}", "main", 0.5, partial(rows.compensated, sparsity=sparsity, epochs=0))
        yield Row(f"cap {share}", "main", recovery + 0.5, partial(rows.compensated, sparsity=sparsity, epochs=recovery))
        if study.claims:
            yield Row(f"dcp {share}", "main", 2 * recovery, partial(rows.discriminated, sparsity=sparsity))
        run = partial(rows.thin_from_scratch, sparsity=sparsity, epochs=whole)
        yield Row(f"thin {share}", "main", whole, run)
    quantized = recovery + (rows.QUANTIZED - 1) * budget.quantize
    for sparsity in (0.0, *study.sparsities):
        for bits in study.bits if sparsity == study.sparsities[0] else ("W4A4",):
            run = partial(rows.joint, bits=rows.BITS[bits], sparsity=sparsity)
            yield (row := Row(f"{bits} {100 * sparsity:g}", "main", quantized, run))
            run = partial(rows.hardware, of=row.name)
            yield Row(f"hardware {row.name}", "hardware", 2, run, needs=row.name)


def _claims(study: Study, budget: Budget) -> Iterator[Row]:
    yield Row("drift", "drift", 1, rows.drift)
    for sparsity in study.sparsities:
        share = f"{100 * sparsity:g}"
        if budget.short != budget.recovery:
            yield from _short(budget, sparsity, share)
        for criterion in ("random", "weight-l1", "activation-l1", "bn-gamma"):
            run = partial(rows.untrained, criterion=criterion, sparsity=sparsity)
            yield Row(f"untrained {criterion} {share}", "untrained", 1, run)
        run = partial(rows.by_lambda, sparsity=sparsity)
        yield Row(f"lambda {share}", "lambda", 4 * budget.recovery, run)
    for decay in study.decays:
        cost = 3 * budget.whole + 2 * budget.recovery
        yield Row(f"str {decay:g}", "str", cost, partial(rows.thresholds, decay=decay))
    if study.decays:
        yield Row("trp", "trp", 3 * budget.whole, rows.ranks)


def _short(budget: Budget, sparsity: float, share: str) -> Iterator[Row]:
    for criterion, schedule in SHORT:
        run = partial(rows.scheduled, criterion=criterion, schedule=schedule, sparsity=sparsity, epochs=budget.short)
        yield Row(f"short {criterion} {schedule} {share}", "short", budget.short, run)
    epochs = budget.pretrain + budget.short
    run = partial(rows.thin_from_scratch, sparsity=sparsity, epochs=epochs)
    yield Row(f"short thin {share}", "short", epochs, run)
