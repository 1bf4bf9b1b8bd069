# amaranth: UnusedElaboratable=no
"""Proved for ever: each code that goes into a lane converter comes out once, at its place, and zeros beside it."""

from itertools import accumulate
from math import prod

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Assume, Module, Mux, Signal, signed

from espalier.hw import convert, moves
from espalier.hw.stream import pack, split
from espalier.ir.graph import IntType, TensorType
from proofs import Bench, Inside, claim_stable, prove, refute, relate_credits, relate_queue, with_fault

pytestmark = pytest.mark.synth

UINT2, BYTE = IntType(2), IntType(8)
DEPTH = 3  # a beat in every cycle


def places(shape: tuple[int, ...], lanes: int) -> list[list[int]]:
    """The codes of a frame, numbered from 1, in the lanes of each of its beats; 0 where there is none."""
    codes = np.arange(1, prod(shape) + 1).reshape(1, *shape)
    return pack(codes, TensorType(shape, BYTE), lanes).view(np.uint8)[:, :lanes].tolist()


class ConvertBench(Bench):
    """From beats of one number of lanes to those of another, for any stalls."""

    def __init__(self, made, lanes_in: int, read, lanes_out: int, source=convert):
        self._stage = source.convert_lanes(TensorType(made, UINT2), lanes_in, TensorType(read, UINT2), lanes_out)
        self._stage.depth = DEPTH
        self._arriving, self._leaving = places(made, lanes_in), places(read, lanes_out)
        lanes = {"lane": max(1, (lanes_in - 1).bit_length())}
        super().__init__({"valid": 1, "beat": 2 * lanes_in, "ready": 1, "mark": 1, **lanes})

    def elaborate(self, platform):
        m, stage = Module(), self._stage
        inside = Inside(stage)
        m.submodules.stage = inside.fragment
        self._takes, self._leaves = Signal(), Signal()
        m.d.comb += [
            stage.x.valid.eq(self.valid),
            stage.x.payload.eq(self.beat),
            stage.y.ready.eq(self.ready),
            self._takes.eq(stage.x.valid & stage.x.ready),
            self._leaves.eq(stage.y.valid & stage.y.ready),
        ]
        claim_stable(m, stage.y)
        self._count(m)
        self._follow(m)
        self._claim_places(m, stage.y.payload, self._leaving_at, self._wait == 0, stage.y.valid)
        self._claim_progress(m)
        m.d.comb += self.reached.eq(self._is_done & (self._gap != 0))
        if self.helps:
            self._relate(m, inside)
        return m

    def _count(self, m):
        """Beats of the frame that arrives and of that which leaves, and by how many frames these are apart; no beat
        leaves before all its codes are there."""
        arriving, leaving = self._arriving, self._leaving
        self._arriving_at = Signal(range(len(arriving) + 1))
        self._leaving_at = Signal(range(len(leaving) + 1))
        self._gap = Signal(3)
        ends = self._takes & (self._arriving_at == len(arriving) - 1)
        self._finishes = self._leaves & (self._leaving_at == len(leaving) - 1)
        with m.If(self._takes):
            m.d.sync += self._arriving_at.eq(Mux(ends, 0, self._arriving_at + 1))
        with m.If(self._leaves):
            m.d.sync += self._leaving_at.eq(Mux(self._finishes, 0, self._leaving_at + 1))
        m.d.sync += self._gap.eq(self._gap + ends - self._finishes)
        beat_of = {code: number for number, beat in enumerate(arriving) for code in beat}
        needed = Array([1 + max(beat_of[code] for code in beat if code) for beat in leaving])
        is_there = (self._gap != 0) | (self._arriving_at >= needed[self._leaving_at])
        m.d.comb += Assert(~self._stage.y.valid | is_there)

    def _follow(self, m):
        """One code, whichever: its number in its frame, its value, and after how many frames its own leaves."""
        codes = split(self.beat, len(self._arriving[0]), UINT2)
        number = Array([Array(beat) for beat in self._arriving])[self._arriving_at][self.lane]
        for place, beat in enumerate(self._arriving):
            padding = [lane for lane, code in enumerate(beat) if not code]
            here = self.valid & (self._arriving_at == place)
            m.d.comb += [Assume(~here | (codes[lane] == 0)) for lane in padding]
        self._number, self._value, self._wait = Signal(8), Signal(2), Signal(3)
        self._is_inside, self._is_done = Signal(), Signal()
        with m.If(self._is_inside & self._finishes):
            m.d.sync += [self._wait.eq(self._wait - 1), self._is_inside.eq(self._wait != 0)]
            m.d.sync += self._is_done.eq(self._wait == 0)
        with m.If(self._takes & self.mark & ~self._is_inside & ~self._is_done & (number != 0)):
            m.d.sync += [self._is_inside.eq(1), self._number.eq(number), self._value.eq(Array(codes)[self.lane])]
            m.d.sync += self._wait.eq(self._gap - self._finishes)

    def _claim_places(self, m, beat, place, is_own, condition):
        """Asserts that a beat has the followed code where it belongs, and zeros where no code does."""
        lanes = split(beat, len(self._leaving[0]), UINT2)
        for number, codes in enumerate(self._leaving):
            with m.If(condition & (place == number)):
                for lane, code in zip(lanes, codes, strict=True):
                    is_followed = self._is_inside & is_own & (self._number == code)
                    m.d.comb += Assert(~is_followed | (lane == self._value) if code else lane == 0)

    def _claim_progress(self, m):
        """Asserts that with all willing, a beat leaves at least so often."""
        most = len(self._arriving) + 3 * self._stage.latency
        idle = Signal(range(most + 2))
        m.d.sync += idle.eq(Mux(self.valid & self.ready & ~self._leaves, idle + 1, 0))
        m.d.comb += Assert(idle < most)

    def _relate(self, m, inside):
        """What makes the claims inductive: how many beats were taken and started before each slot of a frame, and where
        the followed code is meanwhile."""
        schedule = self._stage.schedule
        takes, starts = (flags.astype(int).tolist() for flags in (schedule.takes["x"], schedule.starts["y"]))
        taken, made = ([0, *accumulate(flags)] for flags in (takes, starts))
        queue, started = relate_queue(m, inside), inside.named("started_1")
        slot, count = Signal(range(len(takes))), Signal(range(DEPTH + 2))
        with m.If(inside.of("ConvertStage")["fire"]):
            m.d.sync += slot.eq(Mux(slot == len(takes) - 1, 0, slot + 1))
        m.d.comb += [count.eq(queue.level + started), Assert(count <= DEPTH), Assert(slot < len(takes))]
        relate_credits(m, inside, DEPTH - count)
        self._frame = Signal(signed(4))  # of the followed code, as seen from the slot's
        queued = [queue.look(place) for place in range(DEPTH)]
        for at, held in enumerate(self._contents(taken)):
            with m.If(slot == at):
                m.d.comb += Assert(self._arriving_at == taken[at] % len(self._arriving))
                m.d.comb += Assert(~started | starts[at - 1])
                self._relate_steps(m, inside, at, started)
                self._claim_lanes(m, inside.of("ConvertStage")["held"], held)
            for under_way in range(DEPTH + 1):
                with m.If((slot == at) & (count == under_way)):
                    arriving = taken[at] // len(self._arriving)
                    self._relate_frames(m, queued, queue.level, made[at] - under_way, arriving)
        beat_of = Array([0] + [number for number, beat in enumerate(self._arriving) for code in beat if code])
        is_taken = (self._frame < 0) | ((self._frame == 0) & (beat_of[self._number] < Array(taken)[slot]))
        m.d.comb += Assert(~self._is_inside | is_taken)

    def _contents(self, taken):
        """Before each slot, the (frame, code) that each lane held has; 0: a zero; None: anything."""
        table, contents = self._stage._table, []
        held = [None] * len(table[0].lanes)
        for frame in (-1, 0):
            contents.clear()
            for slot in range(len(taken) - 1):
                contents.append(held)
                held = [self._become(source, held, frame, taken[slot]) for source in table[slot % len(table)].lanes]
        return contents

    def _become(self, source, held, frame, beat):
        if source is None or source == moves.ZERO:
            return 0 if source else None
        port, lane = source
        if port == moves.HELD:
            return held[lane]
        code = self._arriving[beat][lane]
        return (frame, code) if code else 0

    def _relate_steps(self, m, inside, at, started):
        table = self._stage._table
        if len(table) == 1:
            return
        steps = inside.of("Steps")
        m.d.comb += Assert(steps["slot"] == at % len(table))
        m.d.comb += [Assert(flag == (at % len(table) in chosen)) for chosen, flag in steps["self"]._flags.items()]
        before = table[(at - 1) % len(table)]
        for lane in range(self._stage.lanes_out):
            if any(action.starts and action.shown <= lane for action in table):
                is_hidden = before.starts and before.shown <= lane
                m.d.comb += Assert(~started | (inside.named(f"hidden_{lane}_1") == is_hidden))

    def _relate_frames(self, m, queued, level, oldest, arriving):
        """oldest: the beat of the slot's frame that leaves first of those under way."""
        frame, beat = divmod(oldest, len(self._leaving))
        m.d.comb += [
            Assert((self._leaving_at == beat) & (self._gap == arriving - frame)),
            self._frame.eq(frame + self._wait),
        ]
        for place, word in enumerate(queued):
            frame, beat = divmod(oldest + place, len(self._leaving))
            with m.If(level > place):
                codes = [(frame, code) if code else 0 for code in self._leaving[beat]]
                self._claim_lanes(m, split(word, len(codes), UINT2), codes)

    def _claim_lanes(self, m, lanes, codes):
        for lane, code in zip(lanes, codes, strict=True):
            if code == 0:
                m.d.comb += Assert(lane == 0)
            elif code:
                is_followed = self._is_inside & (self._frame == code[0]) & (self._number == code[1])
                m.d.comb += Assert(~is_followed | (lane == self._value))


SIZES = [
    ((3,), 3, (3,), 2),
    ((2,), 2, (2,), 3),
    ((6,), 2, (6,), 3),
    ((5,), 2, (5,), 3),  # the last beat of either side has lanes to spare
    ((7,), 3, (7,), 2),
    ((5,), 1, (5,), 4),
    ((5,), 5, (5,), 1),
    ((2, 1, 3), 3, (6,), 2),  # beats that cross pixels
    ((1, 2, 3), 2, (6,), 4),
    ((6,), 4, (2, 1, 3), 2),  # codes of the next pixel wait above the last ones of this
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_code_finds_its_place_proved_by_induction(sizes, tmp_path):
    assert prove(ConvertBench(*sizes), tmp_path, 16) == "proved"


FAULTS = [
    (((6,), 4, (2, 1, 3), 2), "action.starts and action.shown <= lane", "False"),
    (((4,), 3, (4,), 4), "fire & ~steps.flag(keeps)", "fire"),
    (((6,), 2, (6,), 3), "steps.step.eq(fire)", "steps.step.eq(self.x.valid)"),
    (((6,), 2, (6,), 3), "delay(m, fire & starts, 1", "delay(m, fire, 1"),
]


@pytest.mark.parametrize("sizes, right, wrong", FAULTS)
def test_a_seeded_fault_is_found(sizes, right, wrong, tmp_path):
    assert "Time" in refute(ConvertBench(*sizes, with_fault(convert, right, wrong)), tmp_path, 12)
