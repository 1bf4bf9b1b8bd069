"""Streams: beats of ``lanes`` channels of one pixel, lane 0 in the least significant bits, pixels in raster order."""

from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Value, signed, unsigned
from amaranth.lib import stream
from numpy.typing import NDArray

from ..ir.graph import Ints, IntType, TensorType


class Beats(NamedTuple):
    """What one beat of a stream holds."""

    lanes: int
    dtype: IntType


def lane_shape(dtype: IntType):
    return signed(dtype.bits) if dtype.signed else unsigned(dtype.bits)


def beats_of(lanes: int, dtype: IntType) -> stream.Signature:
    """A stream whose payload is ``lanes`` integers of ``dtype``.

    The payload is a plain vector: fields would give nets named ``payload[3]``, which abc9 of yosys 0.70 takes for bits.
    """
    return stream.Signature(unsigned(lanes * dtype.bits))  # pyright: ignore[reportArgumentType]


BYTES = stream.Signature(unsigned(8))  # pyright: ignore[reportArgumentType]


def split(beat: Value, lanes: int, dtype: IntType) -> list[Any]:
    """The lanes of a beat, or the fields of a memory word, as numbers of ``dtype``."""
    fields = [beat.word_select(lane, dtype.bits) for lane in range(lanes)]
    return [field.as_signed() for field in fields] if dtype.signed else fields


def beats_per_frame(tensor: TensorType, lanes: int) -> int:
    return tensor.pixels * -(-tensor.channels // lanes)


def pack(codes: Ints, tensor: TensorType, lanes: int) -> NDArray[np.uint32]:
    """Beats of ``codes``, (frames, *tensor.shape), as little-endian words, (beats, words); padding is zero."""
    channels, groups = tensor.channels, -(-tensor.channels // lanes)
    pixels = codes.reshape(-1, channels)
    padded = np.zeros((pixels.shape[0], groups * lanes), np.int64)
    padded[:, :channels] = pixels
    width = tensor.dtype.bits
    bits = (padded.reshape(-1, lanes, 1) >> np.arange(width)) & 1
    bits = bits.astype(np.uint8).reshape(-1, lanes * width)
    words = -(-lanes * width // 32)
    full = np.zeros((bits.shape[0], words * 32), np.uint8)
    full[:, : bits.shape[1]] = bits
    return np.packbits(full, axis=1, bitorder="little").view("<u4")


def unpack(words: NDArray[np.uint32], tensor: TensorType, lanes: int) -> Ints:
    """The inverse of :func:`pack`; what stands in padding lanes is dropped."""
    width, groups = tensor.dtype.bits, -(-tensor.channels // lanes)
    octets = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
    bits = np.unpackbits(octets, axis=1, bitorder="little")[:, : lanes * width]
    lanes_bits = bits.reshape(-1, width).astype(np.int64)
    values = (lanes_bits << np.arange(width)).sum(axis=1)
    if tensor.dtype.signed:
        values -= lanes_bits[:, -1] << width
    return values.reshape(-1, groups * lanes)[:, : tensor.channels].reshape(-1, *tensor.shape)
