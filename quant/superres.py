"""Pairs of small and large image tiles for super-resolution, and what bicubic interpolation makes of the small ones."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from .archives import read_all
from .images import Images

TEST_NAME = "sr_set5.npz"
LUMINANCE = np.array([65.481, 128.553, 24.966]) / 255  # of BT.601, from 16 to 235
Pairs = tuple[NDArray, NDArray, NDArray, NDArray, NDArray]


def load_superres(path: Path, size: int, factor: int, margin: int) -> Pairs:
    """Training tiles of ``path``, test tiles of sr_set5.npz beside it, and the latter by bicubic interpolation.

    Small tiles are (1, size, size), uint8; large ones float32 from 0 to 1. Training tiles overlap by half; test tiles
    so that what is left of the large ones without ``margin`` pixels at the edge lies side by side.
    """
    train = _cut_all(path, size, size // 2, factor)
    test = _cut_all(path.with_name(TEST_NAME), size, size - 2 * margin // factor, factor)
    order = np.random.default_rng(0).permutation(len(train[0]))  # so that the first ones are of all images
    return train[0][order], train[1][order], test[0], test[1], test[2]


def enlarge_digits(images: Images, factor: int) -> Pairs:
    """The same of images (images, 1, height, width), which are the large ones."""
    train, test = ([_pair(image[0], factor) for image in part] for part in (images.train, images.test))
    return (*(_stack(train, i) for i in (0, 1)), *(_stack(test, i) for i in (0, 1, 2)))  # type: ignore[return-value]


def resize(image: NDArray, rows: int, columns: int) -> NDArray[np.float64]:
    """Bicubic interpolation of an image (height, width), smoothed before it is made smaller."""
    return _resize_rows(_resize_rows(image, rows).T, columns).T


def _resize_rows(image: NDArray, rows: int) -> NDArray[np.float64]:
    """Keys' cubic with a = -0.5 along the first axis, edges repeated by reflection."""
    inputs = len(image)
    stretch = max(1.0, inputs / rows)
    centres = (np.arange(rows) + 0.5) * inputs / rows - 0.5
    reach = int(np.ceil(2 * stretch)) + 1
    places = np.floor(centres)[:, None].astype(int) + np.arange(-reach, reach + 1)
    distances = np.abs(places - centres[:, None]) / stretch
    near = 1.5 * distances**3 - 2.5 * distances**2 + 1
    far = -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2
    weights = np.where(distances < 1, near, np.where(distances < 2, far, 0))
    weights /= weights.sum(axis=1, keepdims=True)
    places %= 2 * inputs
    reflected = np.where(places < inputs, places, 2 * inputs - 1 - places)
    # Not a matrix product: how BLAS sums depends on its threads, and so would the rounded pixels.
    return np.einsum("otc,ot->oc", image[reflected], weights)


def _cut_all(path: Path, size: int, step: int, factor: int) -> list[NDArray]:
    tiles = [tile for image in _read_images(path) for tile in _cut(image, size, step, factor)]
    if not tiles:
        raise BuildError(f"{path}: no image has {size * factor} x {size * factor} pixels; give larger ones")
    return [_stack(tiles, i) for i in range(3)]


def _cut(image: NDArray, size: int, step: int, factor: int) -> list[tuple[NDArray, ...]]:
    rows, columns = (length // factor for length in image.shape)
    pair = _pair(image[: rows * factor, : columns * factor], factor)
    return [
        tuple(
            part[row * scale : (row + size) * scale, column * scale : (column + size) * scale]
            for part, scale in zip(pair, (1, factor, factor))
        )
        for row in range(0, rows - size + 1, step)
        for column in range(0, columns - size + 1, step)
    ]


def _pair(image: NDArray, factor: int) -> tuple[NDArray, NDArray, NDArray]:
    """The small image as pixels, and the large one and its bicubic imitation from 0 to 1."""
    rows, columns = image.shape
    small = np.clip(np.rint(resize(image, rows // factor, columns // factor)), 0, 255)
    large, imitation = image / 255, np.clip(resize(small, rows, columns), 0, 255) / 255
    return small.astype(np.uint8), large.astype(np.float32), imitation.astype(np.float32)


def _stack(tiles: list[tuple[NDArray, ...]], index: int) -> NDArray:
    return np.stack([tile[index] for tile in tiles])[:, None]


def _read_images(path: Path) -> list[NDArray]:
    """The luminance of the archive's images, rounded to pixels."""
    arrays = {name: array for name, array in read_all(path).items() if name.startswith("im")}
    if not arrays:
        raise BuildError(
            f"{path}: holds no images im000, im001, ...; give --data sr_t91.npz, with {TEST_NAME} beside it"
        )
    for name, array in arrays.items():
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
            raise BuildError(f"{path}: {name} is {array.dtype}{list(array.shape)}; needed is uint8[height,width,3]")
    return [np.rint(arrays[name] @ LUMINANCE + 16) for name in sorted(arrays)]
