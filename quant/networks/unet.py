"""A small U-Net."""

from .layers import Activation, Concat, Conv, ConvTranspose, Input, MaxPool, Network, Upsample


def unet(width: int = 8) -> Network:
    """28x28 pixels, two levels down and up; skip and upper path have one quantizer, so that they can be joined."""
    layers = (
        Conv("down1", width, (3, 3), padding=(1, 1)),
        Activation("skip1", power_of_two=True),
        MaxPool("pool1", (2, 2)),
        Conv("down2", 2 * width, (3, 3), padding=(1, 1)),
        Activation("skip2", power_of_two=True),
        MaxPool("pool2", (2, 2)),
        Conv("middle", 4 * width, (3, 3), padding=(1, 1)),
        Activation("act3"),
        Upsample("upsample", 2),
        Conv("up2", 2 * width, (3, 3), padding=(1, 1)),
        Activation("upper2", shares="skip2"),
        Concat("join2", sources=("skip2", "upper2")),
        Conv("merge2", 2 * width, (3, 3), padding=(1, 1)),
        Activation("act4"),
        ConvTranspose("up1", width, (2, 2), (2, 2)),
        Activation("upper1", shares="skip1"),
        Concat("join1", sources=("skip1", "upper1")),
        Conv("merge1", width, (3, 3), padding=(1, 1)),
        Activation("act5"),
        Conv("mask", 1, (1, 1)),
    )
    return Network("unet", Input((1, 28, 28), high=255.0), layers)
