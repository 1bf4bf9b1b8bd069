"""Pruning a finished run into a new one: prune, recalibrate normalizations, quantize, train on, finish."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import GraphError
from ..bits import FLOAT
from ..calibrate import calibrate
from ..data import load_dataset
from ..evaluate import evaluate
from ..files import write_bytes
from ..finish import Metrics, finish
from ..override import override
from ..recipes import Recipe
from ..run_folder import digest_of, open_folder
from ..runs import load_run
from ..train import torch_state
from ..transfer import recalibrate_norms, transfer
from .methods import PruneMethod, find_method
from .options import PruneOptions, settle
from .rank import with_network
from .rows import PruneResult, make_row, read_result
from .work import PhaseProgress, State, Work

NORM_SAMPLES = 2000
"""Training samples over which normalizations are recalibrated, at most."""


def prune(
    run: Path,
    folder: Path,
    options: PruneOptions,
    *,
    data: Path | None = None,
    threads: int = 1,
    progress: Callable[[PhaseProgress], None] = lambda state: None,
) -> PruneResult:
    """Prune and quantize the finished run folder ``run`` into the run folder ``folder``.

    A folder that was left unfinished is continued, one that is finished is only read. The same run, options, data,
    machine and number of threads give the same bytes, however often the work was killed. Beside what all run folders
    have, metrics.json holds the rows of all stages as ``stages``, and density.svg shows them. Raises GraphError for
    options that are wrong, BuildError for a folder of another run.
    """
    loaded = load_run(run)
    if loaded.recipe.swis is not None:
        raise GraphError(f"{run}: its weights are decomposed, which pruning would undo; prune the run it was made from")
    source = State(loaded.model, loaded.recipe, [])
    method = find_method(options.method)
    options = settle(options, method.defaults, source.recipe)
    target = override(source.recipe, weight_bits=options.weight_bits, activation_bits=options.activation_bits)
    start = _in_real_numbers(source) if method.real else source
    method.check(options, start)
    phases = method.phases(options)
    if _bits(target) != _bits(start.recipe):
        phases |= {"quantize": options.quantize_epochs or 0}
    dataset = load_dataset(source.recipe, data)
    config = {
        "recipe": source.recipe.record(),
        "prune": options.record(),
        "source": _digest(run),
        "data": dataset.digest(),
        "threads": threads,
    }
    with open_folder(folder, config):
        if (folder / "model.onnx").exists():
            result = read_result(folder)
        else:
            work = Work(options, dataset, folder / "checkpoints", digest_of(config), threads, phases, progress)
            with torch_state(threads, options.seed):
                result = _run(work, method, source, start, target, folder)
        write_bytes(folder / "density.svg", result.draw().encode())
        return result


def _run(work: Work, method: PruneMethod, source: State, start: State, target: Recipe, folder: Path) -> PruneResult:
    rows = [make_row("dense", source, _score(work, source))]
    state = work.once("pruned", lambda: _pruned(work, method, start))
    rows.append(make_row("pruned", state, _score(work, state)))
    if "quantize" in work.phases:
        state = _quantized(work, state, target)
    recipe = replace(state.recipe, keep=tuple(int(group.kept.sum()) for group in state.model.groups()))

    def add_rows(metrics: Metrics) -> dict[str, Any]:
        if "quantize" in work.phases:
            rows.append(make_row("quantized", state, metrics.score))
        return {"stages": PruneResult(metrics, tuple(rows)).record()}

    metrics = finish(state.model, recipe, work.dataset, folder, state.history, add_rows)
    return PruneResult(metrics, tuple(rows))


def _in_real_numbers(state: State) -> State:
    recipe = override(state.recipe, weight_bits=FLOAT, activation_bits=FLOAT)
    return replace(state, model=transfer(state.model, recipe), recipe=recipe)


def _pruned(work: Work, method: PruneMethod, start: State) -> State:
    state = method.run(work, start)
    if method.recalibrates:
        recalibrate_norms(state.model, work.samples(NORM_SAMPLES))
    return state


def _quantized(work: Work, state: State, target: Recipe) -> State:
    """In the bits of ``target``; layers that a method has made of one have the bits of that one."""
    named = with_network(target, state.recipe.network)
    recipe = replace(state.recipe, weight_bits=named.weight_bits, activation_bits=named.activation_bits)
    model = calibrate(state.model, recipe, work.samples(work.options.calib))
    state = replace(state, model=model, recipe=recipe)
    return work.fit("quantize", state, epochs=work.options.quantize_epochs)


def _bits(recipe: Recipe) -> tuple[tuple[int, ...], ...]:
    return recipe.weight_bits, recipe.activation_bits


def _score(work: Work, state: State) -> float:
    return evaluate(state.model, state.recipe, work.dataset.test_inputs, work.dataset.test_targets)


def _digest(run: Path) -> str:
    """Of all that a finished run is continued from."""
    hasher = hashlib.sha256()
    for name in ("recipe.json", "model.safetensors"):
        hasher.update((run / name).read_bytes())
    return hasher.hexdigest()
