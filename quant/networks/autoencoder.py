"""A convolutional autoencoder with transposed convolutions."""

from .layers import Activation, Conv, ConvTranspose, Input, Network


def autoencoder(width: int = 16, code: int = 4) -> Network:
    """28x28 pixels to a code of 7x7 pixels with ``code`` channels, and back by two transposed convolutions."""
    layers = (
        Conv("conv1", width, (3, 3), (2, 2), (1, 1)),
        Activation("act1"),
        Conv("conv2", 2 * width, (3, 3), (2, 2), (1, 1)),
        Activation("act2"),
        Conv("conv3", code, (1, 1)),
        Activation("code"),
        Conv("conv4", 2 * width, (3, 3), padding=(1, 1)),
        Activation("act4"),
        ConvTranspose("up1", width, (2, 2), (2, 2)),
        Activation("act5"),
        ConvTranspose("up2", 1, (4, 4), (2, 2), (1, 1)),
    )
    return Network("autoencoder", Input((1, 28, 28), high=255.0), layers)
