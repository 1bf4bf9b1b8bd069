"""The data sets of the recipes, as float32 arrays in memory."""

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from .recipes import Recipe

MNIST_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs of shape (images, values), float32, from 0 to the recipe's peak; labels of shape (images,), int64."""

    train_inputs: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[np.float32]
    test_labels: NDArray[np.int64]

    def digest(self) -> str:
        hasher = hashlib.sha256()
        for array in (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels):
            hasher.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()


def load_dataset(recipe: Recipe, path: Path | None) -> Dataset:
    """The data of ``recipe``; ``path`` is the file of those that bring none. Raises BuildError."""
    if recipe.dataset == "digits":
        if path is not None:
            raise BuildError(f"{recipe.name}: brings its own data, scikit-learn's digits; leave --data away")
        return _load_digits()
    if path is None:
        raise BuildError(f"{recipe.name}: needs --data mnist.npz, an archive of {', '.join(MNIST_KEYS)}")
    return _load_mnist(path)


def _load_digits() -> Dataset:
    from sklearn.datasets import load_digits  # takes a second to import

    images, labels = load_digits(return_X_y=True)
    images, labels = np.asarray(images, np.float32), np.asarray(labels, np.int64)
    # Neighbours are by the same writer, so every fourth image is a fair sample of all writers.
    is_test = np.arange(len(labels)) % 4 == 3
    return Dataset(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


def _load_mnist(path: Path) -> Dataset:
    arrays = _read_archive(path)
    missing = [key for key in MNIST_KEYS if key not in arrays]
    if missing:
        raise BuildError(f"{path}: has no {', '.join(missing)}; needed are {', '.join(MNIST_KEYS)}")
    for part in ("train", "test"):
        _check_part(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    inputs = [arrays[f"x_{part}"].reshape(-1, 784).astype(np.float32) / np.float32(255) for part in ("train", "test")]
    labels = [arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
    return Dataset(inputs[0], labels[0], inputs[1], labels[1])


def _read_archive(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in MNIST_KEYS if key in archive}
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror or error}); give --data an existing npz") from None
    except (ValueError, AttributeError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise BuildError(f"{path}: is not a readable npz archive of plain arrays ({error})") from None


def _check_part(path: Path, part: str, images: NDArray, labels: NDArray) -> None:
    if images.ndim < 2 or images[0:1].size != 784 or images.dtype != np.uint8:
        raise BuildError(f"{path}: x_{part} is {images.dtype}{list(images.shape)}; needed is uint8[images,28,28]")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise BuildError(f"{path}: y_{part} is {labels.dtype}{list(labels.shape)}; needed are {len(images)} integers")
    if not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        raise BuildError(f"{path}: y_{part} runs from {labels.min()} to {labels.max()}; needed are labels 0 to 9")
