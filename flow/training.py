"""Trains a recipe into a run folder, with a bar and early figures on stderr."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BuildError, ToolError
from ..quant.override import override
from ..quant.recipes import Recipe, find_recipe
from .progress import bar, say
from .table import pairs

MAX_THREADS = 1024


@dataclass(frozen=True)
class OwnOptions:
    """What is said of one's own network, which a recipe knows by itself."""

    dataset: str | None
    task: str | None
    weights_from: Path | None


def train_verb(
    recipe: str, output: Path, data: Path | None, changes: dict[str, Any], threads: int, as_json: bool, own: OwnOptions
) -> None:
    chosen, start = _choose(recipe, own, changes)
    check_training(data, threads)
    say(f"train {chosen.name}: {chosen.help}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
        from ..quant.train import train  # torch takes seconds to load
    with shown() as progress:
        metrics = train(chosen, output, data=data, threads=threads, progress=progress, start=start)
    result = {"run": str(output), "recipe": chosen.name, **metrics.record()}
    shown_score = {metrics.metric: figure(metrics.metric, metrics.score)}
    print(json.dumps(result, indent=2) if as_json else pairs(result | shown_score))


def check_training(data: Path | None, threads: int) -> None:
    """Raise for what is wrong whatever is trained."""
    if not 1 <= threads <= MAX_THREADS:
        raise BuildError(f"--threads: {threads} was given; it must be a whole number from 1 to {MAX_THREADS}")
    if data is not None and str(data) != "digits" and not data.exists():
        raise BuildError(
            f"{data}: no such file; --data is an .npz such as mnist.npz, the folder that holds it, or the word digits"
        )
    need_training()


def need_training() -> None:
    """Raise ToolError where the extra is missing that training needs."""
    missing = [package for package in ("torch", "brevitas") if find_spec(package) is None]
    if missing:
        raise ToolError(f"{missing[0]} not found; training needs the extra: run `pip install 'espalier[train]'`")


def _choose(recipe: str, own: OwnOptions, changes: dict[str, Any]) -> tuple[Recipe, Any]:
    """The recipe of that name, or that of one's own network and the weights that it begins with."""
    if ".py:" not in recipe and not recipe.endswith(".py"):
        for option, value in (("--dataset", own.dataset), ("--task", own.task), ("--weights-from", own.weights_from)):
            if value is not None:
                raise BuildError(f"{option}: is for one's own network, given as FILE.py:NAME; leave it out")
        return override(find_recipe(recipe), **changes), None
    need_training()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ..quant.own_file import read_own
    seed = (changes["seed"] or 0) % 2**32
    own_recipe, start = read_own(recipe, own.dataset, own.task or "classify", own.weights_from, seed)
    return override(own_recipe, **changes), start


@contextmanager
def shown() -> Iterator[Any]:
    """A function that shows a ``Progress``."""
    with bar() as show:

        def tell(state: Any) -> None:
            done = (state.epoch - 1) * state.batches + state.batch
            show(done / (state.epochs * state.batches), line(state), state.test_score is not None)

        yield tell


def line(state: Any) -> str:
    score = f"{state.metric} {figure(state.metric, state.score)}"
    text = f"epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}, {score}"
    return text + ("" if state.test_score is None else f", on test samples {figure(state.metric, state.test_score)}")


def figure(metric: str, score: float) -> str:
    return f"{score:.2f} dB" if metric == "psnr_db" else f"{score:.2%}"
