"""What MODEL names on the command line: an ONNX file, or a run folder of ``espalier train`` with its test data."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import BuildError
from ..ir.onnx_model import read_model
from .folder import file_digest


@dataclass(frozen=True)
class Model:
    """An ONNX file; ``tests`` (inputs, labels) and ``truth`` (Brevitas' codes) where a run folder has them."""

    name: str
    onnx: Path
    digest: str
    tests: Path | None = None
    truth: Path | None = None

    def identity(self) -> dict[str, str | None]:
        """All of it that results depend on."""
        tests, truth = (path and file_digest(path) for path in (self.tests, self.truth))
        return {"name": self.name, "digest": self.digest, "tests": tests, "truth": truth}

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
    name = path.resolve().name
    return Model(name, onnx, read_model(onnx).digest, existing(path / "test.npz"), existing(path / "truth.npz"))


def existing(path: Path) -> Path | None:
    return path if path.is_file() else None
