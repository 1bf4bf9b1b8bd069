# amaranth: UnusedElaboratable=no
"""The ``popcount`` engine: a matrix-vector product, one plane of inputs times one plane of weights in each slot."""

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value

from ..ir.graph import IntType
from .arithmetic import Bits, delay
from .buffer import InputBuffer
from .count_tree import CountTree
from .counters import Walk
from .finish import Finish, begin, channels_of_lanes
from .function import table_rom
from .memory import Rom, choose_style
from .moves import Block
from .plan import LayerPlan
from .plane_pairs import flag, number, pair_planes
from .popcount_planes import store_planes
from .product import Product
from .shifted_sums import ShiftedSums
from .stage import Stage
from .steps import Steps
from .stream import Beats, lane_shape, split
from .timing import Schedule


class PopcountStage(Stage):
    """Every group of ``pe`` outputs scans the input as that of the mac engine does, but each beat takes a slot for
    every pair of planes: of each plane of weights with each plane of inputs.

    A slot counts ``simd`` products of one bit for each of ``pe`` outputs, and adds the counts up, shifted. It subtracts
    where one of its planes is the sign of two's complement: by adding -1 - count; what that lacks, each output has from
    the start.
    """

    def __init__(self, product: Product, fold: LayerPlan):
        x_type, simd = product.x_type, fold.simd
        outputs, positions, channels = product.weights.shape
        own = outputs // product.blocks
        self._tiles, self._groups = positions * -(-channels // simd), -(-own // fold.pe)
        stored = store_planes(product.weights, x_type, fold.pe, simd, product.blocks)
        self._pairs = pairs = pair_planes(stored, x_type)
        style = choose_style(len(stored.words), fold.pe * simd) if fold.memory == "auto" else fold.memory
        words = stored.words if len(set(stored.words)) > 1 else stored.words[:1]
        self._words = len(words)
        self._rom = Rom(words, fold.pe * simd, style)
        self._takes_all = self._groups == 1 or product.is_repeated or product.is_lanewise
        lanes = fold.pe * simd if product.is_lanewise else simd
        self._buffer = InputBuffer(
            self._tiles, lanes * x_type.bits, not self._takes_all, is_held=len(pairs.bits) > 1, is_late=True
        )

        offsets = stored.offsets + self._tiles * pairs.lacking
        start, function, sums = begin(product.function, offsets, product.sums)
        self._finish = Finish(function, fold.pe, sums, product.result, blocks=product.blocks)
        starts = start[channels_of_lanes(own, fold.pe, product.blocks)].reshape(-1, fold.pe)
        self._start_type = IntType.of_range(int(start.min()), int(start.max()))
        self._starts = starts[:1] if (starts == starts[0]).all() else starts
        self._start_rom = table_rom(self._starts, self._start_type, "lut")
        self._is_long = len(pairs.bits) * self._tiles > 1 or bool(start.any())
        gate = _differ if stored.are_signs else _both
        # Accumulators of one count each, without a shift, can take in a product more.
        leaves_one = pairs.is_plain and self._is_long
        self._tree = CountTree(simd, gate, is_negated=any(pairs.subtracts), leaves_one=leaves_one)
        self._sums = ShiftedSums(pairs.shifts, self._finish.x_type)
        self._set_cycles()
        self.schedule = self._make_schedule(product.pixels * product.blocks)
        super().__init__({"x": Beats(lanes, x_type)}, Beats(fold.pe, self._finish.y_type))

    def _set_cycles(self) -> None:
        """Cycles from the issue of a slot: until its planes are there, and until it is summed up."""
        is_planar = len(set(self._pairs.bits)) > 1
        fetched = max(self._rom.latency, self._buffer.latency + int(is_planar))
        # Whether sums need an adder, and a register.
        self._is_added = self._is_long or self._tree.cycles == 0 or not self._pairs.is_plain
        counted = self._tree.cycles + (self._sums.cycles if self._is_added else 0)
        self._fetched = max(fetched, self._finish.lead - counted)
        self._summed = self._fetched + counted
        # One cycle more: the queue's own.
        self.latency = self._summed + self._finish.cycles + 1

    def _make_schedule(self, repeats: int) -> Schedule:
        pairs = len(self._pairs.bits)
        scan = self._tiles * pairs
        slots = np.arange(self._groups * scan)
        takes = (slots % pairs == 0) & (self._takes_all | (slots < scan))
        return Schedule(takes={"x": np.tile(takes, repeats)}, starts={"y": np.tile(slots % scan == scan - 1, repeats)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.weights, m.submodules.inputs = self._rom, self._buffer
        m.submodules.pairs = pairs = Steps([Block(0, len(self._pairs.bits), 1)])
        m.submodules.walk = walk = Walk(self._tiles, self._groups)
        opens, closes = pairs.flag([0]), pairs.flag([len(self._pairs.bits) - 1])
        first = opens if self._takes_all else opens & walk.first_group
        ends = closes & walk.last_beat
        fire = self.issue(m, takes=first, starts=ends)
        m.d.comb += [
            pairs.step.eq(fire),
            walk.step.eq(fire & closes),
            self._rom.address.eq(
                delay(m, self._address(m, fire, pairs, walk), self._fetched - self._rom.latency, "address")
            ),
            self._buffer.fresh.eq(self.x.payload),
            self._buffer.taken.eq(self.x.valid & self.x.ready),
            self._buffer.first.eq(first),
            self._buffer.asked.eq(opens),
            self._buffer.beat.eq(walk.beat),
        ]
        # done[c]: the last slot of a scan was issued c cycles ago.
        done = [Value.cast(fire & ends)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))

        totals = self._add_up(m, *self._count(m, pairs), pairs, fire, opens & walk.first_beat, done)
        values = self._finish.build(m, totals, done[self._summed - self._finish.lead :])
        self.emit(m, done[-1], values)
        return m

    def _address(self, m: Module, fire: Value, pairs: Steps, walk: Walk) -> Value:
        """The number of the slot's tile and plane."""
        if self._words == self._tiles * self._groups:
            return walk.address
        m.submodules.planes = planes = Walk(self._words)
        m.d.comb += planes.step.eq(fire & flag(pairs, self._pairs.is_last_bit))
        return planes.address

    def _count(self, m: Module, pairs: Steps) -> tuple[list[Bits], list[Bits]]:
        """The counts of a slot, negated where it subtracts; and of each output one product that is not counted yet, or
        none of any."""
        lanes = self.inputs["x"].lanes
        values = split(self._buffer.input, lanes, self.inputs["x"].dtype)
        plane, cycles = Cat(*(Value.cast(value)[0] for value in values)), self._buffer.latency
        if len(set(self._pairs.bits)) > 1:
            chosen = delay(m, number(pairs, self._pairs.bits), cycles, "chosen")
            plane, cycles = Signal(lanes, name="plane", reset_less=True), cycles + 1
            with m.Switch(chosen):
                for bit in range(self.inputs["x"].dtype.bits):
                    with m.Case(bit):
                        m.d.sync += plane.eq(Cat(*(Value.cast(value)[bit] for value in values)))
        plane = delay(m, plane, self._fetched - cycles, "waiting")
        simd = len(self._rom.word) // self.lanes_out
        weights = [self._rom.word.word_select(output, simd) for output in range(self.lanes_out)]
        ahead = self._fetched + self._tree.minus_cycles
        minus = delay(m, flag(pairs, self._pairs.subtracts), ahead, "minus")
        counts = self._tree.build(m, plane, weights, minus)
        return counts, self._tree.find_left(m, plane, weights)

    def _add_up(
        self,
        m: Module,
        counts: list[Value],
        left: list[Value],
        pairs: Steps,
        fire: Value,
        first: Value,
        done: list[Value],
    ) -> list[Signal]:
        """Sums of a scan, modulo the width of the result, which holds every final sum."""
        if not self._is_added:
            totals = [Signal(lane_shape(self._finish.x_type), name=f"total_{lane}") for lane in range(len(counts))]
            m.d.comb += [total.eq(count) for total, count in zip(totals, counts, strict=True)]
            return totals
        # No register without bits, at which Verilator stops.
        cycles = self._fetched + self._tree.cycles if self._sums.ahead else 0
        near = delay(m, number(pairs, self._sums.near), cycles, "near")
        counts, ahead = self._sums.bring_near(m, counts, near), self._summed - 1
        far = delay(m, flag(pairs, self._sums.is_far), ahead, "far")
        arrived = delay(m, fire, ahead, "arrived", reset=True)
        if any(self._sums.is_far) and len(self._starts) == 1:
            return self._sums.add_until(m, counts, far, arrived, done[ahead], [int(start) for start in self._starts[0]])
        starts = self._find_starts(m, done, ahead)
        return self._sums.add(m, counts, far, arrived, delay(m, first, ahead, "first"), starts, left)

    def _find_starts(self, m: Module, done: list[Value], ahead: int) -> list[Value]:
        """What the sum of each lane starts from, ``ahead`` cycles after its first slot."""
        m.submodules.starts = rom = self._start_rom
        m.submodules.starts_group = walk = Walk(1, len(self._starts))
        m.d.comb += [walk.step.eq(done[ahead - rom.latency]), rom.address.eq(walk.group)]
        return split(rom.word, self._finish.lanes, self._start_type)


def _both(x: Value, weight: Value) -> Value:
    return x & weight


def _differ(x: Value, weight: Value) -> Value:
    """The input, inverted where the weight's sign is set."""
    return x ^ weight
