# amaranth: UnusedElaboratable=no
"""The multiply-add array of a slot: sums of simd products for each of pe outputs."""

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ..ir.graph import IntType
from .arithmetic import Term, add_up, delay, multiply
from .stream import split
from .weights import StoredWeights

# Register after the multiplier and after that: both can move into a DSP block.
DSP_CYCLES = 2


class MacArray:
    """Describes the array; :meth:`build` adds it to a module and returns a Term for each output.

    cycles: registers from inputs and weights to the sums. Signs invert an input (XNOR), or pass it.
    """

    def __init__(self, x_type: IntType, weights: StoredWeights, pe: int, simd: int, *, dsp: bool):
        self._x_type, self._weights, self._pe, self._simd = x_type, weights, pe, simd
        is_product = not weights.are_signs and min(x_type.bits, weights.dtype.bits) > 1
        self.uses_dsp = dsp and is_product
        inputs, word = Const(0, simd * x_type.bits), Const(0, simd * weights.dtype.bits)
        _, self.cycles = self._sum(Module(), inputs, word, 0)

    def build(self, m: Module, inputs: Value, word: Value) -> list[Term]:
        """inputs: the simd lanes of a beat; word: the weights of the slot."""
        weights = Value.cast(word)
        return [
            self._sum(m, inputs, weights.word_select(output, self._simd * self._weights.dtype.bits), output)[0]
            for output in range(self._pe)
        ]

    def _sum(self, m: Module, inputs: Value, weights: Value, output: int) -> tuple[Term, int]:
        """The sum of one output lane, and its cycles."""
        terms = self._terms(m, inputs, weights, output)
        total, cycles = add_up(m, terms, f"sum_{output}")
        return total, cycles + (DSP_CYCLES if self.uses_dsp else 0)

    def _terms(self, m, inputs, weights, output: int) -> list[Term]:
        if self._weights.are_signs:
            return self._passed_or_inverted(m, inputs, weights, output)
        xs, ws = split(inputs, self._simd, self._x_type), split(weights, self._simd, self._weights.dtype)
        pairs = enumerate(zip(xs, ws, strict=True))
        if self.uses_dsp:
            return [self._product(m, x, w, f"product_{output}_{lane}") for lane, (x, w) in pairs]
        return [term for _, (x, w) in pairs for term in multiply(x, self._x_type, w, self._weights.dtype)]

    def _passed_or_inverted(self, m, inputs, are_negative, output: int) -> list[Term]:
        dtype = self._x_type
        masks = Cat(*(are_negative[lane].replicate(dtype.bits) for lane in range(self._simd)))
        lanes = Signal(self._simd * dtype.bits, name=f"passed_or_inverted_{output}")
        m.d.comb += lanes.eq(inputs ^ masks)
        return [Term(lane, dtype.low, dtype.high) for lane in split(lanes, self._simd, dtype)]

    def _product(self, m, x, w, name: str) -> Term:
        x_type, w_type = self._x_type, self._weights.dtype
        corners = [a * b for a in (x_type.low, x_type.high) for b in (w_type.low, w_type.high)]
        return Term(delay(m, x * w, DSP_CYCLES, name), min(corners), max(corners))
