"""Training: from a recipe to a run folder with a model that hardware can be made of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .data import load_dataset
from .files import read_json, write_json
from .finish import Metrics, finish
from .fit import Progress, check_delays, fit
from .from_torch import OwnNetwork, load_weights
from .model import QuantNetwork
from .pruning.criteria import CRITERIA
from .pruning.scheduled import ScheduledPruning
from .pruning.schedules import stepwise
from .recipes import Recipe
from .run_folder import digest_of, open_folder

PRUNING = (0.2, 0.6)  # shares of the training between which channels are dropped


def train(
    recipe: Recipe,
    folder: Path,
    *,
    data: Path | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
    start: OwnNetwork | None = None,
) -> Metrics:
    """Train ``recipe`` into the run folder ``folder``, continuing from its last checkpoint if it has one.

    model.onnx is written last: a folder that has it is finished, and its metrics are returned. The same recipe, data,
    machine and number of threads give the same bytes. start: the weights to begin with, of the recipe's network. Raises
    BuildError, also for a folder of another run.
    """
    dataset = load_dataset(recipe, data)
    check_delays(recipe, dataset)
    config = {"recipe": recipe.record(), "data": dataset.digest(), "threads": threads}
    config |= {"start": start.digest()} if start else {}
    with open_folder(folder, config):
        if (folder / "model.onnx").exists():
            return Metrics.of_record(read_json(folder / "metrics.json")["result"])
        with torch_state(threads, recipe.seed):
            model = QuantNetwork(recipe)
            if start:
                load_weights(model, start.tensors)
            history = fit(
                model,
                recipe,
                dataset,
                folder / "checkpoints",
                digest_of(config),
                method=ScheduledPruning(CRITERIA["spread"], stepwise, recipe.keep, PRUNING),
                progress=progress or (lambda state: None),
                record=lambda history: write_json(folder / "metrics.json", {"history": history}),
            )
            return finish(model, recipe, dataset, folder, history)


@contextmanager
def torch_state(threads: int, seed: int) -> Iterator[None]:
    """Torch with ``threads`` threads and a seeded generator, as it was before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
