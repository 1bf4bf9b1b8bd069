"""Sets the shifts of every filter of a network, and orders its channels so that those computed at once have as many.

Layers come in the order of evaluation. The first one that computes a group of coupled channels orders it, and with it
the inputs of all its readers, before their groups of weights are looked at; channels that pruning dropped come last, so
that they leave no gaps when they go. Later ones of the group, and those whose channels are the network's outputs, take
their filters at once as they come.
"""

from typing import Any

import torch

from ..masks import ChannelGroup
from ..model import QuantNetwork
from ..recipes import Recipe
from .assign_filters import assign_filters
from .quantizer import SharedShifts


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
