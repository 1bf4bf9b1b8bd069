import warnings

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir.chain import ROUNDINGS, Chain, Step

POINTS = np.concatenate([np.arange(-40, 41) / 8, [1e30, -1e30, np.inf, -np.inf, 1e-45]]).astype(np.float32)[:, None]


def constants(*values):
    return tuple(np.asarray(value, dtype=np.float32) for value in values)


@pytest.mark.parametrize("mode", ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
@pytest.mark.parametrize("signed, narrow, bits", [(1, 0, 3), (1, 1, 3), (0, 0, 2), (0, 1, 2), (1, 0, 1)])
def test_quant_is_that_of_qonnx(mode, signed, narrow, bits):
    oracle = pytest.importorskip("qonnx.custom_op.general.intquant").int_quant
    arguments = constants(0.25, 1, bits)
    step = Step("Quant", arguments, {"signed": signed, "narrow": narrow, "rounding_mode": mode})
    np.testing.assert_array_equal(Chain((step,))(POINTS), oracle(POINTS, *arguments, signed, narrow, mode))


def test_bipolar_quant_calls_zero_positive():
    step = Step("BipolarQuant", constants(0.5))
    np.testing.assert_array_equal(Chain((step,))(np.array([[-0.1, 0.0, -0.0, 3]])), [[-0.5, 0.5, 0.5, 0.5]])


def test_trunc_is_that_of_qonnx():
    oracle = pytest.importorskip("qonnx.custom_op.general.trunc").trunc_v2
    scale, zero, output_scale = constants(0.125, 0, 0.5)
    step = Step("Trunc", (scale, zero, *constants(4), output_scale, *constants(-4, 3)), {"rounding_mode": "FLOOR"})
    expected = oracle(POINTS, scale, zero, np.float32(6), False, True, output_scale, np.float32(3), "FLOOR")
    np.testing.assert_array_equal(Chain((step,))(POINTS), expected)


@pytest.mark.parametrize(
    "mode, expected",
    [("ROUND_TO_ZERO", [-1, 0, 0, 1]), ("DPU", [-1, 0, 0, 2]), ("HALF_UP", [-2, -1, 1, 2]), ("ROUND", [-2, 0, 0, 2])],
)
def test_brevitas_roundings(mode, expected):
    np.testing.assert_array_equal(ROUNDINGS[mode](np.float32([-1.5, -0.5, 0.5, 1.5])), expected)


def test_the_data_may_be_the_second_operand():
    chain = Chain((Step("Sub", constants(1), position=1), Step("Div", constants(2), position=1)))
    np.testing.assert_array_equal(chain(np.array([[0.0, 3.0]])), [[2, -1]])


def test_batch_normalization_rounds_once():
    parameters = constants([1.5, -0.3], [0.1, 7], [20, -3], [2, 9])
    step = Step("BatchNormalization", parameters, {"epsilon": 1e-5})
    x = np.arange(-50, 50, dtype=np.float32)[:, None] * np.ones(2, dtype=np.float32)
    scale, bias, mean, variance = (parameter.astype(np.float64) for parameter in parameters)
    exact = (x - mean) / np.sqrt(variance + 1e-5) * scale + bias
    np.testing.assert_allclose(Chain((step,))(x), exact, rtol=0, atol=1e-5)  # float32 rounding


@pytest.mark.torch
def test_batch_normalization_is_that_of_torch():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(3)
    scale, bias, mean, variance = generator.uniform(0.1, 30, (4, 16)).astype(np.float32)
    x = generator.integers(-999, 999, (4000, 16)).astype(np.float32)
    expected = torch.nn.functional.batch_norm(*map(torch.tensor, (x, mean, variance, scale, bias)), False, 0, 1e-5)
    ours = Chain((Step("BatchNormalization", (scale, bias, mean, variance), {"epsilon": 1e-5}),))(x)
    # Processors without a fused multiply-add round twice.
    np.testing.assert_allclose(ours, expected.numpy(), rtol=2e-7, atol=1e-4)


def test_codes_are_the_inverse_of_dequantize():
    grid = (np.float64(0.1), np.float64(-0.3), np.int64(2), np.array([-1, 5]))
    codes = np.arange(-300, 300)[:, None] * np.ones(2, dtype=np.int64)
    np.testing.assert_array_equal(Chain((Step("Dequantize", grid), Step("Codes", grid)))(codes), codes)


def test_dequantize_rounds_large_integers_once():
    step = Step("Dequantize", (np.float64(1), np.float64(0), np.int64(1), np.int64(0)))
    np.testing.assert_array_equal(Chain((step,))(np.array([2**24 + 1, 2**53 - 1])), np.float32([2**24, 2**53]))


def test_overflow_is_silent():
    chain = Chain(
        (Step("Mul", constants(3e38)), Step("Add", constants(-np.inf)), Step("Quant", constants(1, 0, 4), FLAGS))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(chain(np.float32([[10]]))).all()


FLAGS = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}


@pytest.mark.parametrize("operator", ["Sigmoid", "Tanh", "Elu"])
def test_curves_rise_from_float_to_float(operator):
    x = np.linspace(-30, 30, 200_001, dtype=np.float32)[:, None]
    assert (np.diff(Chain((Step(operator, attributes={"alpha": 1.0}),))(x), axis=0) >= 0).all()


@pytest.mark.parametrize(
    "step, expected",
    [
        (Step("Clip", constants(-1, 2)), [-1, -0.5, 2]),
        (Step("Relu"), [0, 0, 3]),
        (Step("LeakyRelu", attributes={"alpha": 0.5}), [-1, -0.25, 3]),
        (Step("PRelu", constants(0.25)), [-0.5, -0.125, 3]),
        (Step("HardSigmoid", attributes={"alpha": 0.25, "beta": 0.5}), [0, 0.375, 1]),
        (Step("Max", constants(1)), [1, 1, 3]),
        (Step("Pow", constants(2)), [4, 0.25, 9]),
        (Step("Round"), [-2, 0, 3]),
        (Step("Reshape", (np.array([3, 1]),)), [[-2], [-0.5], [3]]),
        (Step("ArgMax", attributes={"axis": 1, "keepdims": 1}), [2]),
    ],
)
def test_operators(step, expected):
    np.testing.assert_array_equal(Chain((step,))(np.float32([[-2, -0.5, 3]])), np.float32([expected]))


def test_softmax_sums_to_one():
    y = Chain((Step("Softmax", attributes={"axis": 1}),))(np.float32([[1000, 999, -5]]))
    np.testing.assert_allclose(y.sum(), 1, rtol=1e-6)


def test_unknown_operator_is_named():
    with pytest.raises(GraphError, match="Gelu"):
        Chain((Step("Gelu"),))(np.zeros((1, 1)))
