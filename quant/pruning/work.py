"""The work of pruning a run: phases that train, each with checkpoints of its own, and what is done once for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import Checkpoint, load_last_checkpoint, model_state, restore_model, save_checkpoint
from ..data import Dataset
from ..files import read_json, write_json
from ..fit import History, Progress, fit
from ..method import Method
from ..model import QuantNetwork
from ..recipes import Recipe, read_recipe
from ..train import torch_state
from .allocation import keep_counts
from .options import PruneOptions


@dataclass(frozen=True)
class PhaseProgress:
    """Where the work is. share: how much of all phases is done, 0 to 1. state: what the phase tells of itself."""

    phase: str
    share: float
    state: Any


@dataclass(frozen=True, eq=False)
class State:
    """A model between two phases, and the records of all epochs so far."""

    model: QuantNetwork
    recipe: Recipe
    history: History


def widths(options: PruneOptions, state: State) -> tuple[int, ...]:
    """The channels that each group is to keep by the options' sparsity, where it has more left."""
    sparsity, excluded = options.sparsity or 0.0, options.excluded or ()
    return keep_counts(state.recipe.network, sparsity, round_to=options.round_to, excluded=excluded)


@dataclass(frozen=True, eq=False)
class Work:
    """phases: the epochs of each, as a measure of how long it takes. digest: of the folder's config."""

    options: PruneOptions
    dataset: Dataset
    checkpoints: Path
    digest: str
    threads: int
    phases: Mapping[str, float]
    progress: Callable[[PhaseProgress], None]

    def fit(self, phase: str, state: State, method: Method | None = None, **changes: Any) -> State:
        """``state`` trained in place, with a recipe that is changed for this phase; continues where it was killed."""
        recipe = replace(state.recipe, **{"learning_rate": self.options.learning_rate} | changes)
        with torch_state(self.threads, self.options.seed):
            history = fit(
                state.model,
                recipe,
                self.dataset,
                self.folder(phase),
                self.digest,
                method=method,
                progress=partial(self._tell_epochs, phase),
            )
        return replace(state, history=[*state.history, *({"phase": phase} | figures for figures in history)])

    def once(self, name: str, make: Callable[[], State]) -> State:
        """What ``make`` returns, from its file where it has been made before; always read from there."""
        folder = self.folder(name)
        path = folder / "recipe.json"
        checkpoint = load_last_checkpoint(folder, self.digest)
        if checkpoint is None:
            state = make()
            write_json(path, state.recipe.record())
            checkpoint = Checkpoint(len(state.history), state.history, model_state(state.model))
            save_checkpoint(folder, checkpoint, self.digest)
        recipe = read_recipe(read_json(path), str(path))
        model = QuantNetwork(recipe)
        restore_model(model, checkpoint.tensors, str(folder))
        return State(model.eval(), recipe, checkpoint.history)

    def samples(self, count: int) -> Tensor:
        """The first training samples, as the model takes them."""
        return torch.from_numpy(self.dataset.train_inputs[:count]).float()

    def folder(self, phase: str) -> Path:
        """Of a phase's checkpoints."""
        folder = self.checkpoints / phase
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def tell(self, phase: str, share: float, state: Any) -> None:
        """Report that ``share`` of a phase is done, 0 to 1."""
        names = list(self.phases)
        before = sum(self.phases[name] for name in names[: names.index(phase)])
        total = sum(self.phases.values())
        self.progress(PhaseProgress(phase, (before + share * self.phases[phase]) / total, state))

    def _tell_epochs(self, phase: str, state: Progress) -> None:
        done = (state.epoch - 1) * state.batches + state.batch
        self.tell(phase, done / (state.epochs * state.batches), state)
