"""What MODEL names on the command line: an ONNX file, or a run folder of ``espalier train`` with its test data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BuildError
from ..ir.onnx_model import read_model
from ..quant.bits import FLOAT
from .folder import file_digest, read_json
from .pruned import how_pruned
from .scores import MEMORY, SHIFTS


@dataclass(frozen=True)
class Model:
    """An ONNX file; ``tests`` (inputs, labels or targets) and ``truth`` (Brevitas' codes) where a run folder has them.

    metric, margin: how training scored the targets; see HeldOut. memory: what its metrics.json says of MEMORY.
    shifts: what it says of decomposed weights, SHIFTS. pruned: see ``how_pruned``.
    """

    name: str
    onnx: Path
    digest: str
    tests: Path | None = None
    truth: Path | None = None
    metric: str = ""
    margin: int = 0
    memory: Mapping[str, float] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)
    pruned: Mapping[str, Any] | None = None

    def identity(self) -> dict[str, Any]:
        """All of it that results depend on."""
        tests, truth = (path and file_digest(path) for path in (self.tests, self.truth))
        scored = {"metric": self.metric, "margin": self.margin, "memory": dict(self.memory)}
        known = {"name": self.name, "digest": self.digest, "tests": tests, "truth": truth} | scored
        known |= {"pruned": dict(self.pruned)} if self.pruned else {}
        return known | ({"shifts": dict(self.shifts)} if self.shifts else {})

    def origin(self) -> str:
        """Where it was, to recognise it when its content changes."""
        return str(self.onnx.resolve())


def find_model(path: Path) -> Model:
    """The model at ``path``; BuildError, saying what to do, if there is none."""
    if not path.exists():
        raise BuildError(f"{path}: no such file or folder; MODEL is an ONNX file or a run folder of `espalier train`")
    if path.is_file():
        return Model(path.stem, path, read_model(path).digest)
    onnx = path / "model.onnx"
    if not onnx.is_file():
        raise BuildError(f"{path}: holds no model.onnx; if it is a training run, finish it with `espalier train`")
    if is_real(path):
        raise BuildError(f"{path}: is a network of real numbers; quantize it with `espalier quantize {path} -o RUN`")
    name = path.resolve().name
    tests, truth = existing(path / "test.npz"), existing(path / "truth.npz")
    return Model(name, onnx, read_model(onnx).digest, tests, truth, *how_scored(path), how_pruned(path))


def how_scored(run: Path) -> tuple[str, int, dict[str, float], dict[str, float]]:
    """The metric of a run folder, the margin of its images, its MEMORY and SHIFTS; none where it does not say."""
    metrics, config = (
        read_json(run / name) if (run / name).is_file() else {} for name in ("metrics.json", "config.json")
    )
    try:
        result = metrics.get("result", {})
        memory = {name: float(result[name]) for name in MEMORY if name in result}
        shifts = {name: float(metrics["swis"][name]) for name in SHIFTS if "swis" in metrics}
        return str(result.get("metric", "")), int(config.get("recipe", {}).get("margin", 0)), memory, shifts
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BuildError(f"{run}: its metrics.json or config.json is damaged; train again") from None


def is_real(run: Path) -> bool:
    """Whether the recipe of a run folder has weights or activations that are not quantized."""
    recipe = read_json(run / "recipe.json") if (run / "recipe.json").is_file() else {}
    try:
        return FLOAT in (*recipe.get("weight_bits", ()), *recipe.get("activation_bits", ()))
    except (AttributeError, TypeError):
        raise BuildError(f"{run}: its recipe.json is damaged; train again") from None


def existing(path: Path) -> Path | None:
    return path if path.is_file() else None
