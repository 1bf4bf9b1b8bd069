"""What products are made of: gates and tables, or multiplier blocks as each family has them."""

from .arithmetic import DSP_CYCLES, DSP_INPUT, LUT_INPUTS
from .count_parts import NOTHING, Features, Term, bits_between, features


def multiply(x: Term, weight: Term) -> tuple[Features, list[Term]]:
    """In lookup tables; the summands."""
    if min(x.bits, weight.bits) > 1 and x.bits + weight.bits <= LUT_INPUTS:
        low, high = limits_of_product(x, weight)
        return features(looked_up=bits_between(low, high)), [Term(low, high)]
    if (weight.bits, weight.low < 0) <= (x.bits, x.low < 0):
        x, weight = weight, x
    low, high = min(0, weight.low), max(0, weight.high)
    places = range(x.bits)
    return features(gates=weight.bits * x.bits), [Term(low, high, p, x.low < 0 and p == x.bits - 1) for p in places]


def limits_of_product(a: Term, b: Term) -> tuple[int, int]:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(corners), max(corners)


def multiply_wide(x: Term, weight: Term) -> tuple[Features, list[Term]]:
    """In multiplier blocks, whose registers are their own on ECP5; the summands, `DSP_CYCLES` later."""
    found, terms = NOTHING, []
    for a in _pieces(x):
        for b in _pieces(weight):
            low, high = limits_of_product(a, b)
            terms.append(Term(low, high, a.shift + b.shift))
            # Beside a signed factor, an unsigned one gets a sign.
            factors = a.bits + (b.low < 0 <= a.low), b.bits + (a.low < 0 <= b.low)
            # yosys leaves what is too narrow to tables.
            is_wide = min(factors) > 1
            found = found + features(
                dsp=is_wide, dsp_wide=is_wide and a.bits + b.bits > 8, small_product=0 if is_wide else a.bits + b.bits,
                product=a.bits + b.bits, product_area=a.bits * b.bits,
                product_register=DSP_CYCLES * bits_between(low, high),
            ) + _halves(*factors) + _mac16(*factors, bits_between(low, high))  # fmt: skip
    return found, terms


def _halves(a: int, b: int) -> Features:
    """Of Gowin's multipliers of 18 x 18 bits, for factors of so many bits."""
    if min(a, b) < 4:
        return features(soft9=a * b)
    return features(halves=1 if max(a, b) <= 9 else 2)


def _mac16(a: int, b: int, result: int) -> Features:
    """Multipliers of iCE40, each of as many bits of both factors as it takes; what is left over is logic."""
    pairs = [(one, other) for one in _cut(a) for other in _cut(b)]
    soft = [one * other for one, other in pairs if min(one, other) < 2 or min(one + other, result) < 11]
    return features(mac16=len(pairs) - len(soft), soft16=sum(soft))


def _cut(bits: int) -> list[int]:
    return [16] * ((bits - 1) // 16) + [(bits - 1) % 16 + 1]


def _pieces(term: Term) -> list[Term]:
    if term.bits <= DSP_INPUT + (term.low < 0):
        return [term]
    above = _pieces(Term(term.low >> DSP_INPUT, term.high >> DSP_INPUT))
    return [Term(0, (1 << DSP_INPUT) - 1), *(piece._replace(shift=piece.shift + DSP_INPUT) for piece in above)]
