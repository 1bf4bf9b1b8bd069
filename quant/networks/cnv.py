"""CNV of BNN-PYNQ: a small VGG without padding."""

from .layers import Activation, Conv, Dense, Flatten, Input, Layer, MaxPool, Network


def cnv(width: int = 64, classes: int = 10) -> Network:
    """Six 3x3 convolutions in pairs of 1, 2 and 4 times ``width`` channels, three dense layers; 1,542,848 weights."""
    layers: list[Layer] = []
    for index in range(6):
        layers += [Conv(f"conv{index}", width << index // 2, (3, 3)), _activation(f"act{index}")]
        if index in (1, 3):
            layers.append(MaxPool(f"pool{index}", (2, 2)))
    layers.append(Flatten("flatten"))
    for index in range(2):
        layers += [Dense(f"fc{index}", 8 * width), _activation(f"act{6 + index}")]
    layers.append(Dense("fc2", classes))
    return Network("cnv", Input((3, 32, 32), high=255.0, signed=True, narrow=False), tuple(layers))


def _activation(name: str) -> Activation:
    return Activation(name, signed=True, limit=1.0, learned=False)
