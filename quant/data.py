"""The data sets of the recipes in memory: the archive that a recipe needs, and what its task makes of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from .images import Images, load_cifar10, load_digits, load_mnist
from .recipes import Recipe
from .speech import load_speech
from .superres import enlarge_digits, load_superres

DIGITS = Path("digits")  # in the place of a data file: scikit-learn's digits, which every recipe can be tried on


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs (images, ...) as the model takes them, float32 or uint8.

    Targets are what it should return, float32, or labels, int64; baseline is what it has to beat on the test set.
    """

    train_inputs: NDArray
    train_targets: NDArray
    test_inputs: NDArray
    test_targets: NDArray
    baseline: NDArray | None = None

    def digest(self) -> str:
        hasher = hashlib.sha256()
        for array in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets):
            hasher.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()


# The archive that holds each data set, and who reads it.
FILES: dict[str, tuple[str, Callable[[Path], Images]]] = {
    "mnist": ("mnist.npz", load_mnist),
    "cifar10": ("cifar10.npz", load_cifar10),
    "fsdd": ("fsdd.npz", load_speech),
}


def load_dataset(recipe: Recipe, path: Path | None) -> Dataset:
    """The data of ``recipe``, from the archive ``path`` or that of the usual name in the folder ``path``.

    The path ``digits`` stands for scikit-learn's digits, brought to the size that the network takes. Raises BuildError.
    """
    name = "sr_t91.npz" if recipe.dataset == "superres" else FILES.get(recipe.dataset, ("",))[0]
    if recipe.dataset == "digits" and path not in (None, DIGITS):
        raise BuildError(f"{recipe.name}: brings its own data, scikit-learn's digits; leave --data away")
    if recipe.dataset != "digits" and path is None:
        raise BuildError(
            f"{recipe.name}: needs --data {name} or its folder; to try it without, --data digits takes scikit-learn's "
            "8x8 digits, enlarged"
        )
    if path is not None and path != DIGITS and path.is_dir():
        path = path / name
    dataset = _load_pairs(recipe, path) if recipe.task == "enlarge" else _load_images(recipe, path)
    count = recipe.images
    return replace(dataset, train_inputs=dataset.train_inputs[:count], train_targets=dataset.train_targets[:count])


def _load_images(recipe: Recipe, path: Path | None) -> Dataset:
    given = recipe.network.input
    if path is None or path == DIGITS:
        images = load_digits(given)
    else:
        images = FILES[recipe.dataset][1](path).shaped(given.shape)
        if given.high == 1 and images.train.dtype == np.uint8:
            images = images.divided(255)
    return _MADE[recipe.task](images)


def _load_pairs(recipe: Recipe, path: Path | None) -> Dataset:
    shapes = recipe.network.shapes()
    size, large = recipe.network.input.shape[1], shapes[recipe.network.layers[-1].name][1]
    if path is None or path == DIGITS:
        pairs = enlarge_digits(load_digits(replace(recipe.network.input, shape=(1, large, large))), large // size)
    else:
        pairs = load_superres(path, size, large // size, recipe.margin)
    return Dataset(*pairs)


def _classify(images: Images) -> Dataset:
    return Dataset(images.train, images.train_labels, images.test, images.test_labels)


def _copy(images: Images) -> Dataset:
    return Dataset(images.train, _unit(images.train), images.test, _unit(images.test))


def _segment(images: Images) -> Dataset:
    """Noisy images; what is to be found is where the clean ones are bright, and the baseline is where the noisy are."""
    rng = np.random.default_rng(0)
    train, test = (_add_noise(part, rng) for part in (images.train, images.test))
    masks = [(part > 127).astype(np.float32) for part in (images.train, images.test)]
    return Dataset(train, masks[0], test, masks[1], baseline=_unit(test) - np.float32(0.5))


def _add_noise(images: NDArray, rng: np.random.Generator) -> NDArray:
    noise = rng.standard_normal(images.shape, np.float32) * 90
    return np.clip(np.rint(images * np.float32(0.6) + 50 + noise), 0, 255).astype(np.uint8)


def _unit(images: NDArray) -> NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)


_MADE: dict[str, Callable[[Images], Dataset]] = {"classify": _classify, "copy": _copy, "segment": _segment}
