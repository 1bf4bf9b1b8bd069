"""From a finished run to a run in fewer bits: by calibration alone, or trained further."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import BuildError, GraphError
from .bits import FLOAT
from .calibrate import calibrate
from .data import Dataset, load_dataset
from .files import read_json, write_json
from .finish import Metrics, finish
from .fit import Progress, check_delays, fit
from .model import QuantNetwork
from .override import override
from .recipes import Recipe, read_recipe
from .run_folder import digest_of, open_folder
from .runs import load_run
from .swis.options import Swis
from .swis.record import describe_shifts, summarize
from .train import torch_state
from .widths import Decision, allocate_widths

METHODS = ("calibrate", "train", "swis")
SLOWER = 0.3
"""Of the run's learning rate, for what is trained further."""


@dataclass(frozen=True)
class QuantizeOptions:
    """method: one of ``METHODS``. calibration: training samples to calibrate by. swis: how weights are decomposed by
    the method of that name.

    budget_mbit: of weights and feature maps, for which the bits are chosen; None: those of the recipe.
    """

    method: str = "train"
    calibration: int = 256
    budget_mbit: float | None = None
    swis: Swis | None = None

    def check(self, samples: int) -> None:
        """Raise GraphError where an option is none for so many training samples."""
        if self.method not in METHODS:
            raise GraphError(f"--method: {self.method!r} is unknown; give one of {', '.join(METHODS)}")
        if (self.swis is not None) != (self.method == "swis"):
            raise GraphError(f"--method: {self.method} was given; decompositions, and only they, are of swis")
        if self.swis is not None and self.budget_mbit is not None:
            raise GraphError("--budget: chooses bits of plain weights; leave it out, --shifts say how much swis stores")
        most = samples // 2 if self.budget_mbit is not None else samples
        if not 2 <= self.calibration <= most:
            raise GraphError(
                f"--calib: {self.calibration} samples were given; it must be 2 to {most} of {samples} training samples"
            )
        if self.budget_mbit is not None and not 0 < self.budget_mbit < float("inf"):
            raise GraphError(f"--budget: {self.budget_mbit:g} Mbit were given; it must be above 0")


@dataclass(frozen=True)
class Quantized:
    """What the run folder holds, and what the network scored that it was made from.

    swis: of a decomposed network, as ``summarize`` has it.
    """

    recipe: Recipe
    metrics: Metrics
    score_before: float
    swis: dict[str, Any] | None = None


def quantize(
    source: Path,
    folder: Path,
    changes: Mapping[str, Any],
    options: QuantizeOptions,
    *,
    data: Path | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] = lambda state: None,
    decided: Callable[[Decision], None] = lambda decision: None,
) -> Quantized:
    """Quantize the finished run ``source`` into the run folder ``folder``, continuing where an earlier call stopped.

    changes: options of the recipe, as ``override`` takes them, that differ from the run's. decided: is told of each
    choice of bits. The same arguments give the same bytes. Raises GraphError and BuildError.
    """
    run = load_run(source)
    recipe = _changed(run.recipe, changes, options)
    dataset = load_dataset(recipe, data)
    options.check(len(dataset.train_inputs))
    trains = options.method == "train" or (options.method == "swis" and changes.get("epochs") is not None)
    if trains:
        check_delays(recipe, dataset)
    content = (source / "model.safetensors").read_bytes()
    config = {"recipe": recipe.record(), "data": dataset.digest(), "threads": threads}
    config |= {"source": hashlib.sha256(content).hexdigest(), "quantize": _record(options, trains)}
    before = Metrics.of_record(read_json(source / "metrics.json")["result"]).score
    with open_folder(folder, config):
        if (folder / "model.onnx").exists():
            recipe = read_recipe(read_json(folder / "recipe.json"), str(folder / "recipe.json"))
            record = read_json(folder / "metrics.json")
            return Quantized(recipe, Metrics.of_record(record["result"]), before, record.get("swis"))
        with torch_state(threads, recipe.seed):
            recipe = _with_widths(run.model, recipe, dataset, options, folder, decided)
            inputs = torch.from_numpy(dataset.train_inputs[: options.calibration])
            model, history = calibrate(run.model, recipe, inputs), []
            if trains:
                history = fit(
                    model,
                    recipe,
                    dataset,
                    folder / "checkpoints",
                    digest_of(config),
                    progress=progress,
                    record=lambda history: write_json(folder / "metrics.json", {"history": history}),
                )
            swis = summarize(describe_shifts(model)) if recipe.swis else None
            more = {"score_before": before} | ({"swis": swis} if swis else {})
            metrics = finish(model, recipe, dataset, folder, history, lambda metrics: more)
    return Quantized(recipe, metrics, before, swis)


def _record(options: QuantizeOptions, trains: bool) -> dict[str, Any]:
    """What tells one run from another, without what the recipe records."""
    record = asdict(options)
    return record | {"trains": trains} if record.pop("swis") else record


def _changed(recipe: Recipe, changes: Mapping[str, Any], options: QuantizeOptions) -> Recipe:
    """The run's recipe with the changes; what is trained further is so for less time and by smaller steps."""
    changes = {name: value for name, value in changes.items() if value is not None}
    if options.budget_mbit is not None and {"weight_bits", "activation_bits"} & changes.keys():
        raise GraphError("--budget: chooses the bits itself; leave --weights and --activations out")
    if options.method == "swis":
        changes = _decomposed(recipe, changes, options)
    elif options.method == "train":
        changes = {"epochs": max(1, recipe.epochs // 4), "learning_rate": SLOWER * recipe.learning_rate} | changes
    elif options.method == "calibrate" and (given := {"epochs", "learning_rate"} & changes.keys()):
        option = min(given).replace("_", "-")
        raise GraphError(f"--{option}: calibration trains nothing; leave it out, or choose --method train")
    recipe = replace(override(recipe, **changes), swis=options.swis)
    if recipe.swis is not None:
        recipe.swis.check(recipe.weight_bits)
        if recipe.quantizer != "learned":
            raise GraphError(
                f"--quantizer: {recipe.quantizer} have no symmetric range, which --method swis needs; give learned"
            )
    bits = {"--weights": recipe.weight_bits, "--activations": recipe.activation_bits}
    for option, widths in bits.items():
        if FLOAT in widths and options.budget_mbit is None:
            raise GraphError(f"{option}: a layer would stay in real numbers; give 1 to 8 bits, or --budget")
    return recipe


def _decomposed(recipe: Recipe, changes: dict[str, Any], options: QuantizeOptions) -> dict[str, Any]:
    """The changes with what is decomposed by default: weights of 8 bits, between activations of as many if of reals."""
    if options.swis is None:
        raise GraphError("--shifts: none were given; --method swis needs how many a group has on average, as 2.5")
    if "epochs" in changes:
        changes = {"learning_rate": SLOWER * recipe.learning_rate} | changes
    elif "learning_rate" in changes:
        raise GraphError("--learning-rate: swis trains nothing by itself; leave it out, or give --epochs")
    reals = {"activation_bits": 8} if FLOAT in recipe.activation_bits else {}
    return {"weight_bits": 8, **reals} | changes


def _with_widths(
    model: QuantNetwork,
    recipe: Recipe,
    dataset: Dataset,
    options: QuantizeOptions,
    folder: Path,
    decided: Callable[[Decision], None],
) -> Recipe:
    """The recipe with the bits that the budget leaves; chosen once for a folder."""
    if options.budget_mbit is None:
        return recipe
    path = folder / "widths.json"
    if not path.exists():
        found = allocate_widths(
            model,
            recipe,
            torch.from_numpy(dataset.train_inputs[: 8 * options.calibration]),
            torch.from_numpy(dataset.train_targets[: 8 * options.calibration]),
            budget_mbit=options.budget_mbit,
            calibration=options.calibration,
            progress=decided,
        )
        bits = {"weight_bits": found.recipe.weight_bits, "activation_bits": found.recipe.activation_bits}
        write_json(path, bits | {"trace": [asdict(decision) for decision in found.trace]})
    record = read_json(path)
    try:
        return override(recipe, weight_bits=record["weight_bits"], activation_bits=record["activation_bits"])
    except (KeyError, TypeError, ValueError):
        raise BuildError(f"{path}: holds no widths; delete it to have them chosen again") from None
