"""Sets the shifts of every filter of a network, and orders its channels so that those computed at once have as many.

Layers come in the order of evaluation. The first one that computes a group of coupled channels orders it, and with it
the inputs of all its readers, before their groups of weights are looked at; channels that pruning dropped come last, so
that they leave no gaps when they go. Later ones of the group, and those whose channels are the network's outputs, take
their filters at once as they come.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..masks import ChannelGroup
from ..model import QuantNetwork
from ..recipes import Recipe
from .decompose import Ints, filter_errors
from .options import Swis
from .quantizer import SharedShifts
from .schedule import Tiles, share_shifts, sort_filters


@dataclass(frozen=True, eq=False)
class Assigned:
    """shifts: (filters,), in their new order. order: which of the old filters each one is."""

    shifts: Ints
    order: Ints


def assign_shifts(made: QuantNetwork, recipe: Recipe, *alike: QuantNetwork) -> None:
    """Let ``made``, whose weights are quantizers' ``SharedShifts``, have the shifts that ``recipe.swis`` asks for.

    Its channels change their order, with those of the networks ``alike``; all of them compute the same as before, but
    for shifts and the order in which real numbers are added up.
    """
    swis = recipe.swis
    assert swis is not None
    groups = {_maker(group): number for number, group in enumerate(made.groups())}
    for spec in recipe.network.weighted:
        layer: Any = made.get_submodule(spec.name)
        quantizer = layer.weight_quant.tensor_quant
        assert isinstance(quantizer, SharedShifts)
        number = groups.get(layer)
        found = assign_filters(quantizer.grouped(layer.weight), quantizer.positions, swis, may_sort=number is not None)
        if number is not None:
            for model in (made, *alike):
                permute_channels(model.groups()[number], torch.from_numpy(found.order))
        quantizer.shifts.copy_(torch.from_numpy(found.shifts))


def assign_filters(weights: Ints, positions: int, swis: Swis, *, may_sort: bool) -> Assigned:
    """The shifts of a layer's filters, whose integers are ``weights``, (filters, groups, weights of a group).

    may_sort: the filters may change their order. Those that are zero throughout count for nothing.
    """
    average = min(swis.shifts, swis.most(positions))
    if not swis.scheduled:
        order = _living_first(weights) if may_sort else np.arange(len(weights))
        return Assigned(np.full(len(weights), int(average)), order)
    if not may_sort:
        tiles = Tiles(len(weights), swis.filters_at_once)
        return Assigned(tiles.repeat(_tile_shifts(weights, tiles, positions, swis, average)), np.arange(len(weights)))
    living = np.flatnonzero(weights.any(axis=(1, 2)))
    rest = np.setdiff1d(np.arange(len(weights)), living)
    if len(living):
        errors = filter_errors(weights[living], positions, alpha=swis.alpha, consecutive=swis.consecutive)
        living = living[sort_filters(errors, average)]
    tiles = Tiles(len(living), swis.filters_at_once)
    shifts = _tile_shifts(weights[living], tiles, positions, swis, average)
    order = tiles.sort(shifts)
    sorted_shifts = tiles.repeat(shifts[order])
    return Assigned(
        np.concatenate([sorted_shifts, np.full(len(rest), swis.step)]),
        np.concatenate([living[tiles.filters(order)], rest]),
    )


def _living_first(weights: Ints) -> Ints:
    return np.argsort(~weights.any(axis=(1, 2)), kind="stable")


def _tile_shifts(weights: Ints, tiles: Tiles, positions: int, swis: Swis, average: float) -> Ints:
    """(tiles,); those whose filters are all zero have the fewest, and do not count for the average."""
    shifts = np.full(-(-tiles.count // tiles.size), swis.step)
    if not weights.any():
        return shifts
    options = {"alpha": swis.alpha, "consecutive": swis.consecutive}
    errors = filter_errors(weights, positions, sharing=swis.sharing, **options)
    errors = errors if swis.joint else tiles.sum(errors)
    used = tiles.sum(np.any(weights, axis=(1, 2)))
    shifts[used] = share_shifts(errors[used], average, swis.step)
    return shifts


def permute_channels(group: ChannelGroup, order: torch.Tensor) -> None:
    """Let channel ``order[i]`` of the group become channel i, in all that computes, normalizes, masks or reads it."""
    for part in (*(writer.weights for writer in group.writers), *group.readers):
        weights = part.weights(group.channels)
        weights.copy_(weights[order].clone())
    for writer in group.writers:
        norm = writer.norm
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var, writer.mask.kept):
            channels = group.of(tensor.detach(), writer)
            channels.copy_(channels[order].clone())


def _maker(group: ChannelGroup) -> Any:
    """The layer that computes the group's channels first."""
    return group.writers[0].weights.layer
