from itertools import pairwise

import numpy as np
import pytest

from espalier.hw.add import signed_digits
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.add import Add
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from graphs import ACTIVATIONS, append, random_inputs
from hardware import assert_exact


def two_inputs(shape, *dtypes) -> Graph:
    ports = tuple(Input(name, TensorType(shape, dtype), shape) for name, dtype in zip("xz", dtypes))
    return Graph(ports, (), (Output("y", "x", shape),))


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("factors", [(1, 1), (1, -1), (-3, 4), (-7, -1), (0, 5), (0, 0)])
def test_sums_are_exact(factors, stall):
    graph = append(two_inputs((2, 3, 5), IntType(3, True), IntType(2)), Add, "sum", ("x", "z"), coefficients=factors)
    plan = Plan(layers={"sum": LayerPlan(pe=3)})
    assert_exact(graph, plan, random_inputs(graph, 3), stall)


@pytest.mark.parametrize("lanes", [1, 4, 7])
@pytest.mark.parametrize("grow", ACTIVATIONS[1:])
def test_a_function_of_sums_is_part_of_the_stage(grow, lanes):
    graph = append(two_inputs((2, 1, 7), IntType(4), IntType(4, True)), Add, "sum", ("x", "z"), coefficients=(2, -1))
    graph = grow(graph, np.random.default_rng(lanes), 2)
    design = assert_exact(graph, Plan(layers={"sum": LayerPlan(pe=lanes)}), random_inputs(graph, 3), 0.3)
    assert list(design.stages) == ["sum"]


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_a_tensor_may_be_added_to_itself(stall):
    graph = append(two_inputs((3, 4), IntType(3)), Add, "sum", ("x", "x"), coefficients=(3, -1))
    graph = Graph(graph.inputs[:1], graph.nodes, graph.outputs)
    assert_exact(graph, Plan(layers={"sum": LayerPlan(pe=2)}), random_inputs(graph, 3), stall)


@pytest.mark.parametrize("number", [*range(-20, 21), 255, -256])
def test_signed_digits_are_the_number(number):
    digits = signed_digits(number)
    assert sum(digit << place for place, digit in digits) == number
    assert all(later - place > 1 for (place, _), (later, _) in pairwise(digits))
