# amaranth: UnusedElaboratable=no
"""The ``popcount`` engine: a matrix-vector product, one plane of inputs times one plane of weights in each slot."""

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value

from ..ir.graph import IntType
from .arithmetic import delay
from .buffer import InputBuffer
from .count_tree import CountTree
from .counters import Walk
from .finish import Finish, begin, channels_of_lanes
from .function import table_rom
from .memory import Rom, choose_style
from .moves import Block
from .plan import LayerPlan
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
        tiles = positions * -(-channels // simd)
        self._tiles, self._groups = tiles, product.blocks * -(-(outputs // product.blocks) // fold.pe)
        stored = store_planes(product.weights, x_type, fold.pe, simd, product.blocks)
        self._planes = len(stored.shifts)
        style = choose_style(len(stored.words), fold.pe * simd) if fold.memory == "auto" else fold.memory
        words = stored.words if len(set(stored.words)) > 1 else stored.words[:1]
        self._rom = Rom(words, fold.pe * simd, style)

        pairs = [(plane, bit) for plane in range(self._planes) for bit in range(x_type.bits)]
        self._bits = [bit for _, bit in pairs]
        self._subtracts = [
            stored.is_negative[plane] != (x_type.signed and bit == x_type.bits - 1) for plane, bit in pairs
        ]
        shifts = [stored.shifts[plane] + bit for plane, bit in pairs]
        lacking = tiles * sum(1 << shift for shift, subtracts in zip(shifts, self._subtracts) if subtracts)
        self._tree = CountTree(simd, fold.pe, _differ if stored.are_signs else _both, is_negated=any(self._subtracts))

        lanes = fold.pe * simd if product.is_lanewise else simd
        is_kept = self._groups > 1 and not product.is_repeated and not product.is_lanewise
        self._takes_all = not is_kept
        self._buffer = InputBuffer(tiles, lanes * x_type.bits, is_kept, is_held=len(pairs) > 1)

        start, function, sums = begin(product.function, stored.offsets + lacking, product.sums)
        self._finish = Finish(function, fold.pe, sums, product.result, blocks=product.blocks)
        starts = start[channels_of_lanes(outputs // product.blocks, fold.pe, product.blocks)].reshape(-1, fold.pe)
        self._start_type = IntType.of_range(int(start.min()), int(start.max()))
        self._starts = starts[:1] if (starts == starts[0]).all() else starts
        self._start_rom = table_rom(self._starts, self._start_type, "lut")
        self._sums = ShiftedSums(shifts, self._finish.x_type)

        self._is_planar = x_type.bits > 1
        self._fetched = max(self._rom.latency, self._buffer.latency + int(self._is_planar))
        self._is_summed = len(pairs) * tiles > 1 or self._tree.cycles == 0 or bool(start.any()) or min(shifts) > 0
        counted = self._tree.cycles + (self._sums.cycles if self._is_summed else 0)
        self._fetched += max(0, self._finish.lead - self._fetched - counted)
        self._summed = self._fetched + counted
        # One cycle more: the queue's own.
        self.latency = self._summed + self._finish.cycles + 1
        slots = np.arange(self._groups * tiles * len(pairs))
        scan = tiles * len(pairs)
        takes, ends = (slots % len(pairs) == 0) & (self._takes_all | (slots < scan)), slots % scan == scan - 1
        self.schedule = Schedule(
            takes={"x": np.tile(takes, product.pixels)}, starts={"y": np.tile(ends, product.pixels)}
        )
        super().__init__({"x": Beats(lanes, x_type)}, Beats(fold.pe, self._finish.y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.weights, m.submodules.inputs = self._rom, self._buffer
        m.submodules.pairs = pairs = Steps([Block(0, len(self._bits), 1)])
        m.submodules.walk = walk = Walk(self._tiles, self._groups)
        opens, closes = pairs.flag([0]), pairs.flag([len(self._bits) - 1])
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

        counts = self._count(m, pairs)
        totals = self._add_up(m, counts, pairs, fire, opens & walk.first_beat, done)
        values = self._finish.build(m, totals, done[self._summed - self._finish.lead :])
        self.emit(m, done[-1], values)
        return m

    def _address(self, m: Module, fire: Value, pairs: Steps, walk: Walk) -> Value:
        """The number of the slot's tile and plane."""
        if self._planes == 1:
            return walk.address
        m.submodules.planes = planes = Walk(self._groups * self._tiles * self._planes)
        last = self._bits[-1]
        m.d.comb += planes.step.eq(fire & pairs.flag([slot for slot, bit in enumerate(self._bits) if bit == last]))
        return planes.address

    def _count(self, m: Module, pairs: Steps) -> list[Value]:
        """The counts of a slot, negated where it subtracts."""
        lanes = self.inputs["x"].lanes
        values = split(self._buffer.input, lanes, self.inputs["x"].dtype)
        plane, cycles = Cat(*(Value.cast(value)[0] for value in values)), self._buffer.latency
        if self._is_planar:
            chosen = delay(m, _number(pairs, self._bits), cycles, "chosen")
            plane, cycles = Signal(lanes, name="plane", reset_less=True), cycles + 1
            with m.Switch(chosen):
                for bit in range(self.inputs["x"].dtype.bits):
                    with m.Case(bit):
                        m.d.sync += plane.eq(Cat(*(Value.cast(value)[bit] for value in values)))
        plane = delay(m, plane, self._fetched - cycles, "waiting")
        simd = len(self._rom.word) // self.lanes_out
        weights = [self._rom.word.word_select(output, simd) for output in range(self.lanes_out)]
        subtracts = _flag(pairs, self._subtracts)
        return self._tree.build(
            m, plane, weights, delay(m, subtracts, self._fetched + self._tree.minus_cycles, "minus")
        )

    def _add_up(
        self, m: Module, counts: list[Value], pairs: Steps, fire: Value, first: Value, done: list[Value]
    ) -> list[Signal]:
        """Sums of a scan, modulo the width of the result, which holds every final sum."""
        if not self._is_summed:
            totals = [Signal(lane_shape(self._finish.x_type), name=f"total_{lane}") for lane in range(len(counts))]
            m.d.comb += [total.eq(count) for total, count in zip(totals, counts, strict=True)]
            return totals
        near = delay(m, _number(pairs, self._sums.near), self._fetched + self._tree.cycles, "near")
        counts, ahead = self._sums.bring_near(m, counts, near), self._summed - 1
        far = delay(m, _flag(pairs, self._sums.is_far), ahead, "far")
        arrived = delay(m, fire, ahead, "arrived", reset=True)
        if any(self._sums.is_far) and len(self._starts) == 1:
            return self._sums.add_until(m, counts, far, arrived, done[ahead], [int(start) for start in self._starts[0]])
        starts = self._find_starts(m, done, ahead)
        return self._sums.add(m, counts, far, arrived, delay(m, first, ahead, "first"), starts)

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


def _flag(pairs: Steps, flags: list[bool]) -> Value:
    """The present slot's of ``flags``, of which there is one for each pair of planes."""
    return pairs.flag([slot for slot, flag in enumerate(flags) if flag])


def _number(pairs: Steps, numbers: list[int]) -> Value:
    """The present slot's of ``numbers``."""
    bits = max(numbers).bit_length()
    return Value.cast(Cat(*(_flag(pairs, [bool(number >> bit & 1) for number in numbers]) for bit in range(bits))))
