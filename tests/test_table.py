import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, IntType, Table, TensorType


def table(values, first=0) -> Table:
    return Table("f1", ("x",), IntType(8, signed=True), values, first)


@pytest.mark.parametrize("shape", [(1, 2), (9, 2), (2, 3, 1, 2)])
def test_looks_up_by_channel(shape):
    rng = np.random.default_rng(0)
    node, x = table(rng.integers(-9, 9, (2, 8)), first=-3), rng.integers(-3, 5, shape)
    expected = [node.values[index % 2, value + 3] for index, value in enumerate(x.flat)]
    np.testing.assert_array_equal(node.evaluate(x), np.reshape(expected, shape))


def test_bounds_see_only_the_codes_that_come():
    found = table([[9, 1, 5, -9], [0, 7, 3, 2]], first=-1).bounds(Bounds(np.array([0, -1]), np.array([1, 2])))
    np.testing.assert_array_equal(found.low, [1, 0])
    np.testing.assert_array_equal(found.high, [5, 7])


@pytest.mark.parametrize("code", [-2, 3])
def test_code_outside_is_refused(code):
    node = table([[1, 2, 3, 4]], first=-1)
    with pytest.raises(GraphError, match=rf"f1: covers -1\.\.2, but {code}\.\.{code} come in; extend the table"):
        node.evaluate(np.array([[code]]))


def test_wrong_channel_count_is_named():
    with pytest.raises(GraphError, match=r"f1: has tables for 1 channels, .* uint4\[2\]; give it one row"):
        table([[1]]).shape(TensorType((2,), IntType(4)))


def test_empty_table_is_refused():
    with pytest.raises(GraphError, match=r"f1: values have shape \[1, 0\]; every size must be at least 1"):
        table(np.zeros((1, 0), dtype=int))
