"""The layers that read a group of channels, with what comes in and what they gave before anything was pruned."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import GraphError
from ..evaluate import device_of
from ..masks import ChannelGroup
from ..model import QuantNetwork
from .moments import Moments, Sums
from .terms import find_shift
from .unfold import features_of, unfold, weights_of

BATCH = 32  # samples unfolded at once
POSITIONS = 100  # windows of a sample that count, at most; more tell hardly more, as neighbours are alike


@dataclass(frozen=True, eq=False)
class Reader:
    """A layer that multiplies a group's channels by its weights.

    shift: what can add a term to its outputs, see ``find_shift``. shift_before: that of the reference. blocks: which
    features are each channel's, integers of shape (channels, features of one). alive: the features whose channels are
    not dropped, bool of shape (features,). moments: of its features, and of its outputs in the reference, 0 where
    dropped; about the origin if shift is None.
    """

    name: str
    layer: Any
    shift: Any
    shift_before: Any
    blocks: Tensor
    alive: Tensor
    moments: Moments


@torch.no_grad()
def measure_readers(
    model: QuantNetwork, reference: QuantNetwork, group: ChannelGroup, inputs: Tensor, *, positions: int = POSITIONS
) -> tuple[Reader, ...]:
    """The readers of ``group`` in ``model``, on ``inputs`` (samples, ...).

    reference: the model as it was, whose outputs are wanted. positions: how many windows of a sample count, at most,
    chosen at random but always the same. Both models are left in evaluation mode. Raises GraphError for less than two
    samples, for weights of one bit and where a value is not finite.
    """
    if len(inputs) < 2:
        raise GraphError(f"{group.name}: {len(inputs)} calibration samples were given; give at least 2, better 256")
    names = {layer: name for name, layer in model.named_children()}
    layers = {names[part.layer]: part.layer for part in group.readers}
    for name in layers:
        if name in model.bipolar_layers:
            raise GraphError(f"{name}: weights of one bit cannot be fitted; give it 2 or more bits, or 32 for reals")
    found = _measure(model, reference, layers, inputs, positions)
    return tuple(_reader(model, reference, group, name, found[name]) for name in layers)


def _reader(model: QuantNetwork, reference: QuantNetwork, group: ChannelGroup, name: str, moments: Moments) -> Reader:
    if not (moments.covariance.isfinite().all() and moments.output_variance.isfinite().all()):
        raise GraphError(f"{name}: takes in or gives values that are not finite; train anew")
    layer: Any = model.get_submodule(name)
    alive = torch.ones_like(moments.mean, dtype=torch.bool)
    for other in model.groups():
        if any(part.layer is layer for part in other.readers):
            alive[features_of(layer, other)[~other.kept].flatten()] = False
    shift, shift_before = (find_shift(part, name) for part in (model, reference))
    return Reader(name, layer, shift, shift_before, features_of(layer, group), alive, moments)


def _measure(
    model: QuantNetwork, reference: QuantNetwork, names: Iterable[str], inputs: Tensor, positions: int
) -> dict[str, Moments]:
    sums = {name: Sums(central=find_shift(model, name) is not None) for name in names}
    generator = torch.Generator().manual_seed(0)
    for batch in inputs.split(BATCH):
        taken, wanted = (_record(part, names, batch) for part in (model, reference))
        for name, found in sums.items():
            columns = _choose(_columns(model, name, taken[name][0], wanted[name][1]), positions, generator)
            found.add(columns.transpose(1, 2).flatten(0, 1))
    return {name: found.moments(weights_of(model.get_submodule(name)).shape[1]) for name, found in sums.items()}


def _record(model: QuantNetwork, names: Iterable[str], batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What the layers of these names take and give."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def hook_of(name: str) -> Any:
        return lambda layer, inputs, outputs: found.update({name: (inputs[0], outputs)})

    hooks = [model.get_submodule(name).register_forward_hook(hook_of(name)) for name in names]
    model.eval()(batch.to(device_of(model)).float())
    for hook in hooks:
        hook.remove()
    return found


def _columns(model: QuantNetwork, name: str, taken: Tensor, wanted: Tensor) -> Tensor:
    """Features, then wanted outputs, of each window, (samples, features + outputs, windows)."""
    mask = getattr(model, f"{name}_mask", None)
    outputs = wanted.reshape(*wanted.shape[:2], -1)
    outputs = outputs if mask is None else outputs * mask.kept[:, None]
    return torch.cat([unfold(model.get_submodule(name), taken), outputs], 1)


def _choose(columns: Tensor, positions: int, generator: torch.Generator) -> Tensor:
    """So many windows of each sample, from all in ``columns`` (samples, values, windows)."""
    samples, values, windows = columns.shape
    if windows <= positions:
        return columns
    chosen = torch.rand(samples, windows, generator=generator).argsort(1)[:, None, :positions]
    return columns.gather(2, chosen.expand(-1, values, -1).to(columns.device))
