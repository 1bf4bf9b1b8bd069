"""Checkpoints: everything that training continues from, as safetensors beside a JSON record that vouches for them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ..errors import BuildError
from .files import read_json, write_bytes, write_json

KEPT_CHECKPOINTS = 2
MODEL = "model."  # before the names of the model's tensors


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State after ``epoch`` epochs; ``history`` holds one record of metrics per epoch."""

    epoch: int
    history: list[dict[str, Any]]
    tensors: Mapping[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, config_digest: str) -> None:
    """Write epoch-NNN.safetensors, then epoch-NNN.json, without which it does not count; drop all but the last two."""
    content = save_tensors({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()})
    path = folder / f"epoch-{checkpoint.epoch:03}.safetensors"
    write_bytes(path, content)
    record = {
        "epoch": checkpoint.epoch,
        "config": config_digest,
        "sha256": hashlib.sha256(content).hexdigest(),
        "history": checkpoint.history,
    }
    write_json(path.with_suffix(".json"), record)
    for record_path in _records(folder)[:-KEPT_CHECKPOINTS]:
        record_path.unlink()
        record_path.with_suffix(".safetensors").unlink(missing_ok=True)


def load_last_checkpoint(folder: Path, config_digest: str) -> Checkpoint | None:
    """The last complete checkpoint of the folder, or None; raises BuildError if it is damaged or of another run."""
    records = _records(folder)
    return load_checkpoint(records[-1], config_digest) if records else None


def load_checkpoint(record_path: Path, config_digest: str) -> Checkpoint:
    """The checkpoint of an epoch-NNN.json; raises BuildError saying what is wrong with it."""
    record = read_json(record_path)
    advice = "delete this checkpoint's two files to continue from the one before"
    if not isinstance(record, dict) or {"epoch", "config", "sha256", "history"} - record.keys():
        raise BuildError(f"{record_path}: is not a checkpoint's record; {advice}")
    if record["config"] != config_digest:
        raise BuildError(f"{record_path}: belongs to a run with another config.json; {advice}")
    path = record_path.with_suffix(".safetensors")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise BuildError(f"{path}: its content differs from what was written, it is damaged; {advice}")
    try:
        return Checkpoint(record["epoch"], record["history"], load_tensors(content))
    except SafetensorError as error:
        raise BuildError(f"{path}: is not a safetensors file ({error}); {advice}") from None


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.json"), key=lambda path: (len(path.name), path.name))


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the model's tensors, by name."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """The reverse of ``model_state``; raises BuildError naming ``where`` and a tensor that does not fit the model."""
    # Copied in place: Brevitas' load_state_dict makes new parameters, of which an optimizer would know nothing.
    for name, tensor in model.state_dict().items():
        found = tensors.get(name)
        if found is None or found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise BuildError(f"{where}: {name} is {_describe(found)}, the model needs {_describe(tensor)}; train anew")
        tensor.copy_(found)


def collect_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of the model's, the optimizer's and the random generator's state, by name."""
    tensors = {MODEL + name: tensor for name, tensor in model_state(model).items()}
    for name, parameter in model.named_parameters():
        for key, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}:{key}"] = tensor
    tensors["random"] = torch.get_rng_state()
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def restore_state(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The reverse of ``collect_state``; raises BuildError naming a tensor that does not fit the model."""
    parameters = dict(model.named_parameters())
    found = {name.removeprefix(MODEL): tensor for name, tensor in tensors.items() if name.startswith(MODEL)}
    restore_model(model, found, "checkpoint")
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            parameter, key = name.removeprefix("optimizer.").rsplit(":", 1)
            if parameter not in parameters:
                raise BuildError(f"checkpoint: {name} belongs to no parameter of the model; train anew")
            # Optimizers count their steps on the CPU.
            device = parameters[parameter].device if tensor.ndim else "cpu"
            optimizer.state[parameters[parameter]][key] = tensor.to(device, copy=True)
    if "random" not in tensors:
        raise BuildError("checkpoint: the random generator's state is missing; train anew")
    torch.set_rng_state(tensors["random"])


def _describe(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
