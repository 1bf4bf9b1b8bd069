# amaranth: UnusedElaboratable=no
"""Sliding windows over an image, as the parts that bring them to the stage that multiplies, sums or compares them."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..errors import PlanError
from ..ir.graph import Ints, IntType, TensorType
from ..ir.windows import NO_PADDING, Pair, Sides, count_windows, pad_image, view_windows
from .loops import Loop, Nest
from .pad import PadStage
from .part import Part
from .serial_window import WindowStage


@dataclass(frozen=True)
class Sliding:
    """Windows of ``rows`` x ``columns`` places on an image (height, width, channels)."""

    image: TensorType
    rows: int
    columns: int
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Sides
    pad_value: int

    @property
    def dtype(self) -> IntType:
        """Holds the padding too."""
        dtype, value = self.image.dtype, self.pad_value if any(self.padding) else 0
        return IntType.of_range(min(dtype.low, value), max(dtype.high, value))

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def places(self) -> int:
        return self.rows * self.columns

    def cut(self, codes: Ints) -> Ints:
        """(frames, height, width, channels) becomes (frames, rows, columns, *kernel, channels)."""
        return view_windows(pad_image(codes, self.padding, self.pad_value), self.kernel, self.stride, self.dilation)

    def pad(self) -> "Sliding":
        """The same windows over the padded image."""
        height, width, channels = self.image.shape
        top, left, bottom, right = self.padding
        image = TensorType((height + top + bottom, width + left + right, channels), self.dtype)
        return replace(self, image=image, padding=NO_PADDING)


def sliding_window(
    name: str,
    source: TensorType,
    lanes: int,
    kernel: Pair,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: Sides = NO_PADDING,
    pad_value: int = 0,
    *,
    groups: int = 1,
    repeats: int = 1,
    by_channel: bool = False,
) -> list[Part]:
    """The parts that bring the windows of an image (height, width, channels), beat after beat, to the unit ``name``.

    For each window, and each of ``groups`` filter groups, ``repeats`` times: its pixels in raster order, each in beats
    of ``lanes`` channels; or, with more lanes than a pixel has channels, the flat window in beats of so many.
    by_channel: for each window, and each group of ``lanes`` channels, these of all its pixels. Raises PlanError.
    """
    height, width, channels = source.shape
    rows, columns = count_windows(name, (height, width), kernel, stride, dilation, padding)
    sliding = Sliding(source, rows, columns, kernel, stride, dilation, padding, pad_value)
    if not by_channel and lanes > channels // groups:
        raise PlanError(f"{name}: {lanes} lanes")
    if by_channel:
        bring = partial(_by_channel, name, lanes=lanes)
    else:
        bring = partial(_by_pixel, name, lanes=lanes, groups=groups, repeats=repeats)
    if _is_in_order(sliding):
        return [bring(sliding)]
    padded = sliding.pad()
    stage = PadStage(source, min(lanes, channels), padding, pad_value, padded.image.dtype)

    def pad(codes: Ints) -> Ints:
        return pad_image(codes, padding, pad_value)

    part = bring(padded)
    windows_of = part.view
    assert windows_of
    part = replace(part, view=lambda codes: windows_of(pad(codes)))
    return [Part(f"{name}_pad", stage, (source,), padded.image, pad), part]


def _is_in_order(sliding: Sliding) -> bool:
    """Whether no window starts so far beyond the image that pixels would become free out of their order."""
    height, width, _ = sliding.image.shape
    return (sliding.rows - 1) * sliding.stride[0] < height and (sliding.columns - 1) * sliding.stride[1] < width


def _by_pixel(name: str, sliding: Sliding, *, lanes: int, groups: int, repeats: int) -> Part:
    height, width, channels = sliding.image.shape
    own = channels // groups  # of a filter group
    beats = -(-own // lanes)
    inner = Loop(groups, beats), Loop(repeats, 0), *_taps(sliding, groups * beats), Loop(beats, 1)
    nest = _nest(sliding, groups * beats, inner)
    stage = WindowStage(
        nest, lanes, sliding.image.dtype,
        pad_value=sliding.pad_value, grouping=len(nest.loops) - 1, kept=own - (beats - 1) * lanes,
    )  # fmt: skip

    def view(codes: Ints) -> Ints:
        windows = sliding.cut(codes)  # (frames, rows, columns, *kernel, channels)
        windows = windows.reshape(*windows.shape[:5], groups, own).transpose(0, 1, 2, 5, 3, 4, 6)
        return np.repeat(windows[:, :, :, :, None], repeats, axis=4).reshape(len(codes), -1, own)

    reads = TensorType((height, width * groups, own), sliding.image.dtype)
    makes = TensorType((sliding.places * groups * repeats * sliding.taps, own), stage.y_type)
    return Part(f"{name}_window", stage, (reads,), makes, view)


def _by_channel(name: str, sliding: Sliding, *, lanes: int) -> Part:
    """Lanes beyond the last channel count as channels, always zero, of what it makes."""
    channels = sliding.image.channels
    beats = -(-channels // lanes)
    nest = _nest(sliding, beats, (Loop(beats, 1), *_taps(sliding, beats)))
    stage = WindowStage(
        nest, lanes, sliding.image.dtype, pad_value=sliding.pad_value, grouping=2, kept=channels - (beats - 1) * lanes
    )

    def view(codes: Ints) -> Ints:
        windows = np.pad(sliding.cut(codes), (*[(0, 0)] * 5, (0, beats * lanes - channels)))
        windows = windows.reshape(*windows.shape[:5], beats, lanes).transpose(0, 1, 2, 5, 3, 4, 6)
        return windows.reshape(len(codes), -1, lanes)

    makes = TensorType((sliding.places * beats * sliding.taps, lanes), stage.y_type)
    return Part(f"{name}_window", stage, (sliding.image,), makes, view)


def _taps(sliding: Sliding, pixel: int) -> tuple[Loop, Loop]:
    """The pixels of a window, each of ``pixel`` beats."""
    (rows, columns), (down, right) = sliding.kernel, sliding.dilation
    return Loop(rows, down * sliding.image.shape[1] * pixel, y=down), Loop(columns, right * pixel, x=right)


def _nest(sliding: Sliding, pixel: int, inner: tuple[Loop, ...]) -> Nest:
    """All windows, with the loops ``inner`` for each of them; after it, the pixels before the next one are free."""
    height, width, _ = sliding.image.shape
    down, right = sliding.stride
    outer = Loop(sliding.rows, down * width * pixel, y=down), Loop(sliding.columns, right * pixel, x=right)
    top, left, _, _ = sliding.padding
    return Nest(
        height * width * pixel, (*outer, *inner), len(outer),
        start=-(top * width + left) * pixel, corner=(-top, -left), size=(height, width),
    )  # fmt: skip
