"""What is explored: the axes and their choices, how networks are trained, which hardware they get, how to search."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from math import isfinite
from typing import Any

from ...errors import GraphError, PlanError
from ...quant.bits import BITS
from ..folder import digest_of, tool_digest

SAMPLERS = ("grid", "tpe", "nsga2")
TRIALS = 40
"""Of a search that is no grid, where the user does not say."""

NETWORK_AXES = ("sparsity", "weights", "activations")
TARGET_AXES = ("target_fps", "most_multipliers")
AREA = ("lut", "ff", "bram", "dsp")
MEMORY = ("weight_mbit", "feature_mbit")
HIGHER = ("accuracy", "psnr_db", "iou", "density", "fps")
LOWER = (*MEMORY, "multiplications", "multipliers", "ii_cycles", "latency_cycles", *AREA)

Point = Mapping[str, float]
"""One choice for each axis, by name, in the order of the axes."""


@dataclass(frozen=True)
class Training:
    """How each network is made from the source run.

    source: digest of the run. epochs, quantize_epochs: before and once quantized; a network that is not pruned trains
    for both once quantized, so that all train for the same time.
    """

    source: str
    method: str
    epochs: int
    quantize_epochs: int
    learning_rate: float
    calibration: int
    seed: int
    threads: int


@dataclass(frozen=True)
class Hardware:
    """clock_mhz: at which rates are counted; None: the planner's. device: what designs have to fit into, if they have
    to. synth: whether yosys maps them for the device, or the planner predicts their area."""

    clock_mhz: float | None
    device: str | None
    synth: bool = False


@dataclass(frozen=True)
class Exploration:
    """All that results depend on. trials: of a sampler that is no grid; 0 of a grid, which takes every point."""

    axes: Mapping[str, tuple[float, ...]]
    training: Training
    hardware: Hardware
    objectives: tuple[str, ...]
    sampler: str
    trials: int

    @property
    def seed(self) -> int:
        return self.training.seed

    def points(self) -> list[Point]:
        """Every point, networks before targets: those who share the work then train different networks first."""
        targets = [name for name in self.axes if name in TARGET_AXES]
        names = [*targets, *(name for name in self.axes if name not in TARGET_AXES)]
        return [self.ordered(dict(zip(names, values))) for values in product(*(self.axes[name] for name in names))]

    def ordered(self, values: Mapping[str, float]) -> Point:
        return {name: values[name] for name in self.axes}

    @property
    def total(self) -> int:
        """How many trials there are to be."""
        return self.trials if self.sampler != "grid" else len(self.points())

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        axes = {name: list(values) for name, values in self.axes.items()}
        search = {"objectives": list(self.objectives), "sampler": self.sampler}
        return {"axes": axes, **asdict(self.training), **asdict(self.hardware), **search}

    def name(self) -> str:
        """Of the study that all who search for the same share; more trials of a search go on with the same study."""
        return f"espalier-{digest_of([tool_digest(), self.record()])[:16]}"


def read_choices(option: str, text: str, low: float, high: float, *, whole: bool = True) -> tuple[float, ...]:
    """The choices of an axis in rising order; raises GraphError naming the option."""
    kind = "whole numbers" if whole else "numbers"
    try:
        values = {float(item) for item in text.split(",")}
    except ValueError:
        raise GraphError(f"{option}: {text!r} is no list of {kind} such as {'2,3,4' if whole else '0,0.5'}") from None
    for value in values:
        if not low <= value <= high or not isfinite(value) or (whole and value != int(value)):
            raise GraphError(f"{option}: {value:g} was given; give {kind} from {low:g} to {high:g}")
    return tuple(sorted(int(value) if whole else value for value in values))


def read_sparsities(text: str) -> tuple[float, ...]:
    values = read_choices("--sparsity", text, 0, 1, whole=False)
    if values[-1] >= 1:
        raise GraphError("--sparsity: 1 was given, all channels; give shares to remove, from 0 to below 1")
    return values


def read_bits(option: str, text: str) -> tuple[float, ...]:
    return read_choices(option, text, BITS[0], BITS[-1])


def read_targets(fps: str | None, multipliers: str | None) -> dict[str, tuple[float, ...]]:
    """The axes of the hardware's targets; none where the planner's own is wanted."""
    axes = {}
    if fps is not None:
        axes["target_fps"] = read_choices("--fps", fps, 1e-3, 1e12, whole=False)
    if multipliers is not None:
        axes["most_multipliers"] = read_choices("--multipliers", multipliers, 1, 1e9)
    return axes


def read_objectives(text: str | None, metric: str) -> tuple[str, ...]:
    """Names of figures, the first the one that "best" means; raises GraphError for those that no trial has."""
    if text is None:
        return metric, "density", "lut", "fps"
    known = [name for name in (*HIGHER, *LOWER) if name == metric or name not in ("accuracy", "psnr_db", "iou")]
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise GraphError(f"--objectives: {name!r} is no figure of this run; give some of {', '.join(known)}")
    if len(set(names)) < len(names):
        raise GraphError(f"--objectives: {text!r} names a figure twice; give each once")
    return names


def read_trials(sampler: str, trials: int | None) -> int:
    if sampler not in SAMPLERS:
        raise GraphError(f"--sampler: {sampler!r} is unknown; give one of {', '.join(SAMPLERS)}")
    if sampler == "grid":
        if trials is not None:
            raise GraphError("--trials: a grid takes every point; leave it out, or choose --sampler tpe or nsga2")
        return 0
    found = TRIALS if trials is None else trials
    if not 1 <= found <= 1_000_000:
        raise PlanError(f"--trials: {found} was given; give a whole number from 1 to 1000000")
    return found
