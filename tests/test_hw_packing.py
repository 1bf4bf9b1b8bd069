"""Products in one multiplier come apart exactly, for every value of every operand."""

from itertools import product

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.sim import Simulator

from espalier.boards.synth import synthesize
from espalier.hw.arithmetic import Term, as_value
from espalier.hw.carried import Carried, add_up_carried, add_with_carry
from espalier.hw.design import generate
from espalier.hw.packing import PackedWeights, Packing, choose_packing, join_starts, split_total, take_apart
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.stream import lane_shape
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from graphs import append, empty_graph


def limits(dtype: IntType) -> tuple[int, int]:
    return dtype.low, dtype.high


def evaluate(inputs, outputs, rows):
    """The outputs, combinational, for each row of inputs."""
    m, found = Module(), []
    given = Signal(sum(len(signal) for signal in inputs))
    results = [Signal.like(Value.cast(output), name=f"result_{place}") for place, output in enumerate(outputs)]
    m.d.comb += Cat(*inputs).eq(given)
    m.d.comb += [result.eq(output) for result, output in zip(results, outputs, strict=True)]
    starts = np.cumsum([0, *(len(signal) for signal in inputs)])
    words = [
        sum((int(value) & (1 << len(signal)) - 1) << int(start) for value, signal, start in zip(row, inputs, starts))
        for row in rows
    ]

    async def bench(ctx):
        for word in words:
            ctx.set(given, word)
            found.append([ctx.get(result) for result in results])

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(found)


def settled(part: Carried):
    return add_with_carry(part.term.value, Const(0, 1), part.carry)


def multiplied(weights: PackedWeights, x_type: IntType, size: int):
    """Inputs: words of ``size`` operands, and as many x; the total of their products, which is not registered."""
    words = [Signal(weights.bits, name=f"word_{place}") for place in range(size)]
    xs = [Signal(lane_shape(x_type), name=f"x_{place}") for place in range(size)]
    operands = [weights.operand(word) for word in words]
    total = sum((x * operand.value for x, operand in zip(xs, operands, strict=True)), Const(0, 1))
    corners = [a * b for a in limits(x_type) for b in (weights.low, weights.high)]
    return words, xs, Term(total, size * min(corners), size * max(corners))


def products_of(rows, x_type: IntType, packing: Packing):
    """The sums of products of each lane: rows (cases, size, lanes) of weights with xs (cases, size)."""
    codes, xs = rows
    cases, size, lanes = codes.shape
    weights = PackedWeights(codes.reshape(-1, lanes, 1), packing)
    words, signals, total = multiplied(weights, x_type, size)
    corners = [a * b for a in limits(x_type) for b in (int(codes.min()), int(codes.max()))]
    parts = take_apart(total, packing, size * min(0, *corners), size * max(0, *corners))
    stored = np.array(weights.words).reshape(cases, size)
    return evaluate([*words, *signals], [settled(part) for part in parts], np.hstack([stored, xs]))


NARROW = (-7, 7)


@pytest.mark.parametrize(
    "weights, x_type, lanes",
    [
        (limits(IntType(4, True)), IntType(4), 2),
        (limits(IntType(4, True)), IntType(4, True), 2),
        (limits(IntType(4)), IntType(4), 2),
        (limits(IntType(4)), IntType(4, True), 2),
        (NARROW, IntType(5), 2),
        (limits(IntType(3, True)), IntType(3), 3),
        (limits(IntType(3, True)), IntType(3, True), 3),
        (limits(IntType(2, True)), IntType(2), 4),
        (limits(IntType(2, True)), IntType(2, True), 4),
        ((-1, 1), IntType(2, True), 5),
        ((0, 3), IntType(2), 4),
        ((0, 3), IntType(3, True), 3),
    ],
)
def test_every_product_of_all_operands_is_exact(weights, x_type, lanes):
    packing = choose_packing(limits(x_type), weights, lanes, 1, None)
    assert packing and packing.lanes == lanes
    values, inputs = range(weights[0], weights[1] + 1), range(x_type.low, x_type.high + 1)
    cases = np.array(list(product(inputs, *[values] * lanes)))
    xs, codes = cases[:, :1], cases[:, None, 1:]
    found = products_of((codes, xs), x_type, packing)
    np.testing.assert_array_equal(found, codes[:, 0] * xs)


@pytest.mark.parametrize("x_type", [IntType(4), IntType(4, True), IntType(3)], ids=str)
@pytest.mark.parametrize("weights", [(-8, 7), (-4, 4), (-2, 1), (0, 7)], ids=str)
@pytest.mark.parametrize("simd", [2, 11])
def test_sums_of_a_group_are_exact_up_to_the_extremes(weights, x_type, simd):
    packing = choose_packing(limits(x_type), weights, 2, simd, None)
    assert packing and packing.lanes == 2
    rng, size = np.random.default_rng(0), packing.group
    ends = np.array(list(product(weights, weights, limits(x_type))))
    codes = np.concatenate([np.tile(ends[:, None, :2], (1, size, 1)), rng.choice(weights, (60, size, 2))])
    xs = np.concatenate([np.tile(ends[:, 2:], (1, size)), rng.choice(limits(x_type), (60, size))])
    found = products_of((codes, xs), x_type, packing)
    np.testing.assert_array_equal(found, (codes * xs[:, :, None]).sum(axis=1))


@pytest.mark.parametrize("dtype", [IntType(5, True), IntType(5)], ids=str)
@pytest.mark.parametrize("lanes", [2, 3])
def test_final_sums_lie_side_by_side_whatever_they_start_from(dtype, lanes):
    packing = Packing(lanes, dtype.bits, 1, is_whole=True)
    rng = np.random.default_rng(0)
    ends = np.array(list(product(limits(dtype), repeat=lanes)))
    sums = np.concatenate([ends, rng.integers(dtype.low, dtype.high, (200, lanes), endpoint=True)])
    starts = rng.integers(-4 * dtype.signed, 4, sums.shape)
    added = ((sums - starts) << dtype.bits * np.arange(lanes)).sum(axis=1)
    start_signals = [Signal(lane_shape(IntType(3, True)), name=f"start_{lane}") for lane in range(lanes)]
    change = Signal(lane_shape(IntType(40, True)))
    total = Value.cast(join_starts(start_signals, packing, dtype) + change)
    found = evaluate([*start_signals, change], split_total(total, packing, dtype), np.c_[starts, added])
    np.testing.assert_array_equal(found, sums)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_no_carry_is_lost_in_a_tree(count):
    rng, m = np.random.default_rng(count), Module()
    terms = [Signal(lane_shape(IntType(4, True)), name=f"term_{place}") for place in range(count)]
    carries = [Signal(name=f"carry_{place}") for place in range(count)]
    parts = [
        Carried(Term(term, -8, 7), carry if place % 3 else None)
        for place, (term, carry) in enumerate(zip(terms, carries))
    ]
    total, cycles = add_up_carried(m, parts, "sum")
    result = settled(total)
    rows = np.concatenate([rng.integers(-8, 8, (50, count)), [[-8] * count, [7] * count]])
    bits = rng.integers(0, 2, rows.shape)
    found = []

    async def bench(ctx):
        for row, flags in zip(rows, bits, strict=True):
            for signal, value in zip([*terms, *carries], [*row, *flags], strict=True):
                ctx.set(signal, int(value))
            await ctx.tick().repeat(cycles + 1)
            found.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    counted = bits * (np.arange(count) % 3 > 0)
    np.testing.assert_array_equal(found, (rows + counted).sum(axis=1))


@pytest.mark.parametrize(
    "weights, x, pe, simd, total, expected",
    [
        ((-8, 7), (0, 15), 2, 16, None, Packing(2, 12, 16)),
        ((-8, 7), (0, 15), 2, 16, IntType(13, True), Packing(2, 13, 16, is_whole=True)),
        ((-8, 7), (0, 15), 2, 64, IntType(14, True), Packing(2, 13, 32)),
        ((-7, 7), (0, 15), 3, 4, None, Packing(2, 10, 4)),
        ((-4, 4), (0, 15), 3, 4, None, Packing(3, 7, 1)),
        ((-8, 7), (0, 15), 1, 4, None, None),
        ((-128, 127), (0, 255), 2, 4, None, None),
    ],
)
def test_as_many_outputs_as_fit_share_a_multiplier(weights, x, pe, simd, total, expected):
    assert choose_packing(x, weights, pe, simd, total) == expected


def test_as_value_of_an_operand_is_the_weights_side_by_side():
    weights = PackedWeights(np.array([[[-8], [7]], [[3], [-8]]]), Packing(2, 13, 1))
    word = Signal(weights.bits)
    found = evaluate([word], [as_value(weights.operand(word))], [[code] for code in weights.words])
    assert found[:, 0].tolist() == [-8 + (7 << 13), 3 - (8 << 13)]


@pytest.mark.synth
@pytest.mark.parametrize("device", ["ecp5-25k", "xc7a35t"])
def test_a_pair_of_outputs_is_one_multiplier(device, tmp_path):
    weights = np.random.default_rng(0).integers(-8, 8, (8, 6))
    graph = append(empty_graph((6,)), Dense, "fc", weights=weights)
    design = generate(graph, Plan(layers={"fc": LayerPlan(pe=4, simd=2, multiplier="dsp")}))
    report = synthesize(design.verilog(), design.top, device, tmp_path, place=False)
    assert (report.area.dsp, report.not_absorbed) == (4, {})
