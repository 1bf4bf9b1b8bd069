"""Sums of integer products by BLAS, in floats wide enough to be exact."""

import numpy as np
from numpy.typing import DTypeLike

from .graph import Bounds, Ints


def exact_dtype(largest_sum: int) -> DTypeLike:
    """The fastest type in which sums are exact, in whatever order BLAS adds, if all stay within ``largest_sum``."""
    if largest_sum < 2**24:
        return np.float32
    return np.float64 if largest_sum < 2**53 else np.int64


def largest_magnitude(x: Ints) -> int:
    return max(int(x.max()), -int(x.min())) if x.size else 0


def largest_sum(weights: Ints, largest_input: int) -> int:
    """An upper bound of every partial sum of one output's products; ``weights`` (outputs, ...)."""
    widest = largest_magnitude(weights)
    rows = weights.reshape(len(weights), -1)
    if widest < 2**31:  # then this sum cannot overflow
        return int(np.abs(rows).sum(axis=1).max()) * largest_input
    return widest * rows.shape[1] * largest_input


def reach_of_products(weights: Ints, low: Ints, high: Ints) -> Bounds:
    """Bounds of the sum over the last axis of ``weights`` times independent values in low .. high."""
    rising, falling = np.maximum(weights, 0), np.minimum(weights, 0)
    return Bounds(
        (rising * low + falling * high).sum(axis=-1),
        (rising * high + falling * low).sum(axis=-1),
    )
