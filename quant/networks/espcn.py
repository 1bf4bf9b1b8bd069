"""ESPCN super-resolution: sub-pixel convolution."""

from .layers import Activation, Conv, Input, Network, PixelShuffle


def espcn(factor: int = 2, width: int = 64, size: int = 32) -> Network:
    """Luminance of size x size pixels to ``factor`` times as many in both directions."""
    layers = (
        Conv("conv1", width, (5, 5), padding=(2, 2)),
        Activation("act1", limit=1.0),
        Conv("conv2", width // 2, (3, 3), padding=(1, 1)),
        Activation("act2", limit=1.0),
        Conv("conv3", factor**2, (3, 3), padding=(1, 1)),
        PixelShuffle("shuffle", factor),
    )
    return Network("espcn", Input((1, size, size), high=255.0), layers, normalized=False)
