"""Modules in users' own Python files, which are executed, and their weights in safetensors files."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import nn

from ..errors import BuildError
from .from_torch import OwnNetwork, from_torch
from .own_recipe import find_input, own_recipe
from .recipes import Recipe
from .train import torch_state

MODULE = "_espalier_own_file"  # under this name the file's own classes find themselves while it is at work


def read_own(source: str, dataset: str | None, task: str, weights: Path | None, seed: int) -> tuple[Recipe, OwnNetwork]:
    """The recipe and the start of the module that ``source``, FILE.py:NAME, names; see ``read_module``.

    seed: of the weights that the file makes at random. Raises BuildError and GraphError.
    """
    given = find_input(dataset, task)
    path, _, name = source.rpartition(":")
    if not path.endswith(".py"):
        raise BuildError(f"{source}: names no module in the file; give FILE.py:NAME, such as net.py:Net")
    with torch_state(1, seed):
        own = from_torch(read_module(Path(path), name, weights), given, name=source)
    return own_recipe(own.network, name=Path(source).name, dataset=str(dataset), task=task), own


def read_module(path: Path, name: str, weights: Path | None = None) -> nn.Module:
    """The module that ``name`` in the file ``path`` is, or that it returns when called without arguments.

    The file is executed: it must be one's own. weights: a safetensors file with the module's state_dict, which is
    loaded into it. Raises BuildError.
    """
    with _executed(path) as namespace:
        if name not in namespace:
            found = ", ".join(key for key, value in namespace.items() if _is_own(value)) or "none"
            raise BuildError(f"{path}: has no {name}; modules, functions and classes in it: {found}")
        module = namespace[name]
        if not isinstance(module, nn.Module):
            module = _called(module, path, name)
    if weights is not None:
        _load(module, weights)
    return module


@contextmanager
def _executed(path: Path) -> Iterator[dict[str, Any]]:
    """What the file defines; beside it lie the modules that it imports."""
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BuildError(f"{path}: no such Python file; give FILE.py:NAME, such as net.py:Net")
    namespace = importlib.util.module_from_spec(spec)
    before = [*sys.path]
    sys.modules[MODULE], sys.path[:0] = namespace, [str(path.parent.resolve())]
    try:
        try:
            spec.loader.exec_module(namespace)
        except (Exception, SystemExit) as error:
            raise BuildError(
                f"{path}: {_explain(error, path)}; what follows `if __name__ ...` is not executed"
            ) from error
        yield vars(namespace)
    finally:
        del sys.modules[MODULE]
        sys.path[:] = before


def _is_own(value: Any) -> bool:
    return isinstance(value, nn.Module) or (callable(value) and getattr(value, "__module__", "") == MODULE)


def _called(function: Any, path: Path, name: str) -> nn.Module:
    if not callable(function):
        raise BuildError(
            f"{path}:{name} is a {type(function).__name__}; needed is a torch.nn.Module, or what returns one"
        )
    try:
        module = function()
    except (Exception, SystemExit) as error:
        raise BuildError(f"{path}:{name} {_explain(error, path)}; it is called without arguments") from error
    if not isinstance(module, nn.Module):
        raise BuildError(f"{path}:{name} returns a {type(module).__name__}; needed is a torch.nn.Module")
    return module


def _explain(error: BaseException, path: Path) -> str:
    """What was raised, and in which line of the file."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    message = " ".join(str(error).split())
    return f"raises {type(error).__name__}: {message}" + ("" if line is None else f" (line {line})")


def _load(module: nn.Module, path: Path) -> None:
    try:
        tensors = load_tensors(path.read_bytes())
    except OSError as error:
        raise BuildError(f"--weights-from: {path}: cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise BuildError(
            f"--weights-from: {path}: is not a safetensors file ({error}); write it with "
            "safetensors.torch.save_file(module.state_dict(), path)"
        ) from None
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise BuildError(f"--weights-from: {path}: does not fit the module ({' '.join(str(error).split())})") from None
