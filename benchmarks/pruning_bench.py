"""One seed of a network in the pruning benchmark: its trained dense model, further training, and what is measured."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from espalier.quant.checkpoint import model_state, restore_model
from espalier.quant.data import Dataset
from espalier.quant.density import density_of, in_figures
from espalier.quant.evaluate import evaluate
from espalier.quant.export import export
from espalier.quant.files import write_bytes
from espalier.quant.fit import Progress, fit
from espalier.quant.masks import fold_masks
from espalier.quant.method import Method
from espalier.quant.model import QuantNetwork
from espalier.quant.pruning.allocation import keep_counts
from espalier.quant.recipes import Recipe
from espalier.quant.run_folder import digest_of
from espalier.quant.tasks import find_task


@dataclass(frozen=True)
class Budget:
    """Epochs of training on so many ``images``: every row of the table gets pretrain + recovery, whatever it does.

    quantize: the last ones of the recovery, with quantizers, in rows that have them. short: of the recovery in the
    comparison of schedules. excluded: layers that are not pruned.
    """

    images: int | None
    pretrain: int
    recovery: int
    quantize: int
    short: int
    excluded: tuple[str, ...] = ()

    @property
    def whole(self) -> int:
        return self.pretrain + self.recovery


@dataclass(frozen=True, eq=False)
class Bench:
    """What a job has: ``recipe`` is of real numbers and has the seed; ``folder`` is its own, for checkpoints.

    config: a digest of all that results depend on. row: the job's. models: the seed's folder of what rows leave to
    others: the dense network that most start from, and the integer graphs that hardware is made of.
    """

    recipe: Recipe
    budget: Budget
    dataset: Dataset
    device: str
    config: str
    folder: Path = Path()
    row: str = ""
    models: Path = Path()
    report: Callable[[Progress], None] = lambda state: None

    @classmethod
    def of_data(cls, recipe: Recipe, budget: Budget, dataset: Dataset, device: str) -> "Bench":
        config = {"budget": asdict(budget), "recipe": recipe.record(), "data": dataset.digest()}
        return cls(recipe, budget, dataset, device, digest_of(config))

    @property
    def trained(self) -> Path:
        return self.models / "dense.safetensors"

    def exported(self, row: str) -> Path:
        """The integer graph of a row with quantizers."""
        return self.models / f"{row.replace(' ', '_')}.onnx"

    def pretrain(self) -> dict[str, Any]:
        """Train the dense network, and leave it to the other rows."""
        model = self.make(self.recipe)
        self.fit(model, self.recipe, "pretrain", self.budget.pretrain)
        write_bytes(self.trained, save_tensors(model_state(model)))
        return self.measure(model, self.recipe, self.budget.pretrain)

    def dense(self) -> QuantNetwork:
        model = self.make(self.recipe)
        restore_model(model, load_tensors(self.trained.read_bytes()), str(self.trained))
        return model.eval()

    def make(self, recipe: Recipe) -> QuantNetwork:
        return QuantNetwork(recipe).to(self.device)

    def fit(self, model: QuantNetwork, recipe: Recipe, stage: str, epochs: int, method: Method | None = None) -> None:
        """Train for so many epochs; a killed job continues the stage."""
        if not epochs:
            return
        recipe = replace(recipe, epochs=epochs)
        folder = self.folder / stage
        folder.mkdir(parents=True, exist_ok=True)
        fit(model, recipe, self.dataset, folder, self.config, method=method, progress=self.report)

    def keep(self, sparsity: float) -> tuple[int, ...]:
        """Channels left per group."""
        return keep_counts(self.recipe.network, sparsity, excluded=self.budget.excluded)

    def samples(self, count: int) -> Tensor:
        """The first of the training set."""
        return torch.from_numpy(self.dataset.train_inputs[:count])

    def score(self, model: QuantNetwork) -> float:
        """On the whole test set, in percent or dB."""
        score = evaluate(model, self.recipe, self.dataset.test_inputs, self.dataset.test_targets)
        return in_figures(find_task(self.recipe.task).metric, score)

    def measure(self, model: QuantNetwork, recipe: Recipe, epochs: int) -> dict[str, Any]:
        """Score and memory; quantized networks are left to hardware."""
        kept = {group.name: int(group.kept.sum()) for group in model.groups()}
        score, density = self.score(model), density_of(recipe, kept)
        found = {"epochs": epochs, "score": score, "kept": list(kept.values()), "density": density.of(score)}
        found |= asdict(density)
        if recipe.is_quantized:
            export(fold_masks(model).cpu().eval(), self.samples(1).float(), self.exported(self.row))
        return found


@dataclass(frozen=True)
class Row:
    """A kind of job. epochs: about how many of real numbers it takes, by which its time is estimated.

    table: which table it is of. needs: the row of the same seed that leaves the model it starts from, if any.
    """

    name: str
    table: str
    epochs: float
    run: Callable[[Bench], dict[str, Any]]
    needs: str = "pretrained"
