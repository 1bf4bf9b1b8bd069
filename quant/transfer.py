"""From a trained network to the same network in other numbers: weights are carried over, quantizers set by data."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import GraphError
from .evaluate import BATCH, device_of
from .model import QuantNetwork
from .networks.layers import Network
from .quantizers import Affine, kind_of, set_range
from .recipes import Recipe

RANGES = 40  # tried per quantizer, at equal distances up to that of all values
VALUES = 2**17  # that a quantizer is judged by, at most


def transfer(model: QuantNetwork, recipe: Recipe, inputs: Tensor | None = None) -> QuantNetwork:
    """``recipe``'s network, on the same device, with the weights, normalizations, masks and scale of ``model``.

    Activation quantizers of another kind or of other bits than the model's are set by what reaches them in ``model``
    while it evaluates ``inputs``, (samples, ...) as the model takes them: to the range that errs least. Raises
    GraphError if ``model`` is another network than the recipe's.
    """
    device = device_of(model.eval())
    with torch.random.fork_rng(devices=[]):
        made = QuantNetwork(recipe).to(device).eval()
    new = new_quantizers(model, made, recipe.network)
    _copy_tensors(model, made, new)
    _keep_strength(model, made, recipe.network)
    if inputs is not None:
        names = [layer.name for layer in recipe.network.activations if layer.name in new]
        for name, values in _reaching(model, names, inputs).items():
            _set_least_error(made.get_submodule(name), values)
    return made


def recalibrate_norms(model: QuantNetwork, inputs: Tensor, batch_size: int = BATCH) -> None:
    """Replace the running means and variances of batch normalizations by their mean over batches of ``inputs``.

    Everything else evaluates: the masks stay, quantizers learn nothing. Raises GraphError for fewer than two inputs.
    """
    if len(inputs) < 2:
        raise GraphError(f"{len(inputs)} samples have no variance to normalize by; give at least 2")
    model.eval()
    norms: list[Any] = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    norms = [norm for norm in norms if not isinstance(norm, Affine)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all batches alike
        norm.train()
    _evaluate(model, inputs, batch_size)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.eval()


def new_quantizers(model: QuantNetwork, made: QuantNetwork, network: Network) -> set[str]:
    """The layers of ``made`` that quantize in another way, or to other bits, than those of ``model``."""
    names = [layer.name for layer in (*network.weighted, *network.activations)]
    found = dict(model.named_modules())
    return {name for name in names if kind_of(found.get(name)) != kind_of(made.get_submodule(name))}


def _copy_tensors(model: QuantNetwork, made: QuantNetwork, new: set[str]) -> None:
    """All but the statistics of quantizers that are ``new``, which begin anew."""
    found = model.state_dict()
    for name, tensor in made.state_dict().items():
        given, is_quantizer = found.get(name), "_quant." in name
        if is_quantizer and name.split(".")[0] in new and not name.endswith(".value"):
            continue
        if given is not None and given.shape == tensor.shape:
            tensor.copy_(given)
        elif not is_quantizer:
            shape = "no such tensor" if given is None else list(given.shape)
            raise GraphError(
                f"{name}: has shape {list(tensor.shape)} in the recipe's network and {shape} in the model; "
                "give a model of the same network"
            )


def _keep_strength(model: QuantNetwork, made: QuantNetwork, network: Network) -> None:
    """Where weights become bipolar, or cease to be, let what follows make up for the change of their magnitude."""
    last = network.weighted[-1].name
    for name in sorted({*model.bipolar_layers} ^ {*made.bipolar_layers}):
        layer: Any = made.get_submodule(name)
        weight = layer.weight.detach()
        mean = float(weight.abs().sum() / weight.count_nonzero().clamp(min=1)) or 1.0
        gain = mean if name in made.bipolar_layers else 1 / mean
        if name in made.bipolar_layers:
            weight /= weight.abs().max().clamp(min=mean)  # latent weights fill -1..1
        if name == last:
            scale: Any = made.get_submodule("scale")
            scale.factor.detach().mul_(gain)
            if layer.bias is not None:
                layer.bias.detach().div_(gain)
            continue
        norm: Any = made.get_submodule(f"{name}_norm")
        if isinstance(norm, Affine):
            norm.weight.detach().mul_(gain)
        else:
            norm.running_mean /= gain
            norm.running_var /= gain**2


def _reaching(model: QuantNetwork, names: list[str], inputs: Tensor) -> dict[str, Tensor]:
    """A sample of the values that come to each activation, of shape (values,)."""
    found: dict[str, list[Tensor]] = {name: [] for name in names}

    def hook_of(name: str):
        def record(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            values = given[0].detach().flatten()
            stride = math.ceil(len(inputs) * given[0][0].numel() / VALUES)
            found[name].append(values[::stride])

        return record

    hooks = [model.get_submodule(name).register_forward_pre_hook(hook_of(name)) for name in names]
    model.eval()
    _evaluate(model, inputs, BATCH)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts) for name, parts in found.items()}


@torch.no_grad()
def _set_least_error(activation: Any, values: Tensor) -> None:
    """Set the range of an activation's quantizer to that which quantizes ``values`` with the least squared error."""
    wanted = activation.act_quant.fused_activation_quant_proxy.activation_impl(values)
    low, high = float(wanted.min().clamp(max=0)), float(wanted.max().clamp(min=0))
    if low == high or not set_range(activation, low, high):
        return
    errors: dict[float, float] = {}
    for part in range(1, RANGES + 1):
        set_range(activation, low * part / RANGES, high * part / RANGES)
        errors[part / RANGES] = float((activation(values) - wanted).square().mean())
    share = min(errors, key=errors.__getitem__)
    set_range(activation, low * share, high * share)


def _evaluate(model: QuantNetwork, inputs: Tensor, batch_size: int) -> None:
    device = device_of(model)
    with torch.no_grad():
        for batch in inputs.tensor_split(math.ceil(len(inputs) / batch_size)):  # all of about one size
            model(batch.to(device).float())
