"""Several additions in one carry chain: each sum is as if it were alone."""

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.sim import Simulator

from espalier.hw.packed import Addition, add_packed

SHAPES = [(1, 1, 2, True), (1, 1, 2, False), (3, 2, 4, True), (2, 4, 4, False), (4, 4, 5, True), (5, 5, 5, True)]


def random_additions(rng, count):
    """Operands as signals, and of each addition which it has and how many bits of the sum are wanted."""
    found = []
    for number in range(count):
        a, b, bits, has_carry = SHAPES[rng.integers(len(SHAPES))]
        names = {"a": a, "b": b, **({"carry": 1} if has_carry else {})}
        found.append(({name: Signal(width, name=f"{name}_{number}") for name, width in names.items()}, bits))
    return found


@pytest.mark.parametrize("longest", [1, 7, 40])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_sums_do_not_touch_one_another(count, longest):
    rng = np.random.default_rng(count)
    m, additions = Module(), random_additions(rng, count)
    sums = add_packed(m, [Addition(bits=bits, **operands) for operands, bits in additions], "sum", longest)
    total = Signal(sum(len(value) for value in sums))
    m.d.comb += total.eq(Cat(*sums))

    async def bench(ctx):
        for _ in range(100):
            expected, place = 0, 0
            for operands, bits in additions:
                values = {name: int(rng.integers(1 << len(signal))) for name, signal in operands.items()}
                for name, signal in operands.items():
                    ctx.set(signal, values[name])
                expected |= (sum(values.values()) & ((1 << bits) - 1)) << place
                place += bits
            assert ctx.get(total) == expected

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
