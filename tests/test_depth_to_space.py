import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, DepthToSpace
from images import WIDE, image_type, in_torch, random_images


def shuffle(block, order="DCR") -> DepthToSpace:
    return DepthToSpace("up1", ("x",), WIDE, block, order)


@pytest.mark.torch
@pytest.mark.parametrize("block", [1, 2, 3])
def test_crd_is_the_pixel_shuffle_of_pytorch(block):
    functional = pytest.importorskip("torch").nn.functional
    x = random_images(2, 3, 2, 5 * block**2)
    expected = in_torch(functional.pixel_shuffle, x, upscale_factor=block)
    np.testing.assert_array_equal(shuffle(block, "CRD").evaluate(x), expected)
    assert shuffle(block, "CRD").shape(image_type(*x.shape[1:])) == expected.shape[1:]


def test_dcr_has_the_block_before_the_channel():
    x = random_images(1, 2, 3, 12)
    y = shuffle(2).evaluate(x)
    for row, column, channel in np.ndindex(4, 6, 3):
        place = (row % 2 * 2 + column % 2) * 3 + channel
        assert y[0, row, column, channel] == x[0, row // 2, column // 2, place]


@pytest.mark.parametrize("order, low", [("DCR", [0, 1]), ("CRD", [0, 4])])
def test_bounds_hold_every_pixel_of_the_block(order, low):
    found = shuffle(2, order).bounds(Bounds(np.arange(8), np.arange(8) + 10))
    np.testing.assert_array_equal(found.low, low)
    np.testing.assert_array_equal(found.high, [16, 17] if order == "DCR" else [13, 17])


def test_channels_that_fill_no_block_are_named():
    with pytest.raises(GraphError, match=r"up1: blocks of 2x2 pixels need a multiple of 4 channels, .* uint4\[1,1,6\]"):
        shuffle(2).shape(image_type(1, 1, 6))


@pytest.mark.parametrize("fields, message", [((0,), "its block is 0 pixels wide"), ((2, "RCD"), "has the order 'RCD'")])
def test_bad_fields_are_named(fields, message):
    with pytest.raises(GraphError, match=f"up1: {message}, need"):
        shuffle(*fields)
