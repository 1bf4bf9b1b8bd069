# amaranth: UnusedElaboratable=no
"""An adder graph in hardware: numbers without sign, sums that carry nothing out, a register after so many of them.

Every number is stored as its distance from a constant, its *base*, upwards or downwards: v = base + u, or v = base - u.
To subtract a number is then to add its inverted bits, and the constants of all that is added gather in the bases,
down to the outputs, whose last sum adds them: a + b + k is a sum of a xor b xor k and of what these carry, which an
ECP5 does in the same cells (boards/carry.py). A sum takes a cell for each of its bits and nothing for its sign.
"""

from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..ir.graph import Ints, IntType
from .adder_graph import AdderGraph
from .arithmetic import Bits, delay

# On the wires of a sum: how many sums it lies deep. Sums as deep as each other, and of one module, see the same vector.
SUM = "espalier_sum"

# Sums of so many bits are logic: of inputs of one bit they vanish in the carry cells, or lookup tables, that read them.
WIDEST_LOGIC = 2

# On those that may carry out of their last bit.
CARRIES = "espalier_carries"


@dataclass(frozen=True)
class Stored:
    """How a number is stored: v = base + u, or base - u where ``is_down``; u has so many bits."""

    bits: int
    base: int
    is_down: bool = False

    def use(self, sign: int) -> tuple[bool, int]:
        """Whether sign * v adds the inverted bits, and the constant that it then is more."""
        is_inverted = self.is_down == (sign > 0)
        return is_inverted, sign * self.base - (((1 << self.bits) - 1) if is_inverted else 0)


@dataclass(frozen=True)
class Operand:
    """The bits of a node, or their inverse, so many places up."""

    node: int
    shift: int
    is_inverted: bool


@dataclass(frozen=True)
class Output:
    """(operands + constant) modulo 2**bits; up to two operands. level: sums on the longest way to its last one.

    carries: whether the sum may be more than that.
    """

    operands: tuple[Operand, ...]
    constant: int
    level: int
    carries: bool


class AdderPipeline(wiring.Component):
    """``graph`` for a vector a cycle: ``x``, all inputs of ``x_type``, gives ``y``, all outputs plus ``starts`` as
    ``y_type``, ``cycles`` later; ``levels`` sums between registers.

    after: of these, what follows ``y`` takes the place of so many, up to a register of its own. is_registered: ``y``
    comes out of registers; if not, what follows has some. is_held: ``x`` comes out of registers; if not, it goes into
    some at first.
    """

    def __init__(
        self, graph: AdderGraph, x_type: IntType, starts: Ints, y_type: IntType, levels: int, after: int = 0, *,
        is_registered: bool = True, is_held: bool = False,
    ):  # fmt: skip
        self._graph, self._levels, self._y_type = graph, levels, y_type
        self._starts, self._x_type, self._is_held = starts, x_type, is_held
        self._last = self._stage(max((output.level for output in self._outputs), default=0) + after)
        self._is_registered = is_registered
        self.cycles = self._last - int(is_held) + int(is_registered)
        super().__init__({"x": In(graph.inputs * x_type.bits), "y": Out(len(starts) * y_type.bits)})

    def _stage(self, level: int) -> int:
        """The registers before a sum so deep, those of the inputs among them."""
        return -(-level // self._levels)

    @cached_property
    def _stored(self) -> list[Stored]:
        """How each node is stored: upwards or downwards, whichever has fewer bits."""
        graph = self._graph
        stored = [_store_input(int(low), int(high)) for low, high in zip(graph.low, graph.high)][: graph.inputs]
        sums = zip(graph.first, graph.second, graph.shift, graph.sign, strict=True)
        for node, (first, second, shift, sign) in enumerate(sums, graph.inputs):
            low, high = int(graph.low[node]), int(graph.high[node])
            up, down = (
                stored[first].use(way)[1] + (stored[second].use(way * int(sign))[1] << int(shift)) for way in (1, -1)
            )
            options = Stored((high - up).bit_length(), up), Stored((-low - down).bit_length(), -down, is_down=True)
            stored.append(min(options, key=lambda option: option.bits))
        return stored

    def _operands(self, node: int, way: int) -> tuple[Operand, Operand, int]:
        """Of a sum, or of its negative, and the constant that it is more than these."""
        graph, place = self._graph, node - self._graph.inputs
        first, second, shift = int(graph.first[place]), int(graph.second[place]), int(graph.shift[place])
        one, more = self._stored[first].use(way)
        two, above = self._stored[second].use(way * int(graph.sign[place]))
        return Operand(first, 0, one), Operand(second, shift, two), more + (above << shift)

    @cached_property
    def _outputs(self) -> list[Output]:
        """An output is the last sum of its node once more, with its constant: others may need the node without."""
        graph, bits, found = self._graph, self._y_type.bits, []
        rows = zip(graph.node, graph.output_shift, graph.output_sign, graph.constants + self._starts)
        for node, up, sign, start in ((int(a), int(b), int(c), int(d)) for a, b, c, d in rows):
            operands, highest = (), start
            if node >= graph.inputs:
                one, two, constant = self._operands(node, sign)
                operands = Operand(one.node, up, one.is_inverted), Operand(two.node, two.shift + up, two.is_inverted)
                start += constant << up
            elif node >= 0:
                is_inverted, constant = self._stored[node].use(sign)
                operands = (Operand(node, up, is_inverted),)
                start += constant << up
            if node >= 0:
                highest += max(sign * int(graph.low[node]), sign * int(graph.high[node])) << up
            constant = start % (1 << bits)
            carries = highest - start + constant >= 1 << bits
            level = 0 if node < 0 else int(graph.depth[node])
            found.append(Output(operands, constant, max(level, int(len(operands) == 1)), carries))
        return found

    def _last_uses(self) -> list[int]:
        """The last stage in which a sum or an output reads each node; -1 where none does."""
        graph, last = self._graph, [-1] * len(self._graph.depth)
        for output in self._outputs:
            for operand in output.operands:
                last[operand.node] = max(last[operand.node], self._stage(output.level))
        for node in range(len(graph.depth) - 1, graph.inputs - 1, -1):
            if last[node] >= 0:
                place = node - graph.inputs
                for operand in (graph.first[place], graph.second[place]):
                    last[operand] = max(last[operand], self._stage(int(graph.depth[node])))
        return last

    @property
    def held_bits(self) -> int:
        """Bits of all registers."""
        waits = sum(self._waits(output) for output in self._outputs) * self._y_type.bits
        uses = zip(self._stored, self._last_uses(), strict=True)
        return waits + sum(one.bits * (last - self._begin(node)) for node, (one, last) in enumerate(uses) if last >= 0)

    @property
    def sum_bits(self) -> list[int]:
        """Of every sum that is built, in carry chains or, where it is of up to ``WIDEST_LOGIC`` bits, as logic."""
        last, found = self._last_uses(), []
        for node in range(self._graph.inputs, len(last)):
            one, two, _ = self._operands(node, 1)
            if last[node] >= 0 and two.shift < self._stored[one.node].bits:
                found.append(self._stored[node].bits - two.shift)
        return found + [self._y_type.bits - start for output in self._outputs if (start := self._start(output)) >= 0]

    def _start(self, output: Output) -> int:
        """The bits of an output below its sum, which pass by it; -1 where it needs none."""
        width, constant, operands = self._y_type.bits, output.constant, output.operands
        overlap = max(part.shift for part in operands) if len(operands) == 2 else width
        if len(operands) == 2 and overlap >= min(part.shift + self._stored[part.node].bits for part in operands):
            overlap = width
        start = min(overlap, (constant & -constant).bit_length() - 1 if constant else width)
        return start if operands and start < width else -1

    def _begin(self, node: int) -> int:
        """The stage in which a node's value comes without a register."""
        return self._stage(int(self._graph.depth[node])) if node >= self._graph.inputs else int(self._is_held)

    def _waits(self, output: Output) -> int:
        """The registers behind an output."""
        return self._last - self._stage(output.level) + int(self._is_registered) if output.operands else 0

    def elaborate(self, platform):
        m = Module()
        graph, bits = self._graph, self._y_type.bits
        last = self._last_uses()
        # By node and stage: its value there, an unsigned vector; x and sums as they come, and later out of registers.
        values: list[dict[int, Bits]] = []
        for node in range(len(graph.depth)):
            values.append(held := {})
            if last[node] >= 0:
                stage = self._begin(node)
                held[stage] = self._input(node) if node < graph.inputs else self._sum(m, node, stage, values)
                for later in range(stage, last[node]):
                    held[later + 1] = delay(m, held[later], 1, f"node_{node}_{later}")
        for row, output in enumerate(self._outputs):
            stage = self._stage(output.level)
            value = self._sum_output(m, row, output, stage, values)
            m.d.comb += self.y.word_select(row, bits).eq(delay(m, value, self._waits(output), f"output_{row}"))
        return m

    def _input(self, node: int) -> Bits:
        return self.x.word_select(node, self._x_type.bits)[: self._stored[node].bits]

    def _field(self, operand: Operand, stage: int, values: list[dict[int, Bits]]) -> Bits:
        """The bits that an operand adds."""
        bits = self._stored[operand.node].bits
        flipped = (1 << bits) - 1 if operand.is_inverted else 0
        if operand.node < self._graph.inputs and self._graph.low[operand.node] < 0:
            flipped ^= 1 << (bits - 1)  # so that the lowest number is the lowest of its codes
        value: Bits = Value.cast(values[operand.node][stage])
        if flipped in (0, (1 << bits) - 1):
            return ~value if flipped else value
        return Cat(~bit if flipped >> place & 1 else bit for place, bit in enumerate(value))

    def _sum(self, m: Module, node: int, stage: int, values: list[dict[int, Bits]]) -> Bits:
        one, two, _ = self._operands(node, -1 if self._stored[node].is_down else 1)
        below, above = self._field(one, stage, values), self._field(two, stage, values)
        if two.shift >= len(below):
            return Cat(below, Const(0, two.shift - len(below)), above)[: self._stored[node].bits]
        width = self._stored[node].bits - two.shift
        if width <= WIDEST_LOGIC:
            return Cat(below[: two.shift], _add_as_logic(below[two.shift :], above, width))
        total = Signal(width, name=f"sum_{node}", attrs={SUM: int(self._graph.depth[node])})
        m.d.comb += total.eq(below[two.shift :] + above)
        return Cat(below[: two.shift], total)

    def _sum_output(self, m: Module, row: int, output: Output, stage: int, values: list[dict[int, Bits]]) -> Bits:
        width, constant, start = self._y_type.bits, output.constant, self._start(output)
        fields = [Cat(Const(0, part.shift), self._field(part, stage, values)) for part in output.operands]
        fields = [_extend(field, width) for field in fields] or [Const(0, width)]
        one, two = fields[0], fields[1] if len(fields) == 2 else Const(0, width)
        if start < 0:
            return (one | two | constant)[:width]
        total = Signal(width - start, name=f"total_{row}", attrs=_sum_attributes(output))
        m.d.comb += total.eq(_add(one[start:], two[start:], constant >> start))
        return Cat((one | two)[:start], total)


def _store_input(low: int, high: int) -> Stored:
    dtype = IntType.of_range(low, high)
    return Stored(dtype.bits, dtype.low)


def _sum_attributes(output: Output) -> dict[str, int]:
    return {SUM: output.level} | ({CARRIES: 1} if output.carries else {})


def _extend(value: Bits, width: int) -> Bits:
    return Cat(value, Const(0, max(0, width - len(value))))[:width]


def _add_as_logic(one: Bits, two: Bits, width: int) -> Bits:
    """Of up to two bits, which hold the sum."""
    one, two = _extend(one, width), _extend(two, width)
    low = one[0] ^ two[0]
    return low if width == 1 else Cat(low, one[1] ^ two[1] ^ (one[0] & two[0]))


def _add(one: Bits, two: Bits, constant: int) -> Bits:
    """one + two + constant, all of one width, as a sum of two."""
    if not constant:
        return one + two
    bits = [constant >> place & 1 for place in range(len(one))]
    ones: Bits = Cat(a ^ b ^ k for a, b, k in zip(one, two, bits))
    twos: Bits = Cat(a | b if k else a & b for a, b, k in zip(one, two, bits))
    return ones + Cat(Const(0, 1), twos)[: len(one)]
