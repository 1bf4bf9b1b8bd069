"""Images of ten classes: MNIST, CIFAR-10 and scikit-learn's digits."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from .archives import check_labels, read_archive
from .networks.layers import Input, Shape

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Images:
    """Images (images, ...), uint8 or float32, and their labels, int64."""

    train: NDArray
    train_labels: NDArray[np.int64]
    test: NDArray
    test_labels: NDArray[np.int64]

    def shaped(self, shape: Shape) -> "Images":
        train, test = (part.reshape(len(part), *shape) for part in (self.train, self.test))
        return replace(self, train=train, test=test)

    def divided(self, peak: float) -> "Images":
        train, test = (part.astype(np.float32) / np.float32(peak) for part in (self.train, self.test))
        return replace(self, train=train, test=test)


def load_mnist(path: Path) -> Images:
    """Grey images of 28 x 28 pixels."""
    return _load(path, (28, 28))


def load_cifar10(path: Path) -> Images:
    """Color images (3, 32, 32)."""
    images = _load(path, (32, 32, 3))
    train, test = (np.ascontiguousarray(part.transpose(0, 3, 1, 2)) for part in (images.train, images.test))
    return replace(images, train=train, test=test)


def load_digits(given: Input) -> Images:
    """Scikit-learn's 8x8 digits as a network takes them: each pixel repeated, the rest of the image dark."""
    from sklearn.datasets import load_digits as load  # takes a second to import

    pixels, labels = load(return_X_y=True)
    pixels, labels = np.asarray(pixels, np.float32), np.asarray(labels, np.int64)
    images = pixels if given.shape == (64,) else _fit(pixels.reshape(-1, 8, 8), given.shape)
    images = images / np.float32(16 / (given.high - given.low)) + np.float32(given.low)
    if given.high == 255:
        images = np.rint(images).astype(np.uint8)
    # Neighbours are by the same writer, so every fourth image is a fair sample of all writers.
    is_test = np.arange(len(labels)) % 4 == 3
    return Images(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


def _fit(images: NDArray, shape: Shape) -> NDArray:
    channels, rows, columns = shape if len(shape) == 3 else (1, *_square(shape[0]))
    factors = rows // 8, columns // 8
    grown = images.repeat(factors[0], axis=1).repeat(factors[1], axis=2)
    spare = rows - 8 * factors[0], columns - 8 * factors[1]
    margins = [(0, 0), *((size // 2, size - size // 2) for size in spare)]
    padded = np.pad(grown, margins)
    return np.repeat(padded[:, None], channels, axis=1).reshape(len(images), *shape)


def _square(pixels: int) -> tuple[int, int]:
    side = round(pixels**0.5)
    return side, side


def _load(path: Path, shape: tuple[int, ...]) -> Images:
    arrays = read_archive(path, KEYS)
    for part in ("train", "test"):
        _check_part(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"], shape)
    images = [arrays[f"x_{part}"].reshape(-1, *shape) for part in ("train", "test")]
    labels = [arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
    return Images(images[0], labels[0], images[1], labels[1])


def _check_part(path: Path, part: str, images: NDArray, labels: NDArray, shape: tuple[int, ...]) -> None:
    if images.ndim < 2 or images[0:1].size != np.prod(shape) or images.dtype != np.uint8:
        wanted = ",".join(map(str, shape))
        raise BuildError(f"{path}: x_{part} is {images.dtype}{list(images.shape)}; needed is uint8[images,{wanted}]")
    check_labels(path, f"y_{part}", labels, len(images))
