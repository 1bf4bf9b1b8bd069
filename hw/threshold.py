# amaranth: UnusedElaboratable=no
"""Thresholds: comparators side by side for up to three of them, a pipelined binary search for more."""

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal

from ..ir.graph import Ints, IntType
from ..ir.threshold import Threshold
from .arithmetic import Bits, delay
from .double_ram import DoubleRam
from .function import LaneFunction, by_group, table_ram, table_rom
from .memory import Rom, choose_style, read_cycles
from .stream import lane_shape, split

MOST_COMPARATORS = 3


def threshold_function(
    node: Threshold, lanes: int, x_type: IntType, highest: int, *, is_loaded: bool = False
) -> LaneFunction:
    """The cheaper of the two forms for the number of thresholds of ``node``; no input exceeds ``highest``."""
    form = Comparators if node.thresholds.shape[1] <= MOST_COMPARATORS else BinarySearch
    return form(node, lanes, x_type, highest, is_loaded=is_loaded)


def _grouped(
    node: Threshold, lanes: int, steps: int, x_type: IntType, highest: int, is_loaded: bool
) -> tuple[Ints, IntType]:
    """Thresholds as (groups, lanes, steps), and their type; padding lanes yield zero where they can."""
    # One more than the highest input is never reached, and seldom needs another bit.
    low, high = x_type.low, highest + 1
    never = np.full((node.thresholds.shape[0], steps - node.thresholds.shape[1]), high)
    rows = np.concatenate([np.clip(node.thresholds, low, high), never], axis=1)
    if (rows == rows[0]).all() and not is_loaded:  # one row serves all groups
        return np.tile(rows[:1], (1, lanes, 1)), IntType.of_range(int(rows.min()), int(rows.max()))
    zero = int(np.clip(-node.base, 0, steps))
    grouped = by_group(rows, lanes, [low] * zero + [high] * (steps - zero))
    if is_loaded:
        return grouped, IntType.of_range(low, high)
    return grouped, IntType.of_range(int(grouped.min()), int(grouped.max()))


class Comparators(LaneFunction):
    """Compares with all thresholds of a channel at once and counts those reached."""

    def __init__(self, node: Threshold, lanes: int, x_type: IntType, highest: int, *, is_loaded: bool = False):
        steps = node.thresholds.shape[1]
        thresholds, self._type = _grouped(node, lanes, steps, x_type, highest, is_loaded)
        self._steps, self._base, self._grouped = steps, node.base, thresholds
        table = table_ram if is_loaded else table_rom
        self._rom = table(thresholds.reshape(len(thresholds), -1), self._type)
        self.loaded = {"thresholds": self._rom} if isinstance(self._rom, DoubleRam) else {}
        self.lead = self._rom.latency
        self.cycles = 1 if steps == 1 and node.base == 0 else 2
        super().__init__(lanes, len(thresholds), x_type, node.result)

    def elaborate(self, platform):
        m = Module()
        m.submodules.thresholds = self._rom
        m.d.comb += self._rom.address.eq(self.group)
        xs, ys = split(self.x, self.lanes, self.x_type), split(self.y, self.lanes, self.y_type)
        thresholds = split(self._rom.word, self.lanes * self._steps, self._type)
        for lane in range(self.lanes):
            reached = Signal(self._steps, name=f"reached_{lane}", reset_less=True)
            for step in range(self._steps):
                if self.groups == 1 and not self.loaded:
                    is_reached = at_least(xs[lane], int(self._grouped[0, lane, step]))
                else:
                    is_reached = xs[lane] >= thresholds[lane * self._steps + step]
                m.d.sync += reached[step].eq(is_reached)
            if self.cycles == 1:
                m.d.comb += self.y.word_select(lane, self.y_type.bits).eq(reached)
                continue
            code = Signal.like(ys[lane], name=f"code_{lane}", reset_less=True)
            with m.Switch(reached):  # thresholds ascend, so that the bits reached are a thermometer
                for count in range(self._steps + 1):
                    with m.Case((1 << count) - 1):
                        m.d.sync += code.eq(self._base + count)
                with m.Default():
                    m.d.sync += code.eq(self._base)
            m.d.comb += self.y.word_select(lane, self.y_type.bits).eq(code)
        return m


def at_least(value: Bits, threshold: int) -> Bits:
    """value >= threshold as logic of its bits, a third of the lookup tables that a carry chain for it would take."""
    bits, lowest = len(value), -(1 << len(value) - 1) if value.shape().signed else 0
    distance = threshold - lowest
    if not 0 < distance < 1 << bits:
        return Const(int(distance <= 0), 1)
    reached: Bits = Const(1, 1)
    for place in range(bits):
        bit = ~value[place] if lowest and place == bits - 1 else value[place]
        reached = bit & reached if distance >> place & 1 else bit | reached
    return reached


class BinarySearch(LaneFunction):
    """Finds one bit of the count after the other: a comparator and a memory of 2**stage words for each."""

    def __init__(self, node: Threshold, lanes: int, x_type: IntType, highest: int, *, is_loaded: bool = False):
        self._bits = node.thresholds.shape[1].bit_length()
        self._thresholds, self._type = _grouped(node, lanes, (1 << self._bits) - 1, x_type, highest, is_loaded)
        self._base = node.base
        groups = len(self._thresholds)
        self._styles = [choose_style(groups << stage, self._type.bits) for stage in range(self._bits)]
        reads = [read_cycles(groups << stage, style) for stage, style in enumerate(self._styles)]
        if is_loaded:
            places = [(lane, stage) for lane in range(lanes) for stage in range(self._bits)]
            self.loaded = {
                f"thresholds_{lane}_{stage}": table_ram(self._middles(lane, stage), self._type)
                for lane, stage in places
            }
            reads = [self.loaded[f"thresholds_0_{stage}"].latency for stage in range(self._bits)]
        self._reads = reads
        self.lead = reads[0]
        self.cycles = sum(reads[1:]) + self._bits + int(self._base != 0)
        super().__init__(lanes, groups, x_type, node.result)

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.lanes):
            self._lane(m, lane)
        return m

    def _lane(self, m, lane):
        value = split(self.x, self.lanes, self.x_type)[lane]
        group, found = self.group, Const(0, 0)
        for stage in range(self._bits):
            rom = self._memory(lane, stage)
            m.submodules[f"thresholds_{lane}_{stage}"] = rom
            address = Cat(found, group) if self.groups > 1 else found
            m.d.comb += rom.address.eq(address)
            name = f"{{}}_{lane}_{stage}"
            read = self._reads[stage]
            if stage:
                value = delay(m, value, read, name.format("value"))
                found = delay(m, found, read, name.format("prefix"))
            # The first stage is read ahead of its value: the group comes ``lead`` cycles early.
            group = delay(m, group, read + 1, name.format("group")) if self.groups > 1 else group
            threshold = rom.word.as_signed() if self._type.signed else rom.word
            found_now = Signal(stage + 1, name=name.format("found"), reset_less=True)
            m.d.sync += found_now.eq(Cat(value >= threshold, found))
            value, found = delay(m, value, 1, name.format("kept")), found_now
        if self._base:
            code = Signal(lane_shape(self.y_type), name=f"code_{lane}", reset_less=True)
            m.d.sync += code.eq(found + self._base)
            found = code
        m.d.comb += self.y.word_select(lane, self.y_type.bits).eq(found)

    def _memory(self, lane: int, stage: int) -> Rom | DoubleRam:
        loaded = self.loaded.get(f"thresholds_{lane}_{stage}")
        return loaded or table_rom(self._middles(lane, stage), self._type, self._styles[stage])

    def _middles(self, lane: int, stage: int) -> Ints:
        """Words at ``group << stage | prefix``: the threshold in the middle of what the prefix leaves open."""
        half = 1 << (self._bits - stage - 1)
        return self._thresholds[:, lane, half - 1 :: 2 * half].reshape(-1, 1)
