"""Where a term can be added to a layer's outputs, as most layers have no bias of their own."""

from typing import Any

from torch import Tensor, nn

from ..model import OutputScale, QuantNetwork
from ..quantizers import Affine
from .unfold import weights_of


def find_shift(model: QuantNetwork, name: str) -> Any:
    """The normalization behind a layer, the layer itself if it has a bias, the scale of a single output, or None."""
    layer: Any = model.get_submodule(name)
    scale: Any = model.get_submodule("scale")
    if hasattr(model, f"{name}_norm"):
        return model.get_submodule(f"{name}_norm")
    if layer.bias is not None:
        return layer
    is_single = model.steps[-1].sources == (name,) and len(weights_of(layer)) == 1
    return scale if is_single and scale.term is not None else None


def set_term(shift: Any, before: Any, term: Tensor) -> None:
    """Let ``shift`` do what ``before`` did to a layer's outputs, once ``term``, shape (outputs,), was added to them.

    Where ``shift`` is the layer, its bias is all of the term.
    """
    if is_batch_norm(shift):
        shift.running_mean.copy_(before.running_mean - term)
    elif is_norm(shift):
        shift.bias.detach().copy_(before.bias + factors(before) * term)
    elif isinstance(shift, OutputScale):
        shift.term.detach().copy_(before.term + before.factor * term[0])
    else:
        shift.bias.detach().copy_(term)


def is_norm(shift: Any) -> bool:
    return isinstance(shift, nn.BatchNorm1d | nn.BatchNorm2d)


def is_batch_norm(shift: Any) -> bool:
    """Whether it normalizes by the mean and variance of data."""
    return is_norm(shift) and not isinstance(shift, Affine)


def factors(norm: Any) -> Tensor:
    """What a normalization multiplies each channel by."""
    return norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
