"""What the stages are made of that move pixels and channels: windows, padding, pools, converters, forks."""

from collections.abc import Sequence
from functools import lru_cache, partial
from math import gcd

from ..ir.graph import TensorType
from .accumulators import BLOCK_CYCLES, BLOCK_REUSE
from .buffer import DEEPEST_LUT_RAM
from .count_functions import Finishing
from .count_parts import (
    Features,
    add_all,
    adder,
    bits_of,
    block_ram,
    chain,
    choice_tables,
    contest,
    features,
    lut_ram,
    many,
    queue,
    registers,
    walk,
)
from .counters import is_power_of_two
from .moves import (
    HELD,
    Action,
    Source,
    beats_of_pixel,
    lanes_in_use,
    place_lanes,
    plan_moves,
    shift_lanes,
    shortest_period,
    use_padding,
)
from .pool import Axis
from .sliding import Sliding

WIDEST_FRAME = 4096
"""Lanes whose moves are worked out one by one; beyond, those of the first pixels tell of the others."""


def loop_walk(counts: Sequence[int]) -> Features:
    """Of `loops.LoopWalk`."""
    found = features(register=1)
    for count in counts:
        if count > 1:
            bits = bits_of(count) if count > 2 else 0
            found = found + features(register=bits + 1, loop=bits, loops=1, flag=bits)
    return found


def window(
    counts: Sequence[int], places: int, x_width: int, y_width: int, padded: Sequence[int] = (), masked: int = 0
) -> Features:
    """Of `serial_window.WindowStage` but its queue. counts: of its loops; none where beats leave as they come. padded:
    bits of row and column where padding is told by them; masked: bits of lanes that stand for no channel."""
    is_block = places > DEEPEST_LUT_RAM
    words = 1 << max(1, (places - 1).bit_length())
    bits, loops = places.bit_length() + 1, sum(count > 1 for count in counts)
    pointers = add_all(
        (
            chain("point", bits, 5),  # the beat wanted, those written, the room left, two comparisons
            features(register=(6 if counts else 3) * bits + 6, picked=bits * loops, ranks=2 * bits, windows=1),
        )
    )
    places_of_padding = add_all(
        adder(size) + features(register=size, picked=size * loops, outside=size) for size in padded
    )
    reading = block_ram(words, x_width) if is_block else lut_ram(words, x_width, is_registered=True)
    found = loop_walk(counts) + pointers + places_of_padding + reading + features(register=y_width + 4)
    if padded:
        found = found + features(register=4 + 2 * is_block, padded=y_width, masked=masked)
    return found


def serial_window(
    sliding: Sliding, lanes: int, channels: int, groups: int, repeats: int, places: int | None, depth: int | None,
    by_channel: bool = False,
) -> Features:  # fmt: skip
    """channels: of a filter group."""
    beats = -(-channels // lanes)
    inner = (beats, *sliding.kernel) if by_channel else (groups, repeats, *sliding.kernel, beats)
    counts = (sliding.rows, sliding.columns, *inner)
    if sliding.kernel == sliding.stride == (1, 1):  # pixels come one after the other
        counts = inner if groups * repeats > 1 else ()
    bits, y_bits = sliding.image.dtype.bits, sliding.dtype.bits
    found = window(
        counts, places or guess_places(sliding, groups * beats), lanes * bits, lanes * y_bits, _padded_axes(sliding),
        (beats * lanes - channels) * y_bits,
    )  # fmt: skip
    latency = 4 if (places or guess_places(sliding, groups * beats)) > DEEPEST_LUT_RAM else 2
    return found + queue(depth or latency + 1, lanes * y_bits)


def guess_places(sliding: Sliding, pixel: int) -> int:
    """What a line buffer mostly holds, pixels of ``pixel`` beats: the lines of a window and the pixels beside it."""
    (rows, columns), (down, right) = sliding.kernel, sliding.dilation
    width = sliding.image.shape[1]
    lines = (rows - 1) * down * width + (columns - 1) * right + 1
    return min((lines + (sliding.stride[0] - 1) * width) * pixel, sliding.image.pixels * pixel)


def _padded_axes(sliding: Sliding) -> list[int]:
    top, left, bottom, right = sliding.padding
    sides = ((top, bottom, sliding.image.shape[0]), (left, right, sliding.image.shape[1]))
    return [(size + before + after).bit_length() for before, after, size in sides if before or after]


def parallel_window(sliding: Sliding, lanes: int, repeats: int, depth: int | None) -> Features:
    """Of `parallel_window.ParallelWindowStage`."""
    rows, width, channels = sliding.kernel[0], sliding.image.shape[1], sliding.image.channels
    taps, bits, y_bits = sliding.taps, sliding.image.dtype.bits, sliding.dtype.bits
    beats = -(-taps * channels // lanes)
    is_block = rows > 1 and width > DEEPEST_LUT_RAM
    gap = (width * sliding.stride[0]).bit_length()
    found = walk(sliding.columns, sliding.rows, is_addressed=False) + walk(beats, repeats, is_addressed=False)
    found = found + chain("point", gap) + features(register=gap + 4 + taps, flag=gap, picked=gap, parallels=1)
    found = found + features(register=taps * channels * bits)
    if rows > 1 and width > 1:
        size = (rows - 1) * channels * bits
        found = found + (block_ram(width, size) if is_block else lut_ram(width, size))
        found = found + walk(width)
    found = found + features(padded=_outside(sliding) * channels * y_bits)
    if beats > 1:
        used = min(lanes * beats, taps * channels) * y_bits
        found = found + features(register=lanes * y_bits, chosen=used - lanes * y_bits, choices=lanes * y_bits)
    if int(sliding.ends[-1]) >= sliding.image.pixels:
        found = found + walk(sliding.image.pixels)
    return found + queue(depth or 4, lanes * y_bits)


def _outside(sliding: Sliding) -> int:
    """Taps that can lie outside the image."""
    top, left, bottom, right = sliding.padding
    rows, columns = sliding.kernel
    inside = max(0, rows - top - bottom) * max(0, columns - left - right)
    return rows * columns - inside


def pad(source: TensorType, lanes: int, y_bits: int, sides: Sequence[int], depth: int | None) -> Features:
    height, width, channels = source.shape
    beats = -(-channels // lanes)
    counts = (height + sides[0] + sides[2], width + sides[1] + sides[3], beats)
    places = [(size + 2).bit_length() for size in (height, width)]
    found = loop_walk(counts) + add_all(adder(size) + features(register=size, picked=2 * size) for size in places)
    masked = (beats * lanes - channels) * y_bits
    return (
        found
        + features(register=lanes * y_bits + 5, padded=lanes * y_bits, masked=masked, pads=1)
        + queue(depth or 3, lanes * y_bits)
    )


def pool(
    axes: tuple[Axis, Axis], groups: int, lanes: int, x_bits: int, word_bits: int, finish: Finishing, *, is_max: bool,
    depth: int | None,
) -> Features:  # fmt: skip
    """Of `pool.PoolStage`."""
    rows, columns = axes
    sizes = [groups, _told_apart(columns), _told_apart(rows), columns.windows]
    found = add_all(walk(size) for size in sizes)
    found = found + features(register=6, flag=2 * sum(bits_of(size) for size in sizes[1:3]), pools=1)
    words = columns.windows * groups
    is_block = words > DEEPEST_LUT_RAM
    is_split = is_block and groups < BLOCK_REUSE and not columns.is_single
    places = (1 << bits_of(columns.windows)) * (1 << bits_of(groups))
    found = found + _accumulators(places, lanes, word_bits, is_max, is_block)
    if is_split:
        found = found + _accumulators(1 << bits_of(groups), lanes, word_bits, is_max, False)
    counted = finish.count(lanes)
    reduced = (BLOCK_CYCLES if is_block else 1) + is_split
    taken = max(1, counted.lead - reduced)
    latency = taken + reduced + counted.cycles + 1
    found = found + registers(lanes * x_bits, taken) + counted.features
    found = found + features(register=latency - 1 + (2 + bits_of(words)) * (taken + is_block * 3))
    return found + queue(depth or latency + 1, lanes * finish.y_type.bits)


def _told_apart(axis: Axis) -> int:
    """Of the places along an axis, as many as a counter of them needs: all, or, where they are a power of two, those
    after which they repeat."""
    places = axis.inside + 2 * axis.first + 4 * axis.last
    return shortest_period(places.tolist()) if is_power_of_two(len(places)) else len(places)


def _accumulators(words: int, lanes: int, bits: int, is_max: bool, is_block: bool) -> Features:
    width = lanes * bits
    found = features(register=width, begun=width)
    combined = contest(bits) + features(mux=bits) if is_max and bits > 1 else adder(bits)
    found = found + many(features(ripple=bits) if is_max and bits == 1 else combined, lanes)
    if words > 1:
        found = found + (block_ram(words, width) + registers(width, 3) if is_block else lut_ram(words, width))
    return found


def _repeated(made: int, pixels: int, lanes_in: int, read: int, read_pixels: int, lanes_out: int) -> tuple[int, ...]:
    """What repeats of a conversion, or the first pixels where that is long: channels and pixels at each end."""
    if made == read:
        return made, 1, read, 1
    if made % lanes_in == 0 == read % lanes_out:  # without a ragged beat, lanes are all that counts
        together = lanes_in * lanes_out // gcd(lanes_in, lanes_out)
        return together, 1, together, 1
    if made % read == 0 or read % made == 0:
        return made, max(1, read // made), read, max(1, made // read)
    if made * pixels > WIDEST_FRAME:
        together = made * max(1, WIDEST_FRAME // made)
        return together, 1, together, 1
    return made, pixels, read, read_pixels


@lru_cache(maxsize=200_000)
def _moves(made: int, pixels: int, lanes_in: int, read: int, read_pixels: int, lanes_out: int) -> tuple[int, ...]:
    """Of a conversion: lanes held, lookup tables of four and of six inputs that choose a bit of each, flags that say
    which slots load what, slots, lanes that are hidden at times."""
    made, pixels, read, read_pixels = _repeated(made, pixels, lanes_in, read, read_pixels, lanes_out)
    beats = beats_of_pixel("x", made, lanes_in) * pixels
    needed = lanes_in_use(read, lanes_out) * read_pixels
    beats, needed = use_padding(beats, needed, -made % lanes_in, lanes_out)
    moves = plan_moves(beats, needed)
    actions = shift_lanes(moves, needed, lanes_out) or place_lanes(moves, lanes_out)
    lanes = len(actions[0].lanes)
    choices = _choices(actions, lanes)
    flags = {frozenset(slots) for found in choices for slots in found.values()}
    values = [len(found) - ((HELD, lane) in found) for lane, found in enumerate(choices)]
    hidden = sum(any(action.starts and action.shown <= lane for action in actions) for lane in range(lanes_out))
    four, six = (sum(map(partial(choice_tables, inputs), values)) for inputs in (4, 6))
    return lanes, four, six, len(flags), len(actions), hidden


def _choices(actions: Sequence[Action], lanes: int) -> list[dict[Source, list[int]]]:
    """For each lane, by what it becomes, the actions that make that of it; equal actions are one."""
    found: list[dict[Source, list[int]]] = [{} for _ in range(lanes)]
    for number, action in enumerate(dict.fromkeys(actions)):
        for choices, source in zip(found, action.lanes):
            if source is not None:
                choices.setdefault(source, []).append(number)
    return found


def convert(made: TensorType, lanes_in: int, read: TensorType, lanes_out: int, depth: int | None = None) -> Features:
    """Of a `convert.ConvertStage` with its queue."""
    found = _moves(made.channels, made.pixels, lanes_in, read.channels, read.pixels, lanes_out)
    return _converter(found, made.dtype.bits, lanes_out, depth)


def conversion_slots(made: TensorType, lanes_in: int, read: TensorType, lanes_out: int) -> int:
    """What a frame of it takes."""
    ends = made.channels, made.pixels, lanes_in, read.channels, read.pixels, lanes_out
    channels, pixels, *_ = _repeated(*ends)
    return -(-_moves(*ends)[4] * made.channels * made.pixels // (channels * pixels))


def _converter(found: Sequence[int], bits: int, lanes_out: int, depth: int | None) -> Features:
    lanes, four, six, flags, slots, hidden = found
    place = bits_of(slots)
    counts = features(
        register=lanes * bits + place + 3, chosen4=four * bits, chosen6=six * bits, flags=flags,
        wide_flags=flags * max(0, place - 4), masked=hidden * bits, converters=1,
    ) + chain("count", place)  # fmt: skip
    return counts + queue(depth or 3, lanes_out * bits)


def join(
    sources: Sequence[TensorType], lanes: Sequence[int], bits: int, result: int, lanes_out: int, depth: int | None
) -> Features:
    """Of a Concat: as if its inputs came one after the other at one port."""
    made = sum(source.channels for source in sources)
    parts = [_moves(source.channels, 1, count, source.channels, 1, lanes_out) for source, count in zip(sources, lanes)]
    whole = _moves(made, 1, max(lanes), result, 1, lanes_out) if made == result else parts[0]
    slots = sum(part[4] for part in parts)
    several = lanes_out * bits * (len(sources) - 1)
    return _converter((*whole[:4], slots, whole[5]), bits, lanes_out, depth) + features(joined=several)


def crop(shape: Sequence[int], beats: int, width: int, depth: int | None) -> Features:
    height, columns = shape[:2]
    flags = features(register=2 + width + 1, flag=2 * (bits_of(height) + bits_of(columns)), stages=1)
    places = walk(columns, height, is_addressed=False)
    return walk(beats) + places + flags + queue(depth or 3, width)


def fork(width: int, depths: Sequence[int | None]) -> Features:
    return add_all(queue(depth or 2, width) for depth in depths) + features(forks=len(depths))


def buffer_of_lines(counts: Sequence[int], places: int, width: int, depth: int | None) -> Features:
    """Of Upsample2d and DepthToSpace, which are windows with other loops."""
    return window(counts, places, width, width) + queue(depth or (5 if places > DEEPEST_LUT_RAM else 3), width)


def argmax(channels: int, lanes: int, bits: int, y_bits: int, depth: int | None) -> Features:
    beats, levels = -(-channels // lanes), (lanes - 1).bit_length()
    index = bits_of(max(2, lanes))
    found = walk(beats) + contest(bits, lanes)
    entries = lanes
    for level in range(levels):  # the lowest bit of a winner's number is the last comparison
        entries = -(-entries // 2)
        found = found + features(register=entries * (bits + min(level + 1, index)), mux=entries * (bits + level))
    if beats > 1:
        # The number of a beat's first lane, and its sum with that of the winner: side by side where lanes are 2**n.
        is_aligned = is_power_of_two(lanes)
        base = bits_of(beats) if is_aligned else bits_of(beats * lanes)
        found = found + adder(base, 1 if is_aligned else 2) + features(register=base)
    found = found + features(register=bits + y_bits + 4 + lanes * bits)
    found = found + features(argmaxes=1, winners=lanes) + registers(3, levels + 1)
    return found + queue(depth or levels + 4, y_bits)
