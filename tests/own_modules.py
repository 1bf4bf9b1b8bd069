"""Plain PyTorch modules of several families, as users write them."""

import torch
from torch import nn
from torch.nn import functional


class Vgg(nn.Module):
    """Sequential; convolutions with and without bias and normalization."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.Conv2d(4, 6, 3, padding="same", bias=False), nn.BatchNorm2d(6, eps=0.1, affine=False), nn.ReLU6(),
            nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Dropout(0.5),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10)
        )

    def forward(self, images):
        return self.classifier(self.features(images))


class Block(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.skip = None
        if stride > 1:
            self.skip = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, values):
        branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(values)))))
        branch += values if self.skip is None else self.skip(values)
        return self.relu(branch)


class Residual(nn.Module):
    """As in torchvision: one ReLU module used several times, sums in place, a view of the mean."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 10)

    def forward(self, images):
        values = self.pool(self.blocks(functional.relu(self.conv(images))))
        return self.fc(values.view(values.size(0), -1))


class Separable(nn.Module):
    """As MobileNet-v2: depthwise layers, linear bottlenecks with sums and no ReLU behind them, a mean over pixels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6())
        self.first, self.second = (
            nn.Sequential(
                nn.Conv2d(4, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
                nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=True), nn.BatchNorm2d(8), nn.Hardtanh(),
                nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4),
            )
            for _ in range(2)
        )  # fmt: skip
        self.head = nn.Linear(4, 10, bias=False)

    def forward(self, images):
        values = self.stem(images)
        values = values + self.first(values)
        values = values + self.second(values)
        return self.head(values.mean((2, 3)))


class UNet(nn.Module):
    """Joins, an upsampling and a transposed convolution; the last layer is normalized."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.middle = nn.Conv2d(6, 8, 3, padding=1)
        self.merge = nn.Conv2d(14, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 4, 2, 2)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(8, 1, 1)
        self.last_norm = nn.BatchNorm2d(1)

    def forward(self, images):
        first = torch.relu(self.down1(images))
        second = functional.relu(self.down2(functional.max_pool2d(first, 2)))
        middle = self.middle(functional.max_pool2d(second, kernel_size=2)).relu()
        upper = functional.interpolate(middle, scale_factor=2, mode="nearest")
        merged = functional.relu(self.merge(torch.cat([second, upper], dim=1)))
        upper = functional.relu(self.norm(self.up(merged)))
        return self.last_norm(self.last(torch.cat((first, upper), 1)))


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 16), nn.Linear(16, 16, bias=False), nn.Linear(16, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, images):
        values = torch.flatten(images, 1)
        values = functional.dropout(functional.relu(self.fc1(values)), training=self.training)
        return self.fc3(torch.relu(self.fc2(self.drop(values))))


class Enlarger(nn.Module):
    """Sub-pixel convolution."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 4, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, images):
        return self.shuffle(self.conv2(functional.relu(self.conv1(images))))


def settled(kind):
    """A module in evaluation mode whose normalizations and biases are none that any layer begins with."""
    torch.manual_seed(5)
    module = kind()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.1, 0.5)
            if layer.weight is not None:
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.uniform_(layer.bias, -0.3, 0.3)
    return module.eval()
