"""From node to node of a traced PyTorch module: what each is as layers."""

from collections.abc import Set
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from ..errors import GraphError
from .names import module_name
from .networks.layers import Layer, Shape, Weighted
from .torch_layers import FUNCTIONS, MODULES, Call, Layers, advice

RESULT = "result"  # in a node's ``meta``: what it gave for the example batch
UNKNOWN = "?"  # in the place of a layer, for what has a problem
PLAIN = (int, float, bool, slice, torch.dtype, torch.device, type(None))


@dataclass(frozen=True, eq=False)
class Walked:
    """Layers in order of evaluation, and by name of those with weights their module and its normalization, if any."""

    layers: tuple[Layer, ...]
    modules: dict[str, tuple[nn.Module, nn.Module | None]]


def walk(graph: fx.Graph, frames: int, reserved: Set[str]) -> Walked:
    """The layers that ``graph`` is, whose nodes hold the results of a batch of ``frames``.

    Layers get none of the ``reserved`` names. Raises GraphError with everything that is no layer.
    """
    walker = _Walker(frames, reserved)
    for node in graph.nodes:
        walker.visit(node)
    problems = walker.problems
    if problems:
        found = [f"({number}) {problem}" for number, problem in enumerate(problems, 1)] if problems[1:] else problems
        raise GraphError(f"cannot be made of layers: {'; '.join(found)}")
    if not walker.modules:
        raise GraphError("has no weights; use at least one Conv2d or Linear")
    return Walked(tuple(walker.layers), walker.modules)


class _Walker:
    """``results``: by node the layer whose result it gives, "" being the input."""

    def __init__(self, frames: int, reserved: Set[str]) -> None:
        self.frames, self.taken = frames, {*reserved}
        self.layers: list[Layer] = []
        self.results: dict[fx.Node, str] = {}
        self.modules: dict[str, tuple[nn.Module, nn.Module | None]] = {}
        self.users: dict[nn.Module, str] = {}  # who uses a module with weights first
        self.problems: list[str] = []

    def visit(self, node: fx.Node) -> None:
        if _is_plain(node.meta[RESULT]):
            return
        sources, name = _sources(node), UNKNOWN
        try:
            if all(isinstance(source.meta[RESULT], Tensor) for source in sources):
                name = self._result(node, sources)
        except GraphError as error:
            self.problems.append(f"{_path(node) or 'forward'} ({_operation(node)}): {error}")
        self.results[node] = name

    def _result(self, node: fx.Node, sources: list[fx.Node]) -> str:
        """The layer that gives the node's result, which may be one from before."""
        if node.op == "placeholder":
            if self.results:
                raise GraphError("is a second input; take one tensor")
            return ""
        if node.op == "get_attr":
            raise GraphError("is no result of a layer; leave constants to the layers' weights")
        if not isinstance(node.meta[RESULT], Tensor):
            raise GraphError(f"gives a {type(node.meta[RESULT]).__name__}; use what gives one tensor")
        if node.op == "output":
            return self.results[sources[0]]
        batches = [len(entry.meta[RESULT]) for entry in (node, *sources) if entry.meta[RESULT].ndim]
        if batches != [self.frames] * len(batches):
            raise GraphError(f"makes a batch of {batches[0]} of one of {self.frames}; leave the batch axis as it is")
        module = _module(node)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return self._normalized(node, sources[0], module)
        return self._added(node, sources, module)

    def _added(self, node: fx.Node, sources: list[fx.Node], module: nn.Module | None) -> str:
        name = self._unused(module_name(_path(node) if module else f"{_path(node)}.{_operation(node)}") or "layer")
        call = Call(name, tuple(_shape(source) for source in sources), _shape(node))
        names = tuple(self.results[source] for source in sources)
        shapes = call.inputs
        for layer in _layers(node, call, module):
            if isinstance(layer, Weighted) and module is not None:
                self._use(module, name)
                self.modules[name] = module, None
            shapes = (layer.shape(*shapes),)
            self.layers.append(replace(layer, sources=names))
            self.taken |= _variants(layer.name)
            names = (layer.name,)
        if shapes[0] != call.result:
            raise GraphError(f"gives {call.result}, which as a layer would be {shapes[0]}; use another size")
        return names[0]

    def _normalized(self, node: fx.Node, source: fx.Node, norm: nn.Module) -> str:
        name = self.results[source]
        if name == UNKNOWN:
            return name
        module, other = self.modules.get(name, (None, None))
        if module is None or _module(source) is not module or len(source.users) > 1 or other is not None:
            raise GraphError(
                "does not normalize what one layer with weights computes for it alone; put it right behind that layer"
            )
        if not isinstance(getattr(norm, "running_mean", None), Tensor):
            raise GraphError("has no running statistics; use track_running_stats=True")
        self._use(norm, _path(node))
        self.modules[name] = module, norm
        return name

    def _use(self, module: nn.Module, user: str) -> None:
        tensors = {id(tensor) for tensor in module.parameters()}
        for other, first in self.users.items():
            if tensors & {id(tensor) for tensor in other.parameters()}:
                raise GraphError(f"has weights that {first} has too; give each layer its own")
        self.users[module] = user

    def _unused(self, base: str) -> str:
        names = chain([base], (f"{base}_{number}" for number in count(2)))
        return next(name for name in names if not _variants(name) & self.taken)


def _layers(node: fx.Node, call: Call, module: nn.Module | None) -> Layers:
    made = FUNCTIONS.get(node.target) if module is None else MODULES.get(type(module))
    if made is None:
        raise GraphError(f"is no layer; {advice(_operation(node))}")
    if module is not None:
        return made(call, module)
    options = {name: value for name, value in node.kwargs.items() if name not in ("input", "tensors")}
    first = 0 if {"input", "tensors"} & {*node.kwargs} else 1
    try:
        return made(call, *node.args[first:], **options)
    except TypeError as error:
        raise GraphError(f"has arguments that no layer has ({error}); use its module") from None


def _sources(node: fx.Node) -> list[fx.Node]:
    """The nodes whose tensors ``node`` takes, each as often as it takes it."""
    found: list[fx.Node] = []
    map_arg((node.args, node.kwargs), found.append)
    return [source for source in found if not _is_plain(source.meta[RESULT])]


def _is_plain(value: Any) -> bool:
    """Whether it is a size or the like, which shapes tell as well."""
    return all(map(_is_plain, value)) if isinstance(value, tuple) else isinstance(value, PLAIN)


def _shape(node: fx.Node) -> Shape:
    return tuple(node.meta[RESULT].shape[1:])


def _module(node: fx.Node) -> nn.Module | None:
    owner = node.graph.owning_module
    return owner.get_submodule(str(node.target)) if owner is not None and node.op == "call_module" else None


def _path(node: fx.Node) -> str:
    """The module that ``node`` calls or, for other operations, in whose forward it stands."""
    if node.op in ("call_module", "get_attr", "placeholder"):
        return str(node.target)
    return next(reversed(node.meta.get("nn_module_stack") or {"": None}))


def _operation(node: fx.Node) -> str:
    module = _module(node)
    if module is not None:
        return type(module).__name__
    if node.op in ("get_attr", "output"):
        return "tensor" if node.op == "get_attr" else "output"
    return getattr(node.target, "__name__", str(node.target))


def _variants(name: str) -> set[str]:
    """The names that a QuantNetwork derives from a layer's."""
    return {name, f"{name}_norm", f"{name}_mask", f"{name}_sums", f"{name}_flat"}
