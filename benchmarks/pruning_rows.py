"""The rows of the pruning benchmark: what is done with the trained network, or instead of it, and its hardware."""

from dataclasses import replace
from math import inf
from typing import Any

import torch
from pruning_bench import Bench
from torch import Tensor

from espalier.flow.hardware import at_equal_effort
from espalier.quant.density import density_of
from espalier.quant.masks import ChannelGroup
from espalier.quant.model import QuantNetwork
from espalier.quant.networks.thin import thin
from espalier.quant.override import override
from espalier.quant.pruning.cap import cap
from espalier.quant.pruning.criteria import find_criterion
from espalier.quant.pruning.dcp import dcp
from espalier.quant.pruning.dcp_options import DcpOptions
from espalier.quant.pruning.magnitude import MagnitudePruning
from espalier.quant.pruning.prune import NORM_SAMPLES
from espalier.quant.pruning.rank import RankRule, RankTraining, factorize
from espalier.quant.pruning.rankings import measure_drift, measure_importance
from espalier.quant.pruning.scheduled import ScheduledPruning, prune_now
from espalier.quant.pruning.schedules import find_schedule
from espalier.quant.pruning.soft_threshold import SoftThreshold, learned_keep, sparsity_by_layer
from espalier.quant.pruning.training_away import WINDOW
from espalier.quant.transfer import recalibrate_norms, transfer

CRITERIA = ("activation-l1", "activation-l0", "weight-l1", "bn-gamma", "random")
SCHEDULES = ("layerwise", "one-shot", "stepwise")
BITS = {"W8A8": (8, 8), "W4A8": (4, 8), "W4A4": (4, 4), "W3A3": (3, 3), "W2A2": (2, 2), "W1A1": (1, 1)}
JOINT = "activation-l1", "layerwise"
CALIBRATION = 256  # images of CaP, and of activation quantizers before they are trained
DCP_EPOCHS = 0.3  # share of the recovery with auxiliary losses, before any channel is dropped
DCP_ROUNDS = 4  # channels chosen by one gradient
SGD_RATE = 0.1  # of training from scratch in the comparisons of STR and of TRP
STR_DECAY, STR_WINDOW = 5e-4, (0.1, 0.7)  # of pruning single weights by magnitude beside STR
TRP_ENERGY = 0.95
DRIFTS = (0.25, 0.5, 0.75, 0.875)
DRIFT_IMAGES = 1000
DEVICE = "ecp5-85k"  # that hardware is mapped to
QUANTIZED = 2.5  # epochs of real numbers that one with quantizers takes as long as


def continued(bench: Bench) -> dict[str, Any]:
    """The dense network, trained as long as the pruned ones."""
    model = bench.dense()
    bench.fit(model, bench.recipe, "recovery", bench.budget.recovery)
    return bench.measure(model, bench.recipe, bench.budget.whole)


def scheduled(bench: Bench, *, criterion: str, schedule: str, sparsity: float, epochs: int) -> dict[str, Any]:
    model = _prune(bench, criterion, schedule, bench.keep(sparsity), epochs)
    return bench.measure(model, bench.recipe, bench.budget.pretrain + epochs)


def _prune(
    bench: Bench, criterion: str, schedule: str, keep: tuple[int, ...], epochs: int, stage: str = "prune"
) -> QuantNetwork:
    model = bench.dense()
    method = ScheduledPruning(find_criterion(criterion), find_schedule(schedule), keep, WINDOW, seed=bench.recipe.seed)
    bench.fit(model, bench.recipe, stage, epochs, method=method)
    return model


def joint(bench: Bench, *, bits: tuple[int, int], sparsity: float) -> dict[str, Any]:
    """Pruned in real numbers, then quantized and trained as such."""
    budget = bench.budget
    model = _prune(bench, *JOINT, bench.keep(sparsity), budget.recovery - budget.quantize)
    recalibrate_norms(model, bench.samples(NORM_SAMPLES))
    recipe = override(bench.recipe, weight_bits=bits[0], activation_bits=bits[1])
    model = transfer(model, recipe, bench.samples(CALIBRATION))
    bench.fit(model, recipe, "quantize", budget.quantize)
    return bench.measure(model, recipe, budget.whole)


def thin_from_scratch(bench: Bench, *, sparsity: float, epochs: int) -> dict[str, Any]:
    keep = bench.keep(sparsity)
    recipe = replace(bench.recipe, network=thin(bench.recipe.network, keep), keep=keep)
    model = bench.make(recipe)
    bench.fit(model, recipe, "thin", epochs)
    return bench.measure(model, recipe, epochs)


def compensated(bench: Bench, *, sparsity: float, epochs: int) -> dict[str, Any]:
    """CaP, then as many epochs, if any."""
    model = bench.dense()
    cap(model, bench.recipe, bench.samples(CALIBRATION), keep=bench.keep(sparsity))
    bench.fit(model, bench.recipe, "recovery", epochs)
    return bench.measure(model, bench.recipe, bench.budget.pretrain + epochs)


def untrained(bench: Bench, *, criterion: str, sparsity: float) -> dict[str, Any]:
    """Channels dropped without training: as they are, with norms recalibrated, and compensated as CaP does."""
    return {"epochs": bench.budget.pretrain, "figures": {
        treatment: _score_untrained(bench, criterion, sparsity, treatment)
        for treatment in ("alone", "norms", "compensated")
    }}  # fmt: skip


def _score_untrained(bench: Bench, criterion: str, sparsity: float, treatment: str) -> float:
    model, keep, samples = bench.dense(), bench.keep(sparsity), bench.samples(CALIBRATION)
    found = _importances(bench, model, criterion)

    def importance(group: ChannelGroup) -> Tensor:
        return found[group.name]

    if treatment == "compensated":
        cap(model, bench.recipe, samples, keep=keep, importance=importance)
    else:
        prune_now(model.groups(), keep, importance)
    if treatment == "norms":
        recalibrate_norms(model, samples)
    return bench.score(model)


def _importances(bench: Bench, model: QuantNetwork, name: str) -> dict[str, Tensor]:
    """By group, all of the dense network."""
    criterion, groups = find_criterion(name), model.groups()
    if criterion.of_weights is not None:
        return {group.name: criterion.of_weights(group) for group in groups}
    if criterion.statistic is not None:
        found = measure_importance(model, criterion, bench.samples(CALIBRATION), batch_statistics=False)
        return dict(zip((group.name for group in groups), found))
    generator = torch.Generator().manual_seed(bench.recipe.seed)
    return {group.name: torch.rand(group.channels, generator=generator).to(bench.device) for group in groups}


def discriminated(bench: Bench, *, sparsity: float) -> dict[str, Any]:
    """DCP: some epochs of the recovery have auxiliary losses, the others follow the choice of channels."""
    with_losses = round(DCP_EPOCHS * bench.budget.recovery)
    model = bench.dense()
    dcp(model, bench.recipe, bench.dataset, bench.keep(sparsity), _dcp_options(with_losses))
    bench.fit(model, bench.recipe, "recovery", bench.budget.recovery - with_losses)
    return bench.measure(model, bench.recipe, bench.budget.whole)


def by_lambda(bench: Bench, *, sparsity: float) -> dict[str, Any]:
    """DCP before any fine-tuning: scores with each weight of the discrimination."""
    found, with_losses = {}, round(DCP_EPOCHS * bench.budget.recovery)
    for lam in (0.0, 0.1, 1.0, inf):
        model = bench.dense()
        torch.manual_seed(bench.recipe.seed)
        options = replace(_dcp_options(with_losses), lam=lam)
        dcp(model, bench.recipe, bench.dataset, bench.keep(sparsity), options)
        found[f"{lam:g}"] = bench.score(model)
    return {"epochs": bench.budget.pretrain + with_losses, "figures": found}


def _dcp_options(epochs: int) -> DcpOptions:
    return DcpOptions(auxiliary_epochs=epochs, channels_per_round=DCP_ROUNDS)


def thresholds(bench: Bench, *, decay: float) -> dict[str, Any]:
    """STR from scratch; its sparsity reached by magnitude, the same in all layers and as STR had it in each.

    Then the dense network pruned by the joint method, to the same number of channels in all, with STR's widths.
    """
    recipe, epochs = replace(bench.recipe, learning_rate=SGD_RATE), bench.budget.whole
    model = bench.make(recipe)
    bench.fit(model, recipe, "str", epochs, method=SoftThreshold(decay))
    shares = sparsity_by_layer(model)
    weights = {name: model.get_submodule(name).weight for name in shares}
    overall = sum(shares[name] * w.numel() for name, w in weights.items()) / sum(w.numel() for w in weights.values())
    found = {"sparsity": 100 * overall, "str": bench.score(model)}
    for budget, sparsity in (("uniform", dict.fromkeys(shares, overall)), ("learned", shares)):
        torch.manual_seed(bench.recipe.seed)
        model = bench.make(recipe)
        bench.fit(model, recipe, budget, epochs, method=MagnitudePruning(sparsity, STR_WINDOW, STR_DECAY))
        found[budget] = bench.score(model)
    for sparsity in (0.5, 0.75):
        keep = learned_keep(bench.recipe.network, shares, sparsity)
        torch.manual_seed(bench.recipe.seed)
        model = _prune(bench, *JOINT, keep, bench.budget.recovery, f"prune {sparsity:g}")
        measured = bench.measure(model, bench.recipe, bench.budget.whole)
        found |= {f"{name} {sparsity:g}": measured[name] for name in ("score", "weight_mbit", "feature_mbit")}
    return {"epochs": epochs, "shares": shares, "figures": found}


def ranks(bench: Bench) -> dict[str, Any]:
    """Networks trained from scratch, plainly and by TRP: scores whole, and as factorised without further training."""
    recipe, rule, found = replace(bench.recipe, learning_rate=SGD_RATE), RankRule(TRP_ENERGY), {}
    methods = {"plain": RankTraining(RankRule(), nuclear=0.0), "trp": RankTraining(rule)}
    for name, method in methods.items():
        torch.manual_seed(bench.recipe.seed)
        model = bench.make(recipe)
        bench.fit(model, recipe, name, bench.budget.whole, method=method)
        factors, made = factorize(model, recipe, rule)
        share = density_of(made, {}).weight_mbit / density_of(recipe, {}).weight_mbit
        found |= {name: bench.score(model), f"{name} factorised": bench.score(factors), f"{name} weights": 100 * share}
    return {"epochs": bench.budget.whole, "figures": found}


def drift(bench: Bench) -> dict[str, Any]:
    """Kendall's tau and the Levenshtein distance, by group, sparsity and mode of batch normalization."""
    model, found = bench.dense(), {}
    inputs = bench.samples(DRIFT_IMAGES)
    for sparsity in DRIFTS:
        for mode in ("batch", "running"):
            drifts = measure_drift(
                model, find_criterion("activation-l1"), inputs, bench.keep(sparsity), batch_statistics=mode == "batch"
            )
            for entry in drifts:
                key = f"{entry.name} {mode} {sparsity:g}"
                found |= {f"{key} tau": entry.tau, f"{key} distance": entry.distance / entry.channels}
    return {"epochs": bench.budget.pretrain, "figures": found}


def hardware(bench: Bench, *, of: str) -> dict[str, Any]:
    """What a quantized row is in hardware, with as many multipliers as every other: cycles by plan, area by yosys."""
    return at_equal_effort(bench.exported(of), DEVICE)
