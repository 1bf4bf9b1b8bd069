# amaranth: UnusedElaboratable=no
"""The multiply-add array of a slot with several outputs in each multiplier."""

from amaranth.hdl import Const, Module, Value

from ..ir.graph import IntType
from .arithmetic import DSP_CYCLES, Term, add_up, multiply_wide
from .carried import Carried, add_up_carried
from .packing import PackedWeights, Range, take_apart
from .stream import split


class PackedArray:
    """Describes the array, as :class:`MacArray` does; :meth:`build` gives a sum for each output, or for each pack of
    outputs where these stay together until all slots are summed up.

    reach: of the inputs, zero included.
    """

    uses_dsp = True

    def __init__(self, x_type: IntType, reach: Range, weights: PackedWeights, pe: int, simd: int):
        self._x_type, self._reach, self._weights, self._pe, self._simd = x_type, reach, weights, pe, simd
        self.packing = weights.packing
        inputs, word = Const(0, simd * x_type.bits), Const(0, simd * weights.bits)
        sums, self.cycles = self._sum(Module(), inputs, word, 0)
        self.has_carry = any(part.carry is not None for part in sums)

    def build(self, m: Module, inputs: Value, word: Value) -> list[Carried]:
        """inputs: the lanes of a beat; word: the weights of the slot."""
        lanes, weights = Value.cast(inputs), Value.cast(word)
        sums: list[Carried] = []
        for pack in range(self._weights.packs):
            factors = weights.word_select(pack, self._simd * self._weights.bits)
            sums += self._sum(m, lanes, factors, pack)[0]
        return sums if self.packing.is_whole else sums[: self._pe]

    def _sum(self, m: Module, inputs: Value, weights: Value, pack: int) -> tuple[list[Carried], int]:
        """The sums of a pack of outputs, and their cycles."""
        products = []
        for lane, x in enumerate(split(inputs, self._simd, self._x_type)):
            operand = self._weights.operand(weights.word_select(lane, self._weights.bits))
            products += multiply_wide(m, Term(x, *self._reach), operand, f"product_{pack}_{lane}")[0]
        if self.packing.is_whole:
            total, cycles = add_up(m, products, f"sum_{pack}")
            return [Carried(total)], DSP_CYCLES + cycles
        groups, cycles = self._add_groups(m, products, pack)
        lanes = [self._add_lane(m, groups, lane, f"sum_{pack}_{lane}") for lane in range(self.packing.lanes)]
        return [total for total, _ in lanes], DSP_CYCLES + cycles + lanes[0][1]

    def _add_groups(self, m: Module, products: list[Term], pack: int) -> tuple[list[list[Carried]], int]:
        """For each group of products that are summed up before they are taken apart, the sums of the lanes."""
        size = self.packing.group
        found = [
            add_up(m, products[first : first + size], f"group_{pack}_{first}")
            for first in range(0, len(products), size)
        ]
        longest = max(cycles for _, cycles in found)
        low, high = self._weights.find_reach(self._reach, size)
        groups = []
        for group, (total, cycles) in enumerate(found):
            waiting = Carried(total).later(m, longest - cycles, f"group_{pack}_{group}").term
            groups.append(take_apart(waiting, self.packing, low, high))
        return groups, longest

    @staticmethod
    def _add_lane(m: Module, groups: list[list[Carried]], lane: int, name: str) -> tuple[Carried, int]:
        return add_up_carried(m, [group[lane] for group in groups], name)
