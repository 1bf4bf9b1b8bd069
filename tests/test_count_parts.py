"""What the planner counts is what the hardware has: the same sums, of the same widths, in as many cycles."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from espalier.hw import arithmetic, count_parts
from espalier.hw.resources import Resources
from espalier.hw.stream import lane_shape


@pytest.mark.parametrize("seed", range(30))
def test_a_tree_of_adders_has_the_ranges_and_cycles_of_the_hardware(seed):
    rng = np.random.default_rng(seed)
    counted = [
        count_parts.Term(
            -int(rng.integers(0, 40)), int(rng.integers(1, 40)), int(rng.integers(3)), bool(rng.integers(2))
        )
        for _ in range(seed + 1)
    ]
    built = []
    for term in counted:
        plain = arithmetic.Term(None, *term)
        built.append(arithmetic.Term(Signal(lane_shape(plain.dtype)), *term))
    found, cycles = arithmetic.add_up(Module(), built, "sum")
    _, sum_counted, cycles_counted = count_parts.add_up(counted)
    assert (sum_counted, cycles_counted) == ((found.low, found.high, found.shift, found.minus), cycles)


def test_carry_chains_cost_what_the_placer_spends_on_their_ends():
    one, two = count_parts.adder(12), count_parts.adder(12, 2)
    chains = count_parts.PLACES["chains"]
    assert (one[chains], two[chains], count_parts.adder(4)[chains]) == (1, 2, 0)
    taken = Resources(lut=10, carry=6, lutram=2, chains=3)
    assert (taken.luts("ecp5"), taken.luts("xc7")) == (10 + 2 * 6 + 4 * 3 + 6 * 2, 12)
