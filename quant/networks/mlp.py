"""Multi-layer perceptrons."""

from collections.abc import Sequence
from dataclasses import replace

from .layers import Activation, Dense, Input, Layer, Network


def mlp(inputs: Input, hidden: Sequence[int], classes: int, *, signed: bool) -> Network:
    """fc1, act1, fc2, act2, ... and the last fc; signed activations are clipped to -1..1, others are ReLUs."""
    layers: list[Layer] = []
    for number, channels in enumerate(hidden, 1):
        activation = Activation(f"act{number}", signed=True, limit=1.0, learned=False)
        layers += [Dense(f"fc{number}", channels), activation if signed else Activation(f"act{number}")]
    return Network("mlp", inputs, (*layers, Dense(f"fc{len(hidden) + 1}", classes)))


def with_hidden(network: Network, hidden: Sequence[int]) -> Network:
    """The same perceptron with other hidden layers."""
    remade = mlp(network.input, hidden, network.weighted[-1].channels, signed=network.activations[0].signed)
    return replace(remade, input=network.input)
