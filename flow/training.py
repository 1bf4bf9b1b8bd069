"""Trains a recipe into a run folder, with a bar and early figures on stderr."""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BuildError, ToolError
from ..quant.recipes import find_recipe, override
from .progress import say
from .table import pairs

MAX_THREADS = 1024


def train_verb(
    recipe: str, output: Path, data: Path | None, changes: dict[str, Any], threads: int, as_json: bool
) -> None:
    chosen = override(find_recipe(recipe), **changes)
    if not 1 <= threads <= MAX_THREADS:
        raise BuildError(f"--threads: {threads} was given; it must be a whole number from 1 to {MAX_THREADS}")
    if data is not None and not data.is_file():
        raise BuildError(f"{data}: no such file; --data is an .npz of images and labels such as mnist.npz")
    missing = [package for package in ("torch", "brevitas") if find_spec(package) is None]
    if missing:
        raise ToolError(f"{missing[0]} not found; training needs the extra: run `pip install 'espalier[train]'`")
    say(f"train {chosen.name}: {chosen.help}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
        from ..quant.train import train  # torch takes seconds to load
    with shown() as progress:
        metrics = train(chosen, output, data=data, threads=threads, progress=progress)
    result = {"run": str(output), "recipe": chosen.name, **asdict(metrics)}
    print(json.dumps(result, indent=2) if as_json else pairs(result | {"accuracy": f"{metrics.accuracy:.2%}"}))


@contextmanager
def shown() -> Iterator[Any]:
    """A function that shows a ``Progress``: a bar on a terminal, elsewhere one line per epoch."""
    if not sys.stderr.isatty():
        yield lambda state: say(line(state)) if state.test_accuracy is not None else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(state: Any) -> None:
            done = (state.epoch - 1) * state.batches + state.batch
            bar.update(task, total=state.epochs * state.batches, completed=done, description=line(state))

        yield show


def line(state: Any) -> str:
    text = f"epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}, accuracy {state.accuracy:.2%}"
    return text + ("" if state.test_accuracy is None else f", on the test set {state.test_accuracy:.2%}")
