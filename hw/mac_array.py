# amaranth: UnusedElaboratable=no
"""The multiply-add array of a slot: sums of simd products for each of pe outputs."""

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ..ir.graph import IntType
from .arithmetic import DSP_CYCLES, Term, add_up, as_value, count_up, multiply, multiply_wide
from .carried import Carried
from .packed_array import PackedArray
from .packing import PackedWeights, Range, choose_packing
from .plan import LayerPlan
from .product import Product
from .stream import split
from .weights import StoredWeights


class MacArray:
    """Describes the array; :meth:`build` adds it to a module and returns a sum for each output.

    reach: of the inputs, zero included; cycles: registers from inputs and weights to the sums. Signs invert inputs
    (XNOR). is_lanewise: each output has ``simd`` inputs of its own, instead of all of them the same.
    """

    packing, has_carry = None, False

    def __init__(
        self,
        x_type: IntType,
        reach: Range,
        weights: StoredWeights,
        pe: int,
        simd: int,
        *,
        dsp: bool,
        is_lanewise: bool = False,
    ):
        self._x_type, self._weights, self._pe, self._simd = x_type, weights, pe, simd
        self._is_lanewise = is_lanewise
        self._low, self._high = reach
        self.uses_dsp = dsp
        inputs, word = Const(0, simd * x_type.bits), Const(0, simd * weights.dtype.bits)
        _, self.cycles = self._sum(Module(), inputs, word, 0)

    def build(self, m: Module, inputs: Value, word: Value) -> list[Carried]:
        """inputs: the lanes of a beat; word: the weights of the slot."""
        lanes, weights = Value.cast(inputs), Value.cast(word)
        sums = []
        for output in range(self._pe):
            own = lanes.word_select(output, self._simd * self._x_type.bits) if self._is_lanewise else lanes
            factors = weights.word_select(output, self._simd * self._weights.dtype.bits)
            sums.append(Carried(_as_plain(self._sum(m, own, factors, output)[0])))
        return sums

    def _sum(self, m: Module, inputs: Value, weights: Value, output: int) -> tuple[Term, int]:
        """The sum of one output lane, and its cycles."""
        terms = self._terms(m, inputs, weights, output)
        if len(terms) > 2 and all((term.low, term.high, term.shift, term.minus) == (0, 1, 0, False) for term in terms):
            return count_up(m, [term.value for term in terms], f"count_{output}")
        total, cycles = add_up(m, terms, f"sum_{output}")
        return total, cycles + (DSP_CYCLES if self.uses_dsp else 0)

    def _terms(self, m, inputs, weights, output: int) -> list[Term]:
        if self._weights.are_signs:
            return self._passed_or_inverted(m, inputs, weights, output)
        stored = self._weights
        xs = [Term(x, self._low, self._high) for x in split(inputs, self._simd, self._x_type)]
        ws = [Term(w, stored.low, stored.high) for w in split(weights, self._simd, stored.dtype)]
        pairs = enumerate(zip(xs, ws, strict=True))
        if self.uses_dsp:
            return [term for lane, (x, w) in pairs for term in multiply_wide(m, x, w, f"product_{output}_{lane}")[0]]
        return [term for _, (x, w) in pairs for term in multiply(x, w)]

    def _passed_or_inverted(self, m, inputs, are_negative, output: int) -> list[Term]:
        dtype = self._x_type
        masks = Cat(*(are_negative[lane].replicate(dtype.bits) for lane in range(self._simd)))
        lanes = Signal(self._simd * dtype.bits, name=f"passed_or_inverted_{output}")
        m.d.comb += lanes.eq(inputs ^ masks)
        mirror = dtype.low + dtype.high  # the inverse of x is mirror - x
        low, high = min(self._low, mirror - self._high), max(self._high, mirror - self._low)
        return [Term(lane, low, high) for lane in split(lanes, self._simd, dtype)]


def make_array(
    product: Product, fold: LayerPlan, stored: StoredWeights, total: IntType | None
) -> tuple[MacArray | PackedArray, list[int], int]:
    """The array, the words of weights in memory for it, and their width.

    total: holds the final sums and what they start from, where they run over several slots.
    """
    x_type = product.x_type
    # Padding lanes are zero.
    reach = min(0, int(product.reach.low.min())), max(0, int(product.reach.high.max()))
    dsp = fold.multiplier == "dsp" and not stored.are_signs and min(x_type.bits, stored.dtype.bits) > 1
    packing = None
    if dsp and not product.is_lanewise:
        packing = choose_packing(reach, (stored.low, stored.high), fold.pe, fold.simd, total)
    if packing:
        limits = (stored.low, stored.high) if product.is_loaded else None
        packed = PackedWeights(stored.tiles, packing, limits)
        array = PackedArray(x_type, reach, packed, fold.pe, fold.simd)
        return array, packed.words, packed.bits * packed.packs * fold.simd
    array = MacArray(x_type, reach, stored, fold.pe, fold.simd, dsp=dsp, is_lanewise=product.is_lanewise)
    return array, stored.words, stored.dtype.bits * fold.pe * fold.simd


def _as_plain(term: Term) -> Term:
    """The term without a shift or a sign of its own: inputs of -1 and 0 make sums that are subtracted."""
    low, high = ((-bound if term.minus else bound) << term.shift for bound in (term.low, term.high))
    return Term(as_value(term), min(low, high), max(low, high))
