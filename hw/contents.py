"""Other contents for a design: the weights and thresholds of another training of the same network, as an image."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ..errors import GraphError
from ..ir.graph import Graph, Ints, Node
from ..ir.threshold import Threshold
from .design import Design, generate
from .image import make_image
from .loadable import CONTENTS, loaded_nodes, settle
from .operators import units

ADVICE = "only weights and thresholds of layers in memory ram or spram can be replaced"

BEYOND = 1 << 62
"""No sum is as large."""


def make_image_of(design: Design, other: Graph) -> tuple[bytes, Graph]:
    """The image that makes ``design`` compute ``other``, and the graph that it then has; ``other`` with its types.

    Raises GraphError naming the first difference where more differs than what can be replaced, and PlanError where
    weights do not fit their memory.
    """
    if not design.memories:
        raise GraphError(f"{design.top}: no layer has its weights in memory ram or spram, so that none can be replaced")
    graph = take_contents(design.graph, other, loaded_nodes(design.units, design.plan))
    settle(units(graph), design.plan)  # weights that are too large, before what they lead to
    changed = generate(graph, design.plan)
    assert changed.layout == design.layout
    return make_image(changed.memories, design.layout), graph


def take_contents(graph: Graph, other: Graph, loaded: Mapping[str, Node]) -> Graph:
    """``graph`` with the contents of ``loaded`` and the conversions of ``other``."""
    names, found = [node.name for node in graph.nodes], [node.name for node in other.nodes]
    if names != found:
        place = next((at for at, (one, two) in enumerate(zip(names, found)) if one != two), min(len(names), len(found)))
        had, has = ([*some, "nothing"][place] for some in (names, found))
        raise GraphError(f"{other.name}: has {has} where the design has {had}; it must be the same network")
    for kind, ours, theirs in (("input", graph.inputs, other.inputs), ("output", graph.outputs, other.outputs)):
        if [port.name for port in ours] != [port.name for port in theirs]:
            raise GraphError(f"{other.name}: its {kind}s have other names; it must be the same network")
    for ours, theirs in zip(graph.inputs, other.inputs):
        if (ours.type, ours.model_shape) != (theirs.type, theirs.model_shape):
            raise GraphError(f"input {ours.name}: is {theirs.type}, but the design takes {ours.type}; {ADVICE}")
    for ours, theirs in zip(graph.outputs, other.outputs):
        if (ours.tensor, ours.model_shape) != (theirs.tensor, theirs.model_shape):
            raise GraphError(f"output {ours.name}: is of {theirs.tensor}, in the design of {ours.tensor}; {ADVICE}")
    nodes = [_take(one, two, one.name in loaded) for one, two in zip(graph.nodes, other.nodes)]
    return replace(graph, inputs=other.inputs, nodes=tuple(nodes), outputs=other.outputs)


def _take(node: Any, other: Any, is_loaded: bool) -> Node:
    """``node``, whose contents, if they can be replaced, are those of ``other``; nothing else may differ."""
    if type(node) is not type(other):
        raise GraphError(f"{node.name}: is a {type(other).__name__}, in the design a {type(node).__name__}; {ADVICE}")
    if is_loaded and isinstance(node, Threshold):
        other = _align(node, other)
    contents = CONTENTS[type(node)] if is_loaded else ""
    for field in fields(node):
        ours, theirs = getattr(node, field.name), getattr(other, field.name)
        if field.name == "result":
            continue  # the design's own holds all that can come
        if field.name == contents and ours.shape == theirs.shape:
            continue
        if isinstance(ours, np.ndarray) and ours.shape != theirs.shape:
            raise GraphError(
                f"{node.name}: its {field.name} have shape {list(theirs.shape)}, the design's {list(ours.shape)}; the "
                "training must keep the same channels"
            )
        if not np.array_equal(ours, theirs):
            raise GraphError(f"{node.name}: its {field.name} differ from the design's; {ADVICE}")
    return replace(node, **{contents: getattr(other, contents)}) if is_loaded else node


def _align(node: Threshold, other: Threshold) -> Threshold:
    """``other`` with as many thresholds as ``node``: those that passes dropped fire always, or never."""
    steps, always = node.thresholds.shape[1], other.base - node.base
    never = steps - always - other.thresholds.shape[1]
    if always < 0 or never < 0:
        last, most = other.base + other.thresholds.shape[1], node.base + steps
        raise GraphError(
            f"{node.name}: gives {other.base} to {last}, in the design {node.base} to {most}; build the hardware of "
            "the training with more levels"
        )
    rows = other.thresholds
    padded: list[Ints] = [np.full((len(rows), always), -BEYOND), rows, np.full((len(rows), never), BEYOND)]
    return replace(other, base=node.base, thresholds=np.concatenate(padded, axis=1))
