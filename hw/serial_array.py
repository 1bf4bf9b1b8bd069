# amaranth: UnusedElaboratable=no
"""What a slot of the serial engine sums up: its input, masked by bit planes of weights, for each of pe outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value

from ..ir.graph import Bounds, IntType
from .arithmetic import Bits, Term, add_up, count_up, delay
from .fields import Columns
from .slots import Order, Slots
from .stream import lane_shape, split
from .weight_planes import NOTHING, Planes

LEVELS_PER_REGISTER = 2
"""Levels of a shifter, one LUT a bit each, between registers."""

Wires = Mapping[str, Bits]


class SerialArray:
    """Describes the array; :meth:`build` adds it to a module and returns a Term for each output.

    reach: of the inputs; cycles: registers from inputs and fields to the terms. What is subtracted is an inverted
    input, which lacks a constant for each output, ``offsets``, shape (groups, pe): y = sum of all slots + offsets.
    Group-major: each plane is shifted to its place. Plane-major: only the planes of one slot are, against each other.
    """

    def __init__(
        self, x_type: IntType, reach: Bounds, planes: Planes, slots: Slots, order: Order, *, is_lanewise: bool = False
    ):
        self._x_type, self._planes, self._slots = x_type, planes, slots
        self._shifts, self._is_lanewise = order == "group-major", is_lanewise
        self._pe, self._simd = planes.bits.shape[2:]
        self._units = slots.planes.shape[1]
        mirror = x_type.low + x_type.high  # the inverse of x is mirror - x
        low, high = int(reach.low.min()), int(reach.high.max())
        if planes.signs != "none":
            low, high = min(low, mirror - high), max(high, mirror - low)
        self._low, self._high = min(0, low), max(0, high)
        self.offsets = -mirror * planes.subtracted.sum(axis=(1, 3))
        there = slots.planes != NOTHING
        # Of each unit: from here on the places of its planes are counted.
        self._lowest = np.where(there.any(axis=0), np.where(there, slots.planes, 64).min(axis=0), slots.lowest)
        self._amounts = np.where(there, slots.planes - self._lowest, 0)
        self._most = self._amounts.max(axis=0).tolist()
        blank = {name: Const(0, bits.shape[1]) for name, bits in self.columns.items()}
        lanes = self._pe if is_lanewise else 1
        _, self.cycles = self._build(Module(), Const(0, lanes * self._simd * x_type.bits), blank, range(1))

    @cached_property
    def columns(self) -> Columns:
        """What the slots say, each (slots, bits): which inputs each unit sums up, which of them inverted, and how far
        it shifts the sum."""
        found = {}
        slots, planes = self._slots, self._planes
        for unit in range(self._units):
            plane = slots.planes[:, unit]
            masks = planes.masks(slots.group, slots.beat, plane).reshape(len(slots), -1)
            found[f"masks_{unit}"] = masks
            if planes.is_negative is not None:
                found[f"signs_{unit}"] = planes.is_negative[slots.group, slots.beat].reshape(len(slots), -1) & masks
            elif planes.negative_plane in plane:
                found[f"signs_{unit}"] = (plane == planes.negative_plane)[:, None]
            if self._shifts and self._most[unit]:
                found[f"shift_{unit}"] = self._amounts[:, unit, None] >> np.arange(self._most[unit].bit_length()) & 1
        return found

    def build(self, m: Module, inputs: Value, fields: Wires) -> list[Term]:
        """inputs: the lanes of a beat; fields: those of ``columns``, of the same slot."""
        return self._build(m, Value.cast(inputs), fields, range(self._pe))[0]

    def _build(self, m: Module, inputs: Value, fields: Wires, outputs: Sequence[int]) -> tuple[list[Term], int]:
        beats, fields, cycles = self._invert(m, inputs, fields)
        sums = [self._sum_planes(m, beats, fields, output) for output in outputs]
        if not self._shifts:
            return [terms[0] for terms, _ in sums], cycles + sums[0][1]
        cycles += sums[0][1]
        amounts = {name: delay(m, bits, sums[0][1], name) for name, bits in fields.items() if name.startswith("shift")}
        totals = [self._shift_and_add(m, terms, amounts, output) for output, (terms, _) in zip(outputs, sums)]
        return [term for term, _ in totals], cycles + totals[0][1]

    def _invert(self, m: Module, inputs: Value, fields: Wires) -> tuple[list[Value], Wires, int]:
        """The inputs of each unit: inverted for all outputs alike where the plane says so, not the weight."""
        names = [f"signs_{unit}" for unit in range(self._units)]
        if self._planes.signs != "plane" or not any(name in fields for name in names):
            return [inputs] * self._units, fields, 0
        straight = delay(m, inputs, 1, "straight")
        beats = []
        for name in names:
            inverted = inputs ^ fields[name].replicate(len(inputs)) if name in fields else inputs
            beats.append(delay(m, inverted, 1, f"inverted_{name}") if name in fields else straight)
        return beats, {name: delay(m, bits, 1, name) for name, bits in fields.items()}, 1

    def _sum_planes(self, m: Module, beats: Sequence[Value], fields: Wires, output: int) -> tuple[list[Term], int]:
        """Of one output, the sum of each unit, or the only sum of all of them."""
        units = [self._mask(beats[unit], fields, unit, output) for unit in range(self._units)]
        if not self._shifts:
            terms = [replace(term, shift=unit) for unit, terms in enumerate(units) for term in terms]
            total, cycles = _sum_up(m, terms, f"sum_{output}")
            return [total], cycles
        sums = [_sum_up(m, terms, f"sum_{output}_{unit}") for unit, terms in enumerate(units)]
        return [term for term, _ in sums], sums[0][1]

    def _mask(self, beat: Value, fields: Wires, unit: int, output: int) -> list[Term]:
        size = self._simd * self._x_type.bits
        own: Bits = beat.word_select(output, size) if self._is_lanewise else beat
        lanes = split(own, self._simd, self._x_type)
        masks = fields[f"masks_{unit}"].word_select(output, self._simd)
        if self._planes.signs == "weight":
            signs = fields[f"signs_{unit}"].word_select(output, self._simd)
            lanes = [_like(lane ^ signs[at].replicate(len(lane)), lane) for at, lane in enumerate(lanes)]
        return [Term(Mux(masks[at], lane, 0), self._low, self._high) for at, lane in enumerate(lanes)]

    def _shift_and_add(self, m: Module, terms: Sequence[Term], amounts: Wires, output: int) -> tuple[Term, int]:
        """The units' sums at their places; the last level of the only one stands in front of the accumulator, whose
        carry cells take it in."""
        longest = max(_registers(most) for most in self._most)
        shifted = []
        for unit, term in enumerate(terms):
            name, most = f"shifted_{output}_{unit}", self._most[unit]
            amount = amounts.get(f"shift_{unit}", Const(0, 1))
            found = _shift(m, term, amount, most, name, longest)
            shifted.append(replace(found, shift=int(self._lowest[unit] - self._slots.lowest)))
        total, cycles = add_up(m, shifted, f"units_{output}")
        return total, longest + cycles


def _sum_up(m: Module, terms: Sequence[Term], name: str) -> tuple[Term, int]:
    """The sum, out of a register."""
    if len(terms) > 2 and all((term.low, term.high, term.shift) == (0, 1, 0) for term in terms):
        return count_up(m, [term.value for term in terms], name)
    total, cycles = add_up(m, terms, name)
    return (total, cycles) if cycles else (replace(total, value=delay(m, total.value, 1, name)), 1)


def _registers(most: int) -> int:
    """Cycles of a shifter by up to ``most``: levels in pairs, but for the last one, behind which is none."""
    return most.bit_length() // LEVELS_PER_REGISTER


def _shift(m: Module, term: Term, amount: Value, most: int, name: str, cycles: int) -> Term:
    """``term`` times two to the power of ``amount``, which is ``most`` at most, after so many cycles."""
    levels, value, low, high = most.bit_length(), term.value, term.low, term.high
    for level in range(levels):
        reach = min(most, (2 << level) - 1)
        low, high = term.low << reach, term.high << reach
        shifted = Signal(lane_shape(IntType.of_range(low, high)), name=f"{name}_{level}")
        m.d.comb += shifted.eq(Mux(amount[level], value.shift_left(1 << level), value))
        value = shifted
        if level < levels - 1 and (level % LEVELS_PER_REGISTER or level == levels - 2):
            value, amount = delay(m, value, 1, f"{name}_{level}"), delay(m, amount, 1, f"{name}_amount_{level}")
    waits = cycles - _registers(most)
    return replace(term, value=delay(m, value, waits, f"{name}_waits"), low=low, high=high)


def _like(value: Value, lane: Value):
    return value.as_signed() if lane.shape().signed else value
