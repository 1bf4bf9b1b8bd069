# amaranth: UnusedElaboratable=no
"""The ``serial`` engine: a matrix-vector product, bit planes of simd weights for each of pe outputs in each slot."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value

from ..ir.graph import Ints, IntType
from .arithmetic import Term, as_value, delay
from .buffer import InputBuffer
from .counters import Walk
from .fields import Fields
from .finish import Finish, begin, channels_of_lanes
from .function import table_rom
from .memory import Rom, choose_style
from .plan import LayerPlan
from .product import Product
from .run_walk import RunWalk
from .serial_array import SerialArray
from .slots import Slots, count_slots, find_takers, order_slots
from .stage import Stage
from .stream import Beats, lane_shape, split
from .timing import Schedule
from .weight_planes import Planes, choose_form, forms_of
from .weights import fold_tiles


@dataclass(frozen=True, eq=False)
class Work:
    """What a product is to the engine: planes, and the slots that sum them up."""

    planes: Planes
    slots: Slots


def divide_work(product: Product, fold: LayerPlan) -> Work:
    tiles = fold_tiles(product.weights, fold.pe, fold.simd, product.blocks)
    takes = find_takers(len(tiles), product.blocks, product.is_repeated or product.is_lanewise)
    order, shifts, forms = fold.planes, fold.shifts_per_slot, forms_of(tiles)
    counts = [count_slots(form.used, takes, order, shifts) for form in forms]
    planes = forms[choose_form(forms, counts, product.x_type.bits, fold.simd)]
    return Work(planes, order_slots(planes.used, takes, order, shifts))


class SerialStage(Stage):
    """Sums up the slots of each group of ``pe`` outputs, of which the last one starts a beat.

    The first scan of a group's input takes it off the stream, if the stream brings it again or for the first time. A
    beat stays for the slots that follow; where another one is needed in between, all are kept in a buffer.
    """

    def __init__(self, product: Product, fold: LayerPlan):
        x_type = product.x_type
        work = divide_work(product, fold)
        self._slots = slots = work.slots
        self._array = SerialArray(
            x_type, product.reach, work.planes, slots, fold.planes, is_lanewise=product.is_lanewise
        )
        lanes = fold.simd * (fold.pe if product.is_lanewise else 1)
        beats = work.planes.bits.shape[1]
        is_kept, is_held = bool((slots.is_new & ~slots.takes).any()), not slots.is_new.all()
        self._buffer = InputBuffer(beats, lanes * x_type.bits, is_kept, is_held=is_held)
        columns: dict[str, Any] = dict(self._array.columns)
        if is_kept:
            columns["beat"] = slots.beat[:, None] >> np.arange(len(self._buffer.beat)) & 1
            columns["is_new"] = slots.is_new[:, None]
        if slots.doubles.any():
            columns["doubles"] = slots.doubles[:, None]
        self._fields = Fields(columns)
        words, width = self._fields.words, self._fields.width
        style = choose_style(len(words), width) if fold.memory == "auto" else fold.memory
        self._rom = Rom(words, width, style)

        offsets = by_output(self._array.offsets, len(product.weights), product.blocks)
        start, function, sums = begin(product.function, offsets, product.sums)
        self._finish = Finish(function, fold.pe, sums, product.result, blocks=product.blocks)
        channels = channels_of_lanes(len(product.weights) // product.blocks, fold.pe, product.blocks)
        self._start_type = IntType.of_range(int(start.min()), int(start.max()))
        self._starts = table_rom(start[channels].reshape(-1, fold.pe), self._start_type, "lut") if start.any() else None

        # The beat's place stands in the memory, if the buffer has to know it.
        self._asked = self._rom.latency if is_kept else 0
        fetched = max(self._rom.latency, self._asked + self._buffer.latency)
        self._is_accumulated = not slots.starts.all()
        summed = fetched + self._array.cycles + 1 + int(self._starts is not None)
        self._fetched = fetched + max(0, self._finish.lead - summed)
        self._summed = max(summed, self._finish.lead)
        # One cycle more: the queue's own.
        self.latency = self._summed + self._finish.cycles + 1
        self.schedule = Schedule(
            takes={"x": np.tile(slots.takes, product.pixels)}, starts={"y": np.tile(slots.starts, product.pixels)}
        )
        super().__init__({"x": Beats(lanes, x_type)}, Beats(fold.pe, self._finish.y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = RunWalk(self._slots.takes, self._slots.starts)
        m.submodules.slot = slot = Walk(len(self._slots))
        m.submodules.weights, m.submodules.inputs = self._rom, self._buffer
        fire = self.issue(m, takes=walk.takes, starts=walk.starts)
        m.d.comb += [walk.step.eq(fire), slot.step.eq(fire), self._rom.address.eq(slot.address)]
        # done[c]: the last slot of a group was issued c cycles ago.
        done = [Value.cast(fire & walk.starts)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))

        fields = self._fields.split(m, self._rom.word)
        inputs = self._find_inputs(m, fields, walk, fire)
        ahead = self._fetched - self._rom.latency
        fields = {name: delay(m, bits, ahead, name) for name, bits in fields.items() if name not in ("beat", "is_new")}
        terms = self._array.build(m, inputs, fields)
        totals = self._accumulate(m, terms, fields.get("doubles"), fire, done)
        values = self._finish.build(m, totals, done[self._summed - self._finish.lead :])
        self.emit(m, done[-1], values)
        return m

    def _find_inputs(self, m: Module, fields, walk: RunWalk, fire: Value) -> Value:
        buffer, asked = self._buffer, self._asked
        m.d.comb += [
            buffer.fresh.eq(delay(m, self.x.payload, asked, "fresh")),
            buffer.taken.eq(delay(m, self.x.valid & self.x.ready, asked, "taken", reset=True)),
            buffer.first.eq(delay(m, walk.takes, asked, "first")),
            buffer.asked.eq(delay(m, fire & walk.takes, asked, "asked", reset=True)),
        ]
        if "beat" in fields:
            fired = delay(m, fire, asked, "fired", reset=True)
            m.d.comb += [buffer.beat.eq(fields["beat"]), buffer.asked.eq(fired & fields["is_new"])]
        return delay(m, buffer.input, self._fetched - asked - buffer.latency, "waiting")

    def _accumulate(self, m: Module, terms: list[Term], doubles, fire: Value, done: list[Value]) -> list[Signal]:
        """Sums of the slots of a group, modulo the width of the result, which holds every final sum.

        What is kept is cleared behind the last slot, whose sum goes on: so the choice between twice and once as much is
        all that stands in front of the adder, and its carry cells take that in.
        """
        sums, lowest, ahead = self._finish.x_type, self._slots.lowest, self._fetched + self._array.cycles
        shape = lane_shape(replace(sums, bits=max(1, sums.bits - lowest)))
        arrived = delay(m, fire, ahead, "arrived", reset=True)
        doubled = None if doubles is None else delay(m, doubles, self._array.cycles, "doubled")
        totals = []
        for output, term in enumerate(terms):
            total = Signal(lane_shape(sums), name=f"total_{output}", reset_less=True)
            kept, following = Signal(shape, name=f"kept_{output}"), Signal(shape, name=f"following_{output}")
            m.d.sync += total.eq(following.shift_left(lowest))
            value = as_value(term)
            if not self._is_accumulated:
                m.d.comb += following.eq(value)
            else:
                before = kept if doubled is None else Mux(doubled, kept.shift_left(self._slots.planes.shape[1]), kept)
                m.d.comb += following.eq(value + before)
                with m.If(arrived):
                    m.d.sync += kept.eq(following)
                with m.If(done[ahead]):
                    m.d.sync += kept.eq(0)
            totals.append(total)
        return self._add_starts(m, totals, done)

    def _add_starts(self, m: Module, totals: list[Signal], done: list[Value]) -> list[Signal]:
        if self._starts is None:
            return totals
        m.submodules.starts = rom = self._starts
        m.submodules.starts_group = walk = Walk(1, len(self._array.offsets))
        m.d.comb += [walk.step.eq(done[self._summed - 1 - rom.latency]), rom.address.eq(walk.group)]
        starts = split(rom.word, len(totals), self._start_type)
        sums = [Signal(total.shape(), name=f"started_{at}", reset_less=True) for at, total in enumerate(totals)]
        m.d.sync += [sum_.eq(total + start) for sum_, total, start in zip(sums, totals, starts, strict=True)]
        return sums


def by_output(rows: Ints, outputs: int, blocks: int) -> Ints:
    """(outputs,), from rows (groups, pe) in which every block of outputs has whole groups."""
    return rows.reshape(blocks, -1)[:, : outputs // blocks].ravel()
