"""Multi-layer perceptrons."""

from collections.abc import Sequence

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
    (classes,) = network.shapes()[network.layers[-1].name]
    return mlp(network.input, hidden, classes, signed=network.activations[0].signed)
