"""The static order in which beats are collected and handed out again: what each slot takes, holds and starts."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir.graph import TensorType

LONGEST_BLOCK = 512
"""Moves that a block of ``find_blocks`` holds at most if it is repeated."""

SHORT = 16
"""A table of so many moves is cheaper than a counter of repeats; each block saves half of that at least."""


@dataclass(frozen=True)
class Beat:
    """A beat that comes at ``port``, of whose lanes ``count`` are kept, from lane ``first`` on; 0: it is dropped."""

    port: str
    first: int
    count: int


@dataclass(frozen=True)
class Move:
    """One slot: the lanes held before it, the beats it takes, all at once, and the lanes in use of the beat it starts.

    started: 0 where it starts none.
    """

    held: int
    taken: tuple[Beat, ...]
    started: int


Source = tuple[str, int]
"""What a held lane becomes: a lane of the beat at a port, or of HELD, those held already."""

HELD = ""
ZERO: Source = ("", -1)


@dataclass(frozen=True)
class Action:
    """One slot for the hardware: the ports it takes from, whether it starts a beat, and what each held lane becomes.

    lanes: None where it does not matter. The beat that is started is then the lowest of them, up to ``shown``: those
    above are zero in the beat, whatever they hold for later.
    """

    takes: tuple[str, ...]
    starts: bool
    lanes: tuple[Source | None, ...]
    shown: int


@dataclass(frozen=True)
class Block:
    """Moves ``start`` to ``start + length`` of a table, ``repeats`` times."""

    start: int
    length: int
    repeats: int


def beats_of_pixel(port: str, channels: int, lanes: int) -> list[Beat]:
    return [Beat(port, 0, count) for count in lanes_in_use(channels, lanes)]


def lanes_in_use(channels: int, lanes: int) -> list[int]:
    """Of each beat of a pixel."""
    full, rest = divmod(channels, lanes)
    return [lanes] * full + [rest] * (rest > 0)


def conversion(made: TensorType, lanes_in: int, read: TensorType, lanes_out: int) -> tuple[list[Beat], list[int], int]:
    """The beats of a tensor as made, the lanes in use of its beats as read, and how often a frame repeats them."""
    beats, needed = beats_of_pixel("x", made.channels, lanes_in), lanes_in_use(read.channels, lanes_out)
    if made.channels == read.channels:
        return beats, needed, made.pixels
    return beats * made.pixels, needed * read.pixels, 1


def use_padding(beats: Sequence[Beat], needed: Sequence[int], spare: int, lanes: int) -> tuple[list[Beat], list[int]]:
    """The same with the ``spare`` zeros above the last beat kept as if they were channels, as far as the last of the
    beats to be made, of ``lanes`` lanes, has room: what need not be masked costs nothing."""
    extra = min(spare, lanes - needed[-1])
    last = beats[-1]
    return [*beats[:-1], Beat(last.port, last.first, last.count + extra)], [*needed[:-1], needed[-1] + extra]


def plan_moves(beats: Sequence[Beat], needed: Sequence[int]) -> list[Move]:
    """A beat is taken only when the next one to be made needs it, or at the end; one slot takes from each port at most
    once. Beats to be made have ``needed`` lanes in use."""
    moves, held, arriving = [], 0, deque(beats)
    for count in needed:
        while True:
            taken, lanes = _take(arriving, count - held), held
            lanes += sum(beat.count for beat in taken)
            moves.append(Move(held, taken, count if lanes >= count else 0))
            held = lanes
            if held >= count:
                break
        held -= count
    moves += [Move(held, (beat,), 0) for beat in arriving]
    assert held == 0 and not any(beat.count for beat in arriving)
    return moves


def _take(arriving: deque[Beat], lacking: int) -> tuple[Beat, ...]:
    taken: list[Beat] = []
    while lacking > 0 and arriving[0].port not in [beat.port for beat in taken]:
        taken.append(arriving.popleft())
        lacking -= taken[-1].count
        if not arriving:
            break
    return tuple(taken)


def place_lanes(moves: Sequence[Move], lanes: int) -> list[Action]:
    """Each beat taken goes above the lanes held, below which a beat of ``lanes`` lanes leaves."""
    most = max(lanes, *(move.held + sum(beat.count for beat in move.taken) for move in moves))
    actions = []
    for before, move in zip([moves[-1], *moves[:-1]], moves, strict=True):
        found: list[Source | None] = [(HELD, lane + before.started) for lane in range(move.held)]
        found += [(beat.port, lane) for beat in move.taken for lane in range(beat.first, beat.first + beat.count)]
        shown = move.started if len(found) > move.started else lanes
        if move.started:
            found += [ZERO] * (lanes - len(found))
        actions.append(_action(move, [*found, *[None] * (most - len(found))], shown))
    return actions


def shift_lanes(moves: Sequence[Move], needed: Sequence[int], lanes: int) -> list[Action] | None:
    """Each beat taken pushes down those before it, so that no lane must choose where it goes: for beats that go whole,
    and all of one width, into those to be made. None where that does not fit."""
    taken = {beat for move in moves for beat in move.taken if beat.count}
    width = next(iter(taken)).count
    if (
        len(taken) > 1
        or any(count % width for count in needed)
        or any(move.held and not _keeps(move) for move in moves)
    ):
        return None
    port, first = next(iter(taken)).port, next(iter(taken)).first
    actions, group = [], 0
    for move in moves:
        if not _keeps(move):
            actions.append(_action(move, [None] * lanes, lanes))
            continue
        below = needed[group] - width
        found: list[Source | None] = [(HELD, lane + width) for lane in range(below)]
        found += [(port, first + lane) for lane in range(width)]
        found += [ZERO if move.started else None] * (lanes - len(found))
        actions.append(_action(move, found, lanes))
        group = (group + bool(move.started)) % len(needed)
    return actions


def _keeps(move: Move) -> bool:
    return any(beat.count for beat in move.taken)


def _action(move: Move, lanes: Sequence[Source | None], shown: int) -> Action:
    return Action(tuple(beat.port for beat in move.taken), move.started > 0, tuple(lanes), shown)


def number(actions: Sequence[Action]) -> tuple[list[Action], list[int]]:
    """The different actions, and which of them each one is."""
    kinds = list(dict.fromkeys(actions))
    place = {kind: index for index, kind in enumerate(kinds)}
    return kinds, [place[action] for action in actions]


def shortest_period(kinds: Sequence[int]) -> int:
    """Slots after which ``kinds`` repeat to the end."""
    border = [0] * len(kinds)  # of each beginning: the longest shorter beginning with which it ends
    for place in range(1, len(kinds)):
        matched = border[place - 1]
        while matched and kinds[place] != kinds[matched]:
            matched = border[matched - 1]
        border[place] = matched + (kinds[place] == kinds[matched])
    period = len(kinds) - border[-1]
    return len(kinds) if len(kinds) % period else period


def find_blocks(kinds: Sequence[int]) -> tuple[list[int], list[Block]]:
    """A table of moves, and blocks of it which, each repeated as often as it says, are ``kinds`` again.

    From the start on, each block is the one that shortens what is left the most.
    """
    if len(kinds) <= SHORT:
        return list(kinds), [Block(0, len(kinds), 1)]
    codes, table, blocks, place = np.array(kinds), [], [], 0
    while place < len(codes):
        length, repeats = _best_block(codes[place:])
        if repeats == 1 and blocks and blocks[-1].repeats == 1:
            blocks[-1] = Block(blocks[-1].start, blocks[-1].length + length, 1)
        else:
            blocks.append(Block(len(table), length, repeats))
        table += codes[place : place + length].tolist()
        place += length * repeats
    return table, blocks


def _best_block(codes: np.ndarray) -> tuple[int, int]:
    """Length and repeats of the block at the start; one move alone where nothing repeats."""
    best, saved = (1, 1), SHORT // 2
    for length in range(1, min(LONGEST_BLOCK, len(codes) // 2) + 1):
        unlike = np.flatnonzero(codes[length:] != codes[: len(codes) - length])
        repeats = (int(unlike[0]) if unlike.size else len(codes) - length) // length + 1
        if (repeats - 1) * length > saved:
            best, saved = (length, repeats), (repeats - 1) * length
    return best
