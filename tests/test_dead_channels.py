"""Dead channels on images: through convolutions, pools, sums, joins and what moves pixels."""

from dataclasses import replace

import numpy as np
import pytest

from espalier.ir import (
    Add,
    Concat,
    Conv2d,
    Dense,
    DepthToSpace,
    Graph,
    MaxPool2d,
    Output,
    Pad,
    Slice,
    SumPool2d,
    Threshold,
    Upsample2d,
    execute,
    find_bounds,
)
from espalier.ir.dead_channels import drop_dead_channels
from graphs import append, empty_graph, random_frames

ONES = (1, 1, 1, 1)


def drop(graph: Graph) -> Graph:
    """Checked, and known to compute the same."""
    smaller, frames = drop_dead_channels(graph), random_frames(graph, 20)
    smaller.check()
    for name, values in execute(graph, frames).items():
        np.testing.assert_array_equal(execute(smaller, frames)[name], values)
    return smaller


def widths(graph: Graph, *names: str) -> list[int]:
    return [graph.tensors[name].channels for name in names]


def kernel(outputs: int, inputs: int, rows: int = 3, columns: int = 3, seed: int = 0):
    """Weights without zeros."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 4, (outputs, rows, columns, inputs)) * rng.choice([-1, 1], (outputs, rows, columns, inputs))


def image(channels: int = 2) -> Graph:
    """x uint4[4, 4, channels] -> conv1, one pixel each."""
    return append(empty_graph((4, 4, channels)), Conv2d, "conv1", weights=kernel(channels, channels, 1, 1))


def spread(graph: Graph):
    """Three thresholds for each channel, all of which some values reach."""
    reach = find_bounds(graph)[graph.outputs[0].tensor]
    return np.linspace(reach.low, reach.high, 5, dtype=np.int64)[1:4].T + 1


def with_constant(value: int = 1, source: Graph | None = None, name: str = "act1") -> Graph:
    """... -> act1, whose last channel always gives value."""
    graph = source or image()
    thresholds = spread(graph)
    thresholds[-1] = np.where(np.arange(3) < value, -(10**6), 10**6)
    return append(graph, Threshold, name, thresholds=thresholds)


def finish(graph: Graph, name: str = "act2", weights=None) -> Graph:
    """... -> act2 -> fc."""
    graph = append(graph, Threshold, name, thresholds=spread(graph))
    return append(graph, Dense, "fc", weights=weights or [np.arange(graph.tensors[name].channels) + 1])


LANEWISE = [
    (MaxPool2d, dict(kernel=(3, 2), stride=(1, 2), padding=(1, 0, 0, 1))),
    (SumPool2d, dict(kernel=(2, 2), stride=(1, 1), padding=ONES)),
    (Upsample2d, dict(factor=(2, 1))),
    (Pad, dict(padding=(1, 0, 2, 0), value=3)),
    (Threshold, dict(thresholds=[[1, 5], [2, 7], [0, 4]])),
    (Slice, dict(start=(1, 0, 0), stop=(3, 4, 3))),
    (Conv2d, dict(weights=kernel(3, 1), groups=3, padding=ONES)),
]


@pytest.mark.parametrize("operator, fields", LANEWISE)
def test_channel_that_nothing_reads_goes(operator, fields):
    graph = append(image(3), operator, "op", **fields)
    graph = append(graph, Conv2d, "conv2", weights=kernel(2, 3) * [1, 0, 1], padding=ONES, pad_value=2)
    assert widths(drop(graph), "x", "conv1", "op", "conv2") == [3, 2, 2, 2]


def test_constant_moves_into_thresholds_after_a_convolution():
    graph = finish(append(with_constant(2), Conv2d, "conv2", weights=kernel(2, 2), stride=(1, 1), dilation=(1, 1)))
    smaller = drop(graph)
    assert widths(smaller, "conv1", "act1", "conv2", "act2") == [1, 1, 2, 2]
    shift = 2 * graph.node("conv2").weights[..., 1].sum(axis=(1, 2))
    np.testing.assert_array_equal(smaller.node("act2").thresholds, graph.node("act2").thresholds - shift[:, None])


@pytest.mark.parametrize("constant, pad_value, kept", [(2, 2, 1), (2, 0, 2), (2, 3, 2), (0, 0, 1), (0, 1, 2)])
def test_constant_leaves_a_padded_convolution_only_if_padding_looks_the_same(constant, pad_value, kept):
    fields = dict(weights=kernel(2, 2, 2, 2), padding=(1, 0, 0, 0), pad_value=pad_value)
    graph = finish(append(with_constant(constant), Conv2d, "conv2", **fields))
    assert widths(drop(graph), "conv1", "act1") == [kept, kept]


@pytest.mark.parametrize("constant, pad_value, kept", [(0, 0, 1), (0, 2, 2), (2, 2, 2)])
def test_sums_that_go_out_lose_zeros_only(constant, pad_value, kept):
    fields = dict(weights=kernel(2, 2), padding=ONES, pad_value=pad_value)
    assert widths(drop(append(with_constant(constant), Conv2d, "conv2", **fields)), "act1") == [kept]


PASSING = [
    (MaxPool2d, dict(kernel=(2, 2), stride=(2, 2), padding=(1, 0, 0, 1)), 1),
    (SumPool2d, dict(kernel=(2, 3), stride=(1, 1)), 1),
    (Upsample2d, dict(factor=(1, 2)), 1),
    (Slice, dict(start=(0, 1, 0), stop=(3, 3, 2)), 1),
    (Conv2d, dict(weights=kernel(4, 1), groups=2, stride=(2, 2), dilation=(1, 1)), 1),
    (Pad, dict(padding=(0, 0, 0, 0)), 1),
    (SumPool2d, dict(kernel=(2, 3), stride=(1, 1), padding=(0, 0, 1, 0)), 2),
    (Conv2d, dict(weights=kernel(2, 1), groups=2, padding=(0, 0, 1, 0)), 2),
    (Pad, dict(padding=(0, 0, 0, 1)), 2),
]


@pytest.mark.parametrize("operator, fields, kept", PASSING)
def test_constant_moves_through_what_treats_all_pixels_alike(operator, fields, kept):
    graph = append(with_constant(), Conv2d, "conv2", weights=kernel(2, 2, 1, 1))
    assert widths(drop(finish(append(graph, operator, "op", **fields))), "act1") == [kept]


def test_constants_of_both_branches_add_up():
    first = append(with_constant(1), Conv2d, "conv2", weights=kernel(2, 2, 1, 1))
    second = with_constant(3, replace(first, outputs=(Output("y", "conv1", (4, 4, 2)),)), "act3")
    second = append(second, Conv2d, "conv3", weights=kernel(2, 2, 1, 1, seed=1))
    graph = finish(append(second, Add, "sum", ("conv2", "conv3"), coefficients=(2, -1)))
    smaller = drop(graph)
    assert widths(smaller, "conv1", "act1", "act3", "sum") == [1, 1, 1, 2]
    shift = (2 * 1 * first.node("conv2").weights - 3 * second.node("conv3").weights)[:, 0, 0, 1]
    np.testing.assert_array_equal(smaller.node("act2").thresholds, graph.node("act2").thresholds - shift[:, None])


def residual(*more: Output) -> Graph:
    """x -> conv1 -> conv2; conv1 + conv2 -> act2 -> fc, which leaves the last of three channels unread."""
    graph = append(image(3), Conv2d, "conv2", weights=kernel(3, 3), padding=ONES)
    graph = append(graph, Add, "sum", ("conv1", "conv2"))
    graph = finish(graph, weights=[[1, 2, 0]])
    return replace(graph, outputs=(*graph.outputs, *more))


def test_channel_dies_in_both_branches_only_if_neither_needs_it():
    assert widths(drop(residual()), "conv1", "conv2", "sum", "act2") == [3, 3, 3, 3]  # conv2 takes all of conv1
    graph = residual()
    blind = replace(graph.node("conv2"), weights=graph.node("conv2").weights * [1, 1, 0])
    graph = replace(graph, nodes=tuple(blind if node.name == "conv2" else node for node in graph.nodes))
    assert widths(drop(graph), "conv1", "conv2", "sum", "act2") == [2, 2, 2, 2]
    graph = replace(graph, outputs=(*graph.outputs, Output("z", "conv2", (4, 4, 3))))
    assert widths(drop(graph), "conv1", "conv2", "sum", "act2") == [3, 3, 3, 3]


def joined(weights) -> Graph:
    """conv1, two channels, and conv2, three: side by side -> fc."""
    graph = append(image(), Conv2d, "conv2", "x", weights=kernel(3, 2, 1, 1))
    graph = append(graph, Concat, "cat", ("conv1", "conv2"))
    return append(graph, Conv2d, "conv3", weights=kernel(2, 5) * weights)


def test_joined_channels_die_each_in_its_own_tensor():
    smaller = drop(joined([1, 0, 0, 1, 0]))
    assert widths(smaller, "conv1", "conv2", "cat") == [1, 1, 2]


def test_tensor_joined_with_itself_keeps_what_either_copy_needs():
    graph = append(image(3), Concat, "cat", ("conv1", "conv1"))
    graph = append(graph, Dense, "fc", weights=[[1, 0, 0, 0, 0, 2]])
    assert widths(drop(graph), "conv1", "cat") == [2, 4]


def test_constant_moves_through_joined_sums():
    graph = append(with_constant(), Conv2d, "conv2", weights=kernel(2, 2, 1, 1))
    graph = append(graph, Concat, "cat", ("conv2", "x"))
    assert widths(drop(finish(graph)), "act1", "cat") == [1, 4]


def cut(weights, *others: Output) -> Graph:
    """conv1, six channels -> those from 1 to 5 -> fc."""
    graph = append(append(image(6), Slice, "cut", start=(0, 0, 1), stop=(4, 4, 5)), Dense, "fc", weights=[weights])
    return replace(graph, outputs=(*graph.outputs, *others))


def test_cut_takes_only_channels_that_are_read():
    smaller = drop(cut([0, 3, 0, 2]))
    assert widths(smaller, "conv1", "cut") == [2, 2]
    assert (smaller.node("cut").start, smaller.node("cut").stop) == ((0, 0, 0), (4, 4, 2))


def test_cut_keeps_what_lies_between_and_others_need():
    smaller = drop(cut([0, 3, 0, 2], Output("z", "conv1", (4, 4, 6))))
    assert widths(smaller, "conv1", "cut") == [6, 3]
    assert (smaller.node("cut").start, smaller.node("cut").stop) == ((0, 0, 2), (4, 4, 5))


@pytest.mark.parametrize("order", ["DCR", "CRD"])
def test_block_goes_only_as_a_whole(order):
    graph = append(image(8), DepthToSpace, "up", block=2, order=order)
    smaller = drop(append(graph, Conv2d, "conv2", weights=kernel(1, 2) * [0, 1]))
    assert widths(smaller, "conv1", "up") == [4, 1]


def test_depthwise_channel_goes_with_its_input():
    graph = append(image(5), Conv2d, "dw", weights=kernel(5, 1), groups=5, padding=ONES)
    smaller = drop(append(graph, Dense, "fc", weights=[[1, 0, 0, 2, 3]]))
    assert widths(smaller, "conv1", "dw") == [3, 3]
    assert smaller.node("dw").is_depthwise


def grouped(weights, fc) -> Graph:
    """conv1, six channels -> conv2 of three groups, two inputs and two outputs each -> fc."""
    graph = append(image(6), Conv2d, "conv2", weights=kernel(6, 2, 1, 2) * np.reshape(weights, (6, 1, 1, 2)), groups=3)
    return append(graph, Dense, "fc", weights=[fc])


@pytest.mark.parametrize(
    "weights, fc, groups, inputs, outputs",
    [
        (np.ones(12), [1, 1, 0, 0, 1, 1], 2, 4, 4),  # a whole group
        (np.ones(12), [1, 0, 0, 1, 1, 0], 3, 6, 3),  # an output of each
        ([1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0], np.ones(6), 3, 3, 6),  # an input of each
        ([1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0], np.ones(6), 3, 6, 6),  # not of all, so none goes
        (np.ones(12), [1, 0, 0, 0, 1, 1], 2, 4, 4),
        (np.ones(12), [0, 0, 0, 1, 0, 0], 1, 2, 1),
    ],
)
def test_groups_stay_alike(weights, fc, groups, inputs, outputs):
    smaller = drop(grouped(np.asarray(weights, dtype=int), np.asarray(fc, dtype=int)))
    assert widths(smaller, "conv1", "conv2") == [inputs, outputs]
    assert smaller.node("conv2").groups == groups


def test_dead_branch_keeps_one_channel():
    graph = append(image(3), Conv2d, "conv2", weights=kernel(3, 3) * 0, padding=ONES)
    graph = append(graph, Conv2d, "conv3", "x", weights=kernel(1, 3), padding=ONES)
    graph = append(graph, Concat, "cat", ("conv2", "conv3"))
    assert widths(drop(finish(graph)), "conv1", "conv2", "conv3", "cat") == [1, 1, 1, 2]
