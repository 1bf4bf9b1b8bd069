import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Upsample2d
from images import WIDE, all_images, check_bounds, image_type, in_torch, random_images


def up(factor) -> Upsample2d:
    return Upsample2d("up1", ("x",), WIDE, factor)


@pytest.mark.torch
@pytest.mark.parametrize("factor", [(1, 1), (2, 3), (3, 1)])
def test_matches_pytorch(factor):
    functional = pytest.importorskip("torch").nn.functional
    x = random_images(2, 3, 4, 5)
    np.testing.assert_array_equal(up(factor).evaluate(x), in_torch(functional.interpolate, x, scale_factor=factor))
    assert up(factor).shape(image_type(3, 4, 5)) == (3 * factor[0], 4 * factor[1], 5)


def test_bounds_are_reached():
    check_bounds(up((2, 2)), all_images(2, 2, 2))


def test_vector_and_bad_factor_are_refused():
    with pytest.raises(GraphError, match=r"up1: takes an image .* produces uint4\[5\]"):
        up((2, 2)).shape(image_type(5))
    with pytest.raises(GraphError, match=r"up1: factor is \(2, 0\), need"):
        up((2, 0))
