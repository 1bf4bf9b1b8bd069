"""Images for tests of operators: all there are, random ones, and PyTorch's answer for them."""

from itertools import product

import numpy as np
import pytest

from espalier.ir import Bounds, Ints, IntType, Node, TensorType

WIDE = IntType(62, signed=True)


def image_type(*shape: int, bits: int = 4) -> TensorType:
    return TensorType(shape, IntType(bits))


def random_images(*shape: int, low: int = -8, high: int = 7, seed: int = 0) -> Ints:
    """Shape (frames, height, width, channels), all values from low to high."""
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True)


def all_images(*shape: int, low: int = 0, high: int = 1) -> Ints:
    """Every image of that shape, (frames, *shape), with values from low to high."""
    return np.array(list(product(range(low, high + 1), repeat=int(np.prod(shape))))).reshape(-1, *shape)


def check_bounds(node: Node, *inputs: Ints) -> None:
    """The bounds are what the results of ``inputs``, all there are, reach."""
    found = node.bounds(*(Bounds(x.min(axis=(0, 1, 2)), x.max(axis=(0, 1, 2))) for x in inputs))
    y = node.evaluate(*inputs)
    np.testing.assert_array_equal(found.low, y.min(axis=(0, 1, 2)))
    np.testing.assert_array_equal(found.high, y.max(axis=(0, 1, 2)))


def in_torch(function, x: Ints, **options) -> Ints:
    """``function`` of PyTorch, which takes and returns channels first, on ``x`` as float64."""
    torch = pytest.importorskip("torch")
    channels_first = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)
    return function(channels_first, **options).permute(0, 2, 3, 1).numpy().astype(np.int64)


def weights_in_torch(weights: Ints):
    """(outputs, rows, columns, inputs) as PyTorch has them."""
    torch = pytest.importorskip("torch")
    return torch.tensor(weights, dtype=torch.float64).permute(0, 3, 1, 2)
