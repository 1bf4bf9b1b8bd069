"""Layers whose weights and thresholds can be replaced while the hardware runs, and types that hold whatever comes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..errors import PlanError
from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from ..ir.graph import Bounds, Graph, IntType, Node
from ..ir.ranges import reach_all
from ..ir.threshold import Threshold
from .double_ram import SPRAM_WORDS
from .plan import LayerPlan, Plan
from .unit import Unit
from .weights import weight_range


def settle(units: Sequence[Unit], plan: Plan) -> Plan:
    """The plan with the bits of all weights that can be replaced; raises PlanError where a layer cannot be built so."""
    layers = dict(plan.layers)
    for unit in units:
        layer = layers.get(unit.name)
        if layer and layer.is_loaded:
            layers[unit.name] = replace(layer, weight_bits=_weight_bits(unit, layer))
        elif layer and layer.weight_bits:
            raise PlanError(
                f"{unit.name}: weight_bits {layer.weight_bits}, but its memory is {layer.memory}; only weights in "
                "memory ram or spram can be replaced: choose one, or leave weight_bits out"
            )
    return replace(plan, layers=layers)


def _weight_bits(unit: Unit, layer: LayerPlan) -> int:
    node = unit.nodes[0]
    if not isinstance(node, Dense | Conv2d):
        raise PlanError(f"{unit.name}: memory {layer.memory}, but it has no weights; leave memory out")
    if layer.engine != "mac":
        raise PlanError(
            f"{unit.name}: memory {layer.memory}, but the {layer.engine} engine is built for the weights that are "
            "there; choose engine mac, or another memory"
        )
    if not isinstance(unit.function, Threshold | None):
        raise PlanError(
            f"{unit.name}: memory {layer.memory}, but a {type(unit.function).__name__} follows its sums, which cannot "
            "be replaced with the weights; give the activation fewer bits, so that it becomes thresholds, or choose "
            "another memory"
        )
    words = -(-node.weights.size // (layer.pe * layer.simd))
    if layer.memory == "spram" and words > SPRAM_WORDS:
        raise PlanError(f"{unit.name}: memory spram holds {SPRAM_WORDS} words, needs {words}; raise pe or simd")
    low, high = int(node.weights.min()), int(node.weights.max())
    needed = 1 if (abs(node.weights) == 1).all() else max(2, IntType.of_range(min(-1, low), max(0, high)).bits)
    bits = layer.weight_bits or needed
    if bits < needed:
        least, most = weight_range(bits)
        raise PlanError(
            f"{unit.name}: weights of {low} to {high} do not fit weight_bits {bits}, which hold {least} to {most}; "
            f"choose weight_bits {needed}"
        )
    return bits


def loaded_nodes(units: Sequence[Unit], plan: Plan) -> dict[str, Node]:
    """The operators whose contents can be replaced."""
    loaded = [unit for unit in units if unit.name in plan.layers and plan.layers[unit.name].is_loaded]
    return {node.name: node for unit in loaded for node in unit.nodes}


def admit(graph: Graph, units: Sequence[Unit], plan: Plan) -> tuple[Graph, dict[str, Bounds]]:
    """The graph with types that hold the results of any contents of ``loaded_nodes``, and the bounds of these."""
    instead: dict[str, Callable[..., Bounds]] = {}
    for name, node in loaded_nodes(units, plan).items():
        if isinstance(node, Threshold):
            instead[name] = partial(_any_counts, node)
        else:
            instead[name] = partial(_any_sums, node, plan.layers[name].weight_bits)
    bounds = reach_all(graph, instead)
    nodes = tuple(replace(node, result=_holding(node.result, bounds[node.name])) for node in graph.nodes)
    return replace(graph, nodes=nodes), bounds


def _any_sums(node: Any, bits: Any, x: Bounds) -> Bounds:
    """Of any weights of so many bits."""
    pad = node.pad_value if isinstance(node, Conv2d) else 0
    reach = min(0, pad, int(x.low.min())), max(0, pad, int(x.high.max()))
    products = [value * weight for value in reach for weight in weight_range(bits)]
    outputs, terms = np.ones(len(node.weights), np.int64), node.weights[0].size
    return Bounds(terms * min(products) * outputs, terms * max(products) * outputs)


def _any_counts(node: Threshold, x: Bounds) -> Bounds:
    channels, steps = node.thresholds.shape
    return Bounds(np.full(channels, node.base), np.full(channels, node.base + steps))


def _holding(result: IntType, bounds: Bounds) -> IntType:
    low, high = int(bounds.low.min()), int(bounds.high.max())
    if result.low <= low and high <= result.high:
        return result
    return IntType.of_range(min(low, result.low), max(high, result.high))


CONTENTS: Mapping[type[Node], str] = {Dense: "weights", Conv2d: "weights", Threshold: "thresholds"}
"""The array of an operator that can be replaced."""


def without_contents(graph: Graph, loaded: Mapping[str, Node]) -> Graph:
    """The graph with zeros for what can be replaced, and without conversions, which are the host's."""
    nodes = []
    for node in graph.nodes:
        if node.name in loaded:
            name = CONTENTS[type(node)]
            node = replace(node, **{name: np.zeros_like(getattr(node, name))})
        nodes.append(node)
    inputs = tuple(replace(port, chain=None) for port in graph.inputs)
    outputs = tuple(replace(port, chain=None) for port in graph.outputs)
    return replace(graph, inputs=inputs, nodes=tuple(nodes), outputs=outputs)
