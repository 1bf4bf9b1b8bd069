"""The optimizer of methods in which the decay of the weights decides what goes, and the weights that they change."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ..model import QuantNetwork

MOMENTUM = 0.9


def decaying_sgd(
    model: QuantNetwork, learning_rate: float, decay: float, others: Iterable[nn.Parameter] = ()
) -> torch.optim.SGD:
    """Stochastic gradient descent with momentum, which decays the weights of all layers and ``others``, but no more:

    normalizations, scales of quantizers and the scale of the outputs are left to their gradients.
    """
    names = {f"{name}.weight" for name in model.weighted_layers}
    decayed = [parameter for name, parameter in model.named_parameters() if name in names]
    rest = [parameter for name, parameter in model.named_parameters() if name not in names]
    groups = [{"params": [*decayed, *others], "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=learning_rate, momentum=MOMENTUM)


def weight_of(model: QuantNetwork, name: str) -> Any:
    """The weights of a layer, a parameter."""
    return model.get_submodule(name).weight
