"""A residual network in plain PyTorch: `espalier train examples/own_network.py:Net --dataset digits -o runs/own`."""

from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        branch = self.relu(self.norm1(self.conv1(maps)))
        return self.relu(self.norm2(self.conv2(branch)) + maps)


class Net(nn.Module):
    """Takes images (batch, 1, height, width) with pixels from 0 to 1."""

    def __init__(self, channels: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.Sequential(Block(channels), Block(channels))
        self.pool = nn.MaxPool2d(4)
        self.fc = nn.Linear(4 * channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool(self.blocks(self.stem(images)))
        return self.fc(maps.flatten(1))
