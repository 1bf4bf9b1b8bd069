"""Where the elements of the model's tensors lie among the integers of the graph, whose tensors are channels last."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import prod

import numpy as np
from numpy.typing import NDArray

from .chain import Step

Places = NDArray[np.int32]
Arrangement = Callable[[Places], Places]  # from a model's shape to that of a graph's tensor


@lru_cache(maxsize=64)
def positions(shape: tuple[int, ...]) -> Places:
    """0, 1, ... in C order of ``shape``."""
    found = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    found.setflags(write=False)
    return found


@dataclass(frozen=True, eq=False)
class Layout:
    """``places``, of the model's shape without batch axis: the position of each element in C order of ``shape``, which
    is the shape of the graph's tensor, (channels,) or (height, width, channels).
    """

    shape: tuple[int, ...]
    places: Places

    @property
    def model_shape(self) -> tuple[int, ...]:
        return self.places.shape

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @property
    def pixels(self) -> int:
        return prod(self.shape[:-1])

    @property
    def image(self) -> tuple[int, int, int]:
        """(height, width, channels) of the graph's tensor, which has pixels."""
        height, width, channels = self.shape
        return height, width, channels

    def moved(self, move: Arrangement) -> "Layout":
        return Layout(self.shape, move(self.places))

    def per_channel(self, constant: NDArray) -> NDArray | None:
        """``constant``, which broadcasts to the model's shape, as a scalar or (channels,); None if pixels differ."""
        if constant.ndim == 0:
            return constant
        ordered = np.empty(self.places.size, dtype=constant.dtype)
        ordered[self.places.ravel()] = np.broadcast_to(constant, self.model_shape).ravel()
        rows = ordered.reshape(-1, self.channels)
        return rows[0] if (rows == rows[0]).all() else None

    def to_model(self) -> tuple[Step, ...]:
        """The steps with which the host brings data of ``shape`` into the model's shape."""
        return moving_steps(positions(self.shape), self.places)


def plain_layout(shape: tuple[int, ...]) -> Layout:
    return Layout(shape, positions(shape))


def inverse(places: Places) -> Places:
    """(size,): where in C order each place is found."""
    found = np.empty(places.size, dtype=np.int32)
    found[places.ravel()] = np.arange(places.size, dtype=np.int32)
    return found


def channels_first(places: Places) -> Places:
    """(channels, ...) as (height, width, channels); sequences are one row of pixels."""
    if places.ndim == 2:
        return places.T[None]
    return places.transpose(1, 2, 0) if places.ndim == 3 else places.reshape(-1)


def channels_last(places: Places) -> Places:
    """(..., channels) as (height, width, channels); sequences are one row of pixels."""
    if places.ndim == 2:
        return places[None]
    return places if places.ndim == 3 else places.reshape(-1)


def flat(places: Places) -> Places:
    return places.reshape(-1)


def image_layout(shape: tuple[int, ...], like: Places, arrange: Arrangement) -> Layout:
    """That of a new tensor of ``shape`` which the model holds as it holds ``like``, an argument of ``arrange``."""
    _, width, channels = shape
    places = positions(shape)
    if arrange is channels_last:
        return Layout(shape, places if like.ndim == 3 else places.reshape(width, channels))
    return Layout(shape, places.transpose(2, 0, 1) if like.ndim == 3 else places.reshape(width, channels).T)


def moving_steps(before: Places, after: Places) -> tuple[Step, ...]:
    """Steps from data of the shape of ``before`` to that of ``after``, both of the same places."""
    if before.ndim <= 4:
        for order in permutations(range(before.ndim)):
            moved = before.transpose(order)
            if np.array_equal(moved.ravel(), after.ravel()):
                return (*_transpose(order, before.shape), *_reshape(moved.shape, after.shape))
    index = np.empty(before.size, dtype=np.int64)
    index[before.ravel()] = np.arange(before.size)
    return (Step("Gather", (index[after.ravel()],)), *_reshape((after.size,), after.shape))


def _transpose(order: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Step, ...]:
    moved = [axis for axis in order if shape[axis] > 1]
    if moved == sorted(moved):  # only axes of one element move: the reshape after it does that
        return _reshape(shape, tuple(shape[axis] for axis in order))
    return (Step("Transpose", (np.array([0, *(axis + 1 for axis in order)]),)),)


def _reshape(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[Step, ...]:
    return () if before == after else (Step("Reshape", (np.array(after, dtype=np.int64),)),)


def compact(constant: NDArray) -> NDArray:
    """The same to whatever it is broadcast to, with one element along every axis whose elements are equal."""
    for axis, size in enumerate(constant.shape):
        first = constant.take([0], axis=axis)
        if size > 1 and (constant == first).all():
            constant = first
    return constant.reshape(()) if constant.size == 1 else constant


def move_constant(constant: NDArray, before: tuple[int, ...], move: Arrangement) -> NDArray:
    """A constant that broadcasts to data of shape ``before``, after the data has been moved."""
    return constant if constant.ndim == 0 else compact(move(np.broadcast_to(constant, before)))
