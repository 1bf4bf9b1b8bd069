"""Counts of one-bit products, for several outputs at once: a tree of additions, a register behind each of its levels.

Three products make a number of two bits; from there on, two numbers and one more product make one of a bit more. The
additions of a level share carry chains, so that each product costs about one and a half bits of carry chain. On ECP5
the gates of the products go into the carry cells.
"""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value

from .arithmetic import Bits, delay
from .packed import Addition, add_packed

Gate = Callable[[Any, Any], Any]


class CountTree:
    """How many of ``size`` products are set, for each of ``outputs``, ``cycles`` after their factors.

    gate: the product of two bits. is_negated: the count c is -1 - c where ``minus`` is set, which must come with the
    last level, ``minus_cycles`` after the factors. leaves_one: a product that would need an addition of its own may
    be left over (``has_left``), for whoever adds the counts.
    """

    def __init__(self, size: int, gate: Gate, *, is_negated: bool = False, leaves_one: bool = False):
        self._size, self._gate, self._is_negated = size, gate, is_negated
        self.has_left = leaves_one and size > 3 and size % 4 == 0
        size -= int(self.has_left)
        # Parts of up to three products each; the additions that join them, one less, take one more product each, but
        # that of the last level cannot while it negates.
        parts = -(-(size + 1 + int(is_negated)) // 4) if size > 3 else 1
        lanes = list(range(size))
        self._parts = [lanes[3 * part : 3 * part + 3] for part in range(parts)]
        self._spare = lanes[3 * parts :]
        levels = (parts - 1).bit_length()
        self.cycles = 0 if size == 1 else 1 + levels
        self.minus_cycles = self.cycles - int(levels > 0)

    def build(self, m: Module, inputs: Bits, weights: Sequence[Bits], minus: Bits | None = None) -> list[Bits]:
        """inputs: ``size`` bits for all outputs, or one for each; weights: ``size`` bits for each output. The counts
        are unsigned, or signed if ``is_negated``."""
        if self._size == 1:
            ones = [self._gate(inputs[output % len(inputs)], weight) for output, weight in enumerate(weights)]
            return [self._negate(one, minus) for one in ones]
        highs = [len(part) for part in self._parts]
        rows = self._count_parts(m, inputs, weights)
        spare, level = self._spare, 1
        while len(highs) > 1:
            pairs = len(highs) // 2
            is_negated = self._is_negated and len(highs) == 2
            taken, spare = (spare[:pairs], spare[pairs:]) if not is_negated else ([], spare)
            carries = self._multiply(m, inputs, weights, taken, level)
            rows, highs = self._add(m, rows, highs, carries, level, minus if is_negated else None)
            level += 1
        counts = [numbers[0] for numbers in rows]
        if level == 1:
            return [self._negate(count, minus) for count in counts]
        if not self._is_negated:
            return counts
        assert minus is not None
        sign = delay(m, minus, 1, "is_negated")
        return [Cat(count, sign).as_signed() for count in counts]

    def find_left(self, m: Module, inputs: Bits, weights: Sequence[Bits]) -> list[Bits]:
        """Of each output, the product that is left over; with its count."""
        if not self.has_left:
            return []
        return [product for (product,) in self._multiply(m, inputs, weights, [self._size - 1], self.cycles)]

    def _multiply(self, m: Module, inputs: Bits, weights: Sequence[Bits], lanes: Sequence[int], cycles: int):
        """Products of some lanes of each output, whose factors are delayed so much."""
        xs = delay(m, Cat(*(inputs[lane] for lane in lanes)), cycles if lanes else 0, f"spare_{cycles}_inputs")
        rows = []
        for output, own in enumerate(weights):
            ws = delay(m, Cat(*(own[lane] for lane in lanes)), cycles if lanes else 0, f"spare_{cycles}_{output}")
            rows.append([self._gate(x, w) for x, w in zip(xs, ws, strict=True)])
        return rows

    def _count_parts(self, m: Module, inputs: Bits, weights: Sequence[Bits]) -> list[list[Bits]]:
        """Counts of up to three products each, for each output."""
        rows = [[[self._gate(inputs[lane], own[lane]) for lane in part] for part in self._parts] for own in weights]
        triples = [part for row in rows for part in row if len(part) == 3]
        sums = iter(add_packed(m, [Addition(a, b, 2, carry) for a, b, carry in triples], "triples"))
        return [
            [
                _register(m, next(sums) if len(part) == 3 else _count_two(part), f"part_{output}_{place}")
                for place, part in enumerate(row)
            ]
            for output, row in enumerate(rows)
        ]

    def _add(self, m: Module, rows, highs: list[int], carries, level: int, minus: Bits | None):
        """The numbers of each output added two by two, each with a carry if there is one left, and how high they are;
        or -1 minus that."""
        pairs = len(highs) // 2
        sums = [highs[2 * pair] + highs[2 * pair + 1] + int(pair < len(carries[0])) for pair in range(pairs)]
        additions = []
        for numbers, own in zip(rows, carries, strict=True):
            for pair, high in enumerate(sums):
                a, b, bits = numbers[2 * pair], numbers[2 * pair + 1], high.bit_length()
                if minus is None:
                    additions.append(Addition(a, b, bits, own[pair] if pair < len(own) else None))
                else:
                    additions.append(Addition(_invert(a, bits, minus), _invert(b, bits, minus), bits, minus))
        found = iter(add_packed(m, additions, f"level_{level}"))
        results = [
            [
                _register(m, value, f"number_{level}_{output}_{place}")
                for place, value in enumerate([*(next(found) for _ in range(pairs)), *numbers[2 * pairs :]])
            ]
            for output, numbers in enumerate(rows)
        ]
        return results, [*sums, *highs[2 * pairs :]]

    def _negate(self, count: Any, minus: Bits | None) -> Bits:
        if not self._is_negated:
            return count
        assert minus is not None
        value = Value.cast(count)
        return Cat(value ^ minus.replicate(len(value)), minus).as_signed()


def _count_two(bits: Sequence[Any]) -> Bits:
    """Of one or two bits."""
    return Cat(bits[0] ^ bits[1], bits[0] & bits[1]) if len(bits) == 2 else Cat(bits[0])


def _invert(value: Bits, bits: int, minus: Bits) -> Bits:
    """``bits`` of ``value``, or of -1 - ``value`` where ``minus`` is set."""
    return Cat(*((value[place] ^ minus) if place < len(value) else minus for place in range(bits)))


def _register(m: Module, value: Bits, name: str) -> Signal:
    held = Signal(len(value), name=name, reset_less=True)
    m.d.sync += held.eq(value)
    return held
