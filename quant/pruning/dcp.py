"""DCP: channels are kept where they help to rebuild the features and to decide (Zhuang et al., NeurIPS 2018).

All auxiliary losses are trained at once, before any channel goes, so that one network is the base of every group. The
re-optimisation has no weight decay: it takes few steps from trained weights.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import nn

from ...errors import GraphError
from ..bits import FLOAT
from ..checkpoint import Checkpoint, model_state, restore_model
from ..data import Dataset
from ..evaluate import device_of
from ..masks import ChannelGroup, check_counts
from ..model import QuantNetwork
from ..recipes import Recipe
from ..tasks import find_task
from .dcp_losses import make_heads, positions_of
from .dcp_options import DcpOptions
from .dcp_selection import Discrimination, Objective, Samples, select
from .dcp_training import train_with_heads

OUTPUT = "scale"
"""The module that computes a network's output: behind it the task's own loss discriminates."""


@dataclass(frozen=True)
class DcpProgress:
    """Part 0 of ``parts`` trains with the auxiliary losses, in steps; each other one chooses a group's channels.

    name: of the group, "" in part 0. done of total: steps, or channels chosen of those to choose at most.
    """

    part: int
    parts: int
    name: str
    done: int
    total: int
    loss: float


@dataclass(frozen=True)
class GroupChoice:
    """Channels kept of a group, in the order of choice; the objective without any, and after each round.

    place: the layer whose auxiliary loss discriminated, or OUTPUT.
    """

    name: str
    kept: tuple[int, ...]
    losses: tuple[float, ...]
    place: str


@dataclass(frozen=True)
class DcpResult:
    """keep: channels kept, in the order of ``model.groups()``. places: of the auxiliary losses.

    choices: of the groups in the order in which they were pruned, without those that were to keep all they had.
    """

    keep: tuple[int, ...]
    choices: tuple[GroupChoice, ...]
    places: tuple[str, ...]


def dcp(
    model: QuantNetwork,
    recipe: Recipe,
    dataset: Dataset,
    keep: Sequence[int] | None,
    options: DcpOptions,
    progress: Callable[[DcpProgress], None] = lambda state: None,
    *,
    on_group: Callable[[Checkpoint], None] = lambda checkpoint: None,
    start: Checkpoint | None = None,
) -> DcpResult:
    """Leave ``keep`` channels of each group, or as many as ``options.eps`` finds to be enough, at most ``keep``.

    ``model`` is trained, of real numbers, changed in place and left in evaluation mode; no auxiliary loss stays in it.
    Groups are pruned in the order of their last readers. Chance is torch's generator.

    on_group: called before the first group and after each one with all that is needed to go on from there; ``epoch``
    is the number of groups done. start: such a checkpoint; with the same arguments the result is the same as without a
    stop, whatever the model's weights. Raises GraphError, and BuildError for a checkpoint of another network.
    """
    queue = _queue(model, recipe, keep, options)
    heads = make_heads(recipe.network, options.auxiliary).to(device_of(model))

    def report(part: int, name: str, done: int, total: int, loss: float) -> None:
        progress(DcpProgress(part, len(queue) + 1, name, done, total, loss))

    if start is None:
        train_with_heads(model, heads, recipe, dataset, options, partial(report, 0, ""))
    base, choices = copy.deepcopy(model), []
    parts = {"model": model, "base": base, "heads": heads}
    if start is None:
        on_group(_checkpoint(choices, parts))
    else:
        choices = _restore(start, parts)
    for part in parts.values():
        part.eval()
    for number, (group, most) in list(enumerate(queue, 1))[len(choices) :]:
        place = _place_behind(group, model, recipe, heads)
        head = heads[place] if place in heads else nn.Identity()
        discrimination = Discrimination(place, head, find_task(recipe.task).loss)
        objective = Objective(model, base, group, discrimination, options.lam, _draw(model, dataset, options))
        kept, losses = select(objective, most, options, partial(report, number, group.name))
        choices.append(GroupChoice(group.name, kept, losses, place))
        on_group(_checkpoint(choices, parts))
    return DcpResult(tuple(int(group.kept.sum()) for group in model.groups()), tuple(choices), tuple(heads))


def _queue(
    model: QuantNetwork, recipe: Recipe, keep: Sequence[int] | None, options: DcpOptions
) -> list[tuple[ChannelGroup, int]]:
    """The groups that may lose channels, in the order of their last readers, and how many may stay."""
    _check_real(recipe)
    if keep is None and options.eps is None:
        raise GraphError("dcp: neither keep nor eps is given; give numbers of channels to keep, or eps, such as 0.01")
    groups = model.groups()
    counts = [group.channels for group in groups] if keep is None else keep
    check_counts(groups, counts)
    ends = [_last_reader(model, recipe, group) for group in groups]
    queue = [(group, count) for _, group, count in sorted(zip(ends, groups, counts), key=lambda entry: entry[0])]
    return [(group, count) for group, count in queue if options.eps is not None or count < int(group.kept.sum())]


def _check_real(recipe: Recipe) -> None:
    network = recipe.network
    layers = zip((*network.weighted, *network.activations), (*recipe.weight_bits, *recipe.activation_bits))
    for layer, bits in layers:
        if bits != FLOAT:
            raise GraphError(
                f"{layer.name}: has {bits} bits, but DCP follows gradients of real numbers; prune the network with "
                f"{FLOAT} bits everywhere, then quantize it"
            )


def _last_reader(model: QuantNetwork, recipe: Recipe, group: ChannelGroup) -> int:
    """Its place in the order of evaluation."""
    positions = positions_of(recipe.network)
    coupling = next(coupling for coupling in model.couplings if coupling.name == group.name)
    return max(positions[place.layer] for place in coupling.readers)


def _place_behind(group: ChannelGroup, model: QuantNetwork, recipe: Recipe, heads: nn.ModuleDict) -> str:
    """The first auxiliary loss that depends on all readers of the group, or OUTPUT."""
    positions, end = positions_of(recipe.network), _last_reader(model, recipe, group)
    return next((name for name in heads if positions[name] >= end), OUTPUT)


def _draw(model: QuantNetwork, dataset: Dataset, options: DcpOptions) -> Samples:
    """Some of the training set, by chance."""
    chosen = torch.randperm(len(dataset.train_inputs))[: options.selection_images].numpy()
    inputs, targets = torch.from_numpy(dataset.train_inputs[chosen]), torch.from_numpy(dataset.train_targets[chosen])
    device = device_of(model)
    return Samples(inputs.to(device).float(), targets.to(device), options.batch_size)


def _checkpoint(choices: list[GroupChoice], parts: dict[str, nn.Module]) -> Checkpoint:
    tensors = {f"{where}.{name}": part for where in parts for name, part in model_state(parts[where]).items()}
    tensors["random"] = torch.get_rng_state()
    return Checkpoint(len(choices), [asdict(choice) for choice in choices], tensors)


def _restore(checkpoint: Checkpoint, parts: dict[str, nn.Module]) -> list[GroupChoice]:
    for where, part in parts.items():
        start = f"{where}."
        found = {name.removeprefix(start): part for name, part in checkpoint.tensors.items() if name.startswith(start)}
        restore_model(part, found, "checkpoint")
    torch.set_rng_state(checkpoint.tensors["random"])
    return [
        GroupChoice(entry["name"], tuple(entry["kept"]), tuple(entry["losses"]), entry["place"])
        for entry in checkpoint.history
    ]
