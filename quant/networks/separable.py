"""Depthwise-separable networks: the keyword-spotting DS-CNN of MLPerf Tiny and MobileNet-v1."""

from .layers import Activation, AveragePool, Conv, Dense, DepthwiseConv, Flatten, Input, Layer, Network, Pair

# Channels at width 1 and stride of each block; the first two strides of the ImageNet network are 1 for small images.
MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def ds_cnn(width: int = 64, classes: int = 10) -> Network:
    """A 10x4 convolution and four separable blocks on 49 frames of 10 features from -1 to 1; 21,888 weights."""
    layers: list[Layer] = [Conv("conv0", width, (10, 4), (2, 2), (5, 1)), Activation("act0")]
    for block in range(1, 5):
        layers += _block(block, width, (1, 1))
    layers += [AveragePool("pool", (25, 5)), Activation("mean", limit=2.0), Flatten("flatten"), Dense("fc", classes)]
    return Network("ds-cnn", Input((1, 49, 10), low=-1.0, high=1.0, signed=True), tuple(layers))


def mobilenet(width: float = 0.25, classes: int = 10) -> Network:
    """A 3x3 convolution and 13 separable blocks on 32x32 pixels, channels as in MobileNet-v1 times ``width``."""
    layers: list[Layer] = [Conv("conv0", _scaled(32, width), (3, 3), padding=(1, 1)), Activation("act0")]
    for block, (channels, stride) in enumerate(MOBILENET, 1):
        layers += _block(block, _scaled(channels, width), (stride, stride))
    layers += [AveragePool("pool", (2, 2)), Activation("mean"), Flatten("flatten"), Dense("fc", classes)]
    return Network("mobilenet", Input((3, 32, 32), high=255.0, signed=True), tuple(layers))


def _block(number: int, channels: int, stride: Pair) -> list[Layer]:
    return [
        DepthwiseConv(f"depth{number}", (3, 3), stride, (1, 1)),
        Activation(f"act{number}a"),
        Conv(f"point{number}", channels, (1, 1)),
        Activation(f"act{number}b"),
    ]


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
