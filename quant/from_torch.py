"""Networks and weights from plain PyTorch modules of real numbers."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..errors import GraphError
from .model import QuantNetwork
from .networks.coupling import find_couplings
from .networks.layers import Dense, Flatten, Input, Network, Weighted
from .networks.place_quantizers import place_quantizers
from .own_recipe import real_recipe
from .torch_walk import RESULT, Walked, walk
from .torch_weights import tensors_of

FRAMES = 3  # in the example batch: no number that a module is likely to have been written for
TOLERANCE = 1e-3  # of the largest output: more than another order of summing makes, less than another operation


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    """A user's network, and its weights by their names in a QuantNetwork of it."""

    network: Network
    tensors: Mapping[str, Tensor]

    def digest(self) -> str:
        """Of the weights."""
        hasher = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            hasher.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
        return hasher.hexdigest()


def from_torch(module: nn.Module, given: Input, *, name: str = "own") -> OwnNetwork:
    """What ``module`` computes in evaluation mode, as layers with quantizers between them; it is left as it is.

    given: what comes in; the module takes it brought to 0..1, as torchvision's ToTensor does, or signed to -1..1.
    Raises GraphError that starts with ``name``, with all that cannot be a layer, or where the layers compute anything
    but what the module does.
    """
    module = copy.deepcopy(module).cpu().float().eval()
    try:
        walked = walk(_traced(module, given), FRAMES, _reserved(given))
        own = _finished(walked, given)
        _check_values(own, module)
    except GraphError as error:
        raise GraphError(f"{name}: {error}") from error.__cause__
    return own


def load_weights(model: QuantNetwork, tensors: Mapping[str, Tensor]) -> None:
    """Copy an own network's weights into a model of it, of whatever bits; raises GraphError where they do not fit."""
    state = model.state_dict()
    for name, tensor in tensors.items():
        if name not in state or state[name].shape != tensor.shape:
            found = "missing" if name not in state else list(state[name].shape)
            raise GraphError(f"{name}: is {found} in the model and {list(tensor.shape)} in the network it is to be of")
        state[name].copy_(tensor)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or m.__module__.startswith("brevitas")


class _Interpreter(fx.Interpreter):
    """Leaves in each node what it gives."""

    def run_node(self, n: fx.Node) -> Any:
        n.meta[RESULT] = super().run_node(n)
        return n.meta[RESULT]


def _traced(module: nn.Module, given: Input) -> fx.Graph:
    try:
        traced = fx.GraphModule(module, _Tracer().trace(module))
    except Exception as error:
        raise GraphError(
            f"cannot be traced ({_first_line(error)}); forward has to do the same whatever the values are"
        ) from error
    traced.graph.eliminate_dead_code()
    try:
        with torch.no_grad():
            _Interpreter(traced).run(torch.zeros(FRAMES, *given.shape))
    except Exception as error:
        raise GraphError(f"fails on inputs of shape {given.shape} ({_first_line(error)})") from error
    return traced.graph


def _first_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split("\n\n")[0].split())


def _reserved(given: Input) -> set[str]:
    """Names that a QuantNetwork has for itself."""
    network = Network("own", given, (Flatten("_first"), Dense("_last", 1)))
    return {*dir(_real_model(network))}


def _real_model(network: Network) -> QuantNetwork:
    with torch.random.fork_rng(devices=[]):
        return QuantNetwork(real_recipe(network, name="own", dataset="digits", task="classify")).eval()


def _finished(walked: Walked, given: Input) -> OwnNetwork:
    *_, last = walked.modules
    layers = tuple(
        replace(layer, normalized=layer.name == last or walked.modules[layer.name][1] is not None)
        if isinstance(layer, Weighted)
        else layer
        for layer in walked.layers
    )
    tensors = {"scale.factor": torch.tensor(1.0)}
    for name, (module, norm) in walked.modules.items():
        tensors |= tensors_of(name, module, norm, is_last=name == last)
    if broken := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise GraphError(f"{broken[0]}: has weights that are no numbers; train the module anew")
    network = place_quantizers(Network("own", given, layers, biased=f"{last}.bias" in tensors))
    find_couplings(network)
    return OwnNetwork(network, tensors)


@torch.no_grad()
def _check_values(own: OwnNetwork, module: nn.Module) -> None:
    """Compare the layers with the module, since tracing cannot see what an operation in place does to other readers."""
    model, given = _real_model(own.network), own.network.input
    load_weights(model, own.tensors)
    shares = torch.rand(FRAMES, *given.shape, generator=torch.Generator().manual_seed(0))
    inputs = given.low + shares * (given.high - given.low)
    found = model(inputs)
    wanted = module(model.get_submodule("pixels")(model.get_submodule("prepare")(inputs)))
    difference, largest = float((found - wanted).abs().max()), float(wanted.abs().max())
    if not difference <= TOLERANCE * largest:
        raise GraphError(
            f"as layers it gives outputs that differ by {difference:.3g}, of {largest:.3g}; operations in place change "
            "what others read: use inplace=False"
        )
