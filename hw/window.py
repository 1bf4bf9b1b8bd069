# amaranth: UnusedElaboratable=no
"""Sliding windows over an image, as the parts that bring them to the stage that multiplies, sums or compares them."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..errors import PlanError
from ..ir.graph import Ints, TensorType
from ..ir.windows import NO_PADDING, Pair, Sides, count_windows, pad_image
from .loops import Loop, Nest
from .pad import PadStage
from .parallel_window import ParallelWindowStage
from .part import Part
from .serial_window import WindowStage
from .sliding import Sliding


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
    if by_channel:
        bring = partial(_by_channel, name, lanes=lanes)
    elif lanes <= channels // groups:
        bring = partial(_by_pixel, name, lanes=lanes, groups=groups, repeats=repeats)
    else:
        _check_parallel(name, lanes, groups, sliding)
        bring = partial(_at_once, name, lanes=lanes, repeats=repeats)
    if sliding.is_in_order:
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


def _at_once(name: str, sliding: Sliding, *, lanes: int, repeats: int) -> Part:
    stage = ParallelWindowStage(sliding, lanes, repeats)

    def view(codes: Ints) -> Ints:
        windows = sliding.cut(codes).reshape(len(codes), sliding.places, 1, -1)
        return windows.repeat(repeats, axis=2).reshape(len(codes), sliding.places * repeats, -1)

    makes = TensorType((sliding.places * repeats, sliding.taps * sliding.image.channels), stage.y_type)
    return Part(f"{name}_window", stage, (sliding.image,), makes, view)


def _check_parallel(name: str, lanes: int, groups: int, sliding: Sliding) -> None:
    channels = sliding.image.channels // groups
    if groups > 1 or sliding.dilation != (1, 1):
        why = f"{groups} groups" if groups > 1 else "dilation"
        raise PlanError(
            f"{name}: simd {lanes} takes more than a pixel's {channels} inputs, which a convolution with {why} cannot; "
            f"lower simd to {channels} or less"
        )
    if lanes > sliding.taps * channels:
        raise PlanError(
            f"{name}: simd {lanes}, but its windows have {sliding.taps * channels} inputs; "
            f"lower simd to {sliding.taps * channels} or less"
        )


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
