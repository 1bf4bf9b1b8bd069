from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import (
    Conv2d,
    ConvTranspose2d,
    Dense,
    DepthToSpace,
    Graph,
    Output,
    Requantize,
    Slice,
    Table,
    Threshold,
    execute,
)
from espalier.ir.subpixel import decompose_transposed
from graphs import add_requantize, add_table, add_threshold, append, empty_graph, random_frames


def up_graph(kernel=(4, 4), stride=(2, 2), padding=(0, 0, 0, 0), extra=(0, 0), image=(3, 4, 2)) -> Graph:
    weights = np.random.default_rng(0).integers(-4, 5, (3, *kernel, image[2]))
    fields = dict(weights=weights, stride=stride, padding=padding, output_padding=extra)
    return append(empty_graph(image), ConvTranspose2d, "up", **fields)


def decompose(graph: Graph) -> Graph:
    """Checked, and known to compute the same."""
    found = decompose_transposed(graph)
    found.check()
    frames = random_frames(graph)
    for name, values in execute(graph, frames).items():
        np.testing.assert_array_equal(execute(found, frames)[name], values)
    return found


def operators(graph: Graph) -> list[type]:
    return [type(node) for node in graph.nodes]


@pytest.mark.parametrize("kernel", [(1, 2), (2, 2), (3, 3), (5, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding, extra", [((0, 0, 0, 0), (0, 0)), ((1, 0, 0, 1), (1, 2)), ((0, 1, 1, 0), (0, 1))])
@pytest.mark.parametrize("image", [(3, 4, 2), (2, 1, 3)])
def test_computes_the_same(kernel, stride, padding, extra, image):
    graph = up_graph(kernel, (stride, stride), padding, extra, image)
    assert ConvTranspose2d not in operators(decompose(graph))


def test_crop_beyond_the_first_taps_computes_the_same():
    decompose(up_graph((5, 5), (2, 2), (4, 4, 0, 0), image=(4, 4, 2)))
    decompose(up_graph((3, 3), (2, 2), (0, 0, 4, 5), image=(4, 4, 2)))


def test_kernel_of_the_stride_is_a_product_for_each_pixel():
    found = decompose(up_graph((2, 2), (2, 2)))
    assert operators(found) == [Conv2d, DepthToSpace]
    assert (found.node("up").kernel, found.node("up").padding) == ((1, 1), (0, 0, 0, 0))


def test_no_weight_is_lost_and_none_added():
    graph = up_graph((4, 4), (2, 2), (1, 1, 1, 1))
    found = decompose(graph)
    assert operators(found) == [Conv2d, DepthToSpace, Slice]
    before, after = graph.node("up").weights, found.node("up").weights
    np.testing.assert_array_equal(np.sort(before, axis=None), np.sort(after, axis=None))


def test_stride_one_needs_no_shuffle():
    assert operators(decompose(up_graph((3, 3), (1, 1), (1, 1, 1, 1)))) == [Conv2d]


@pytest.mark.parametrize("add, kind", [(add_threshold, Threshold), (add_table, Table), (add_requantize, Requantize)])
def test_function_moves_before_the_shuffle(add, kind):
    found = decompose(add(up_graph(), np.random.default_rng(1), 3))
    assert operators(found) == [Conv2d, kind, DepthToSpace]
    assert found.outputs[0].tensor == "up_pixels"


def test_function_stays_behind_sums_that_others_read():
    graph = add_threshold(up_graph(), np.random.default_rng(1), 3)
    graph = replace(graph, outputs=(*graph.outputs, Output("sums", "up", graph.tensors["up"].shape)))
    assert operators(decompose(graph)) == [Conv2d, DepthToSpace, Threshold]


def test_one_follows_another():
    graph = add_threshold(up_graph(), np.random.default_rng(1), 2)
    graph = append(graph, ConvTranspose2d, "up2", weights=np.ones((2, 3, 3, 3), dtype=int), stride=(2, 2))
    assert operators(decompose(append(graph, Dense, "fc", weights=[[1, 2]]))).count(Conv2d) == 2


def test_new_names_are_free():
    graph = append(up_graph(), Dense, "up_pixels", weights=[[1, 2, 3]])
    assert [node.name for node in decompose(graph).nodes] == ["up", "up_pixels_", "up_pixels"]


def test_uneven_strides_are_named():
    with pytest.raises(GraphError, match=r"up: has stride \(1, 2\), need the same vertically and horizontally"):
        decompose_transposed(up_graph(stride=(1, 2)))
