"""A plain convolutional network."""

from collections.abc import Sequence

from .layers import Activation, AveragePool, Conv, Dense, Flatten, Input, Layer, MaxPool, Network


def cnn(given: Input, channels: Sequence[int], classes: int = 10, *, pools: int = 0) -> Network:
    """3x3 convolutions of so many channels, 2x2 pooling behind the first ``pools``, the mean, one dense layer."""
    layers: list[Layer] = []
    size = given.shape[1:]
    for number, width in enumerate(channels, 1):
        layers += [Conv(f"conv{number}", width, (3, 3), padding=(1, 1)), Activation(f"act{number}")]
        if number <= pools:
            layers.append(MaxPool(f"pool{number}", (2, 2)))
            size = size[0] // 2, size[1] // 2
    layers += [AveragePool("mean", (size[0], size[1])), Activation("features", limit=2.0), Flatten("flatten")]
    return Network("cnn", given, (*layers, Dense("fc", classes)))
