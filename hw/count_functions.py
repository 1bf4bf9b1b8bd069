"""What the functions behind sums are made of: thresholds, multiply-add-shift, tables, and zeros in padding lanes."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..ir.graph import IntType, Node
from ..ir.requantize import Requantize
from ..ir.table import Table
from ..ir.threshold import Threshold
from .arithmetic import DSP_CYCLES
from .count_parts import (
    NOTHING,
    Features,
    Term,
    add_all,
    add_up,
    adder,
    bits_of,
    chain,
    comparator,
    distinct,
    features,
    many,
    registers,
    rom,
    walk,
)
from .count_products import multiply_wide
from .memory import choose_style, read_cycles
from .requantize import CYCLES_AFTER_PRODUCT
from .threshold import MOST_COMPARATORS


class Counted(NamedTuple):
    """Features of a function of so many lanes; its cycles, and how long before its values it needs their group."""

    features: Features
    cycles: int
    lead: int


class _Thresholds:
    def __init__(self, node: Threshold, x_type: IntType, highest: int):
        rows = np.clip(node.thresholds, x_type.low, highest + 1)
        self.steps, self.base = rows.shape[1], node.base
        self.is_one_row = bool((rows == rows[0]).all())
        self.is_zero = self.is_one_row and not rows.any()
        self.type = IntType.of_range(
            int(rows.min()), int(rows.max()) if self.steps <= MOST_COMPARATORS else highest + 1
        )
        self.stream_bits, self.x_bits, self.y_bits = x_type.bits, max(x_type.bits, self.type.bits), node.result.bits

    def count(self, lanes: int, groups: int) -> Counted:
        groups = 1 if self.is_one_row else groups
        return self._compare(lanes, groups) if self.steps <= MOST_COMPARATORS else self._search(lanes, groups)

    def _compare(self, lanes: int, groups: int) -> Counted:
        cycles = 1 if self.steps == 1 and self.base == 0 else 2
        lead = read_cycles(groups, choose_style(groups, lanes * self.steps * self.type.bits))
        found = features(register=lanes * self.steps)
        if not self.is_zero:
            found = found + many(self._comparator(groups), lanes * self.steps)
        if cycles == 2:
            found = found + features(register=lanes * self.y_bits, decoded=lanes * self.y_bits)
        return Counted(found + rom(groups, lanes * self.steps * self.type.bits), cycles, lead)

    def _comparator(self, groups: int) -> Features:
        """With one of so many constants: of few bits it is a table, with one constant a cascade of gates."""
        if groups == 1:
            return features(rom4=-(-(self.stream_bits - 1) // 3), rom6=-(-(self.stream_bits - 1) // 5))
        # Bits of few words are functions of few: of two words all are the same, or each other's opposite.
        told = min(self.type.bits, 1 if groups == 2 else 3 if groups == 3 else 7)
        if (inputs := self.stream_bits + told) <= 6:
            return features(rom4=1 << max(0, inputs - 4), rom6=1)
        return comparator(self.x_bits)

    def _search(self, lanes: int, groups: int) -> Counted:
        """What depends on the group alone is the same in all lanes: its delays, and the bits of the first thresholds,
        of which there are no more than functions of the group."""
        bits, cycles, lead = self.steps.bit_length(), 0, 0
        lane, shared = [], []
        for stage in range(bits):
            words = groups << stage
            style = choose_style(words, self.type.bits)
            read = read_cycles(words, style)
            lead = read if stage == 0 else lead
            waits = read if stage else 0
            if stage or style == "block":
                lane.append(rom(words, self.type.bits, style))
            else:
                shared.append(rom(words, lanes * self.type.bits, style))
            lane.append(comparator(self.x_bits) if words > 1 else chain("constant", self.x_bits))
            if stage < bits - 1:
                lane.append(registers(self.x_bits, waits + 1))
                shared.append(registers(bits_of(groups), read + 1))
            else:
                lane.append(registers(self.x_bits, waits))
            lane.append(registers(stage, waits))
            lane.append(features(register=stage + 1))
            cycles += waits + 1
        if self.base:
            lane.append(features(register=self.y_bits, decoded=self.y_bits))
        return Counted(many(add_all(lane), lanes) + add_all(shared), cycles + int(self.base != 0), lead)


class _Requantizes:
    def __init__(self, node: Requantize, x_type: IntType, highest: int):
        self.node, self.x = node, Term(x_type.low, x_type.high)
        kinds = [IntType.of_range(min(0, int(v.min())), max(0, int(v.max()))) for v in (node.multiplier, node.addend)]
        self.factor, self.addend = kinds
        # Constants that are powers of two are wires: where there is but one group of lanes, this is told by channel.
        numbers = np.abs(np.atleast_1d(node.multiplier))
        self.is_alike = len(np.unique(node.multiplier)) == 1
        self.hard = float(np.mean((numbers & (numbers - 1)) != 0))

    def count(self, lanes: int, groups: int) -> Counted:
        products, terms = multiply_wide(self.x, Term(self.factor.low, self.factor.high))
        if groups == 1 or self.is_alike:
            products = many(products, self.hard)
        tree, total, adding = add_up(terms)
        cycles = DSP_CYCLES + adding + CYCLES_AFTER_PRODUCT
        sums = max(total.bits + total.shift, self.addend.bits) + 1
        kept, y_bits = max(1, sums - self.node.shift), self.node.result.bits
        lane = (
            products
            + tree
            + features(register=kept + 2 * y_bits + 2, limited=y_bits)
            + adder(sums)
            + chain("limit", kept, 2)
        )
        found = many(lane, lanes) + rom(1 if self.is_alike else groups, lanes * self.factor.bits, "lut")
        found = found + rom(groups, lanes * self.addend.bits, "lut")
        if groups > 1:
            found = found + registers(distinct(lanes * self.addend.bits, groups), cycles - CYCLES_AFTER_PRODUCT)
        return Counted(found, cycles, read_cycles(groups, "lut"))


class _Tables:
    def __init__(self, node: Table, x_type: IntType, highest: int):
        self.bits, self.y_bits = x_type.bits, node.result.bits
        self.is_one_row = bool((node.values == node.values[0]).all())

    def count(self, lanes: int, groups: int) -> Counted:
        words = (1 if self.is_one_row else groups) << self.bits
        style = choose_style(words, self.y_bits)
        return Counted(many(rom(words, self.y_bits, style), lanes), read_cycles(words, style), 0)


_KINDS: dict[type[Node], Any] = {Threshold: _Thresholds, Requantize: _Requantizes, Table: _Tables}


def prepare(node: Node, x_type: IntType, highest: int) -> Any:
    """A function for inputs of ``x_type``, none above ``highest``: ``count(lanes, groups)`` gives a `Counted`."""
    return _KINDS[type(node)](node, x_type, highest)


@dataclass(frozen=True)
class Finishing:
    """Like `finish.Finish`: what turns sums of ``x_type`` into what leaves. channels: of a block; blocks: of them."""

    function: Any
    x_type: IntType
    y_type: IntType
    channels: int
    blocks: int = 1

    def count(self, lanes: int) -> Counted:
        groups = -(-self.channels // lanes)
        found, cycles, lead = NOTHING, 0, 0
        if self.function:
            counted = self.function.count(lanes, groups * self.blocks)
            found, cycles, lead = counted.features, counted.cycles, counted.lead
            if groups * self.blocks > 1 and not (isinstance(self.function, _Thresholds) and self.function.is_one_row):
                found = found + walk(1, groups * self.blocks)
        idle = groups * lanes - self.channels
        if idle:
            found = found + features(masked=idle * self.y_type.bits) + walk(1, groups)
        return Counted(found, cycles, lead)


def finishing(function: Node | None, low: int, high: int, result: IntType, channels: int, blocks: int = 1) -> Finishing:
    """low, high: of all sums; result: their type if there is no function."""
    x_type = IntType.of_range(low, high)
    prepared = prepare(function, x_type, high) if function else None
    return Finishing(prepared, x_type, function.result if function else result, channels, blocks)
