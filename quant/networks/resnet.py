"""ResNet-8 of MLPerf Tiny."""

from .layers import Activation, Add, AveragePool, Conv, Dense, Flatten, Input, Layer, Network


def resnet8(width: int = 16, classes: int = 10) -> Network:
    """Three residual blocks of 1, 2 and 4 times ``width`` channels; 77,360 weights.

    Both branches of each addition have one quantizer, with a power of two as scale.
    """
    layers: list[Layer] = [Conv("conv0", width, (3, 3), padding=(1, 1)), Activation("act0")]
    before = "act0"
    for block, stride in ((1, 1), (2, 2), (3, 2)):
        layers += _block(f"block{block}", before, width << block - 1, stride)
        before = layers[-1].name
    layers += [AveragePool("pool", (8, 8)), Activation("mean", limit=2.0), Flatten("flatten"), Dense("fc", classes)]
    return Network("resnet8", Input((3, 32, 32), high=255.0, signed=True), tuple(layers))


def _block(name: str, before: str, channels: int, stride: int) -> list[Layer]:
    skip: list[Layer] = []
    if stride > 1:
        skip.append(Conv(f"{name}_skip", channels, (1, 1), (stride, stride), sources=(before,)))
    source = skip[-1].name if skip else before
    return [
        Conv(f"{name}_conv1", channels, (3, 3), (stride, stride), (1, 1), sources=(before,)),
        Activation(f"{name}_act1"),
        Conv(f"{name}_conv2", channels, (3, 3), padding=(1, 1)),
        Activation(f"{name}_branch", signed=True, power_of_two=True),
        *skip,
        Activation(f"{name}_shortcut", shares=f"{name}_branch", sources=(source,)),
        Add(f"{name}_add", sources=(f"{name}_branch", f"{name}_shortcut")),
        Activation(f"{name}_act2"),
    ]
