"""Finished run folders: the trained model, to go on from."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from ..errors import BuildError
from .checkpoint import restore_model
from .files import read_json
from .model import QuantNetwork
from .recipes import Recipe, read_recipe


@dataclass(frozen=True, eq=False)
class Run:
    """A trained model, in evaluation mode with its masks, and the recipe that it is of."""

    recipe: Recipe
    model: QuantNetwork


def load_run(folder: Path) -> Run:
    """What ``espalier train`` or ``espalier prune`` left in ``folder``; raises BuildError."""
    if not (folder / "model.onnx").is_file() or not (folder / "recipe.json").is_file():
        raise BuildError(f"{folder}: is no finished run; give a folder in which `espalier train` has finished")
    recipe = read_recipe(read_json(folder / "recipe.json"), str(folder / "recipe.json"))
    model, path = QuantNetwork(recipe), folder / "model.safetensors"
    try:
        tensors = load_tensors(path.read_bytes())
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror}); train anew") from None
    except SafetensorError as error:
        raise BuildError(f"{path}: is not a safetensors file ({error}); train anew") from None
    restore_model(model, tensors, str(path))
    return Run(recipe, model.eval())
