"""Where numbers end: the first layer of a model whose values, or whose weights, are infinite or no numbers."""

import torch
from torch import Tensor, nn

from .model import QuantNetwork


@torch.no_grad()
def find_non_finite(model: QuantNetwork, inputs: Tensor) -> str | None:
    """What is first not finite while ``model`` evaluates ``inputs``, such as "the weights of conv2", or None."""
    found: list[str] = []

    def watch(name: str):
        def look(module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
            if found or result.isfinite().all():
                return
            weights = [*module.parameters(recurse=False)]
            of_weights = any(not tensor.isfinite().all() for tensor in weights)
            found.append(f"the {'weights' if of_weights else 'values'} of {name}")

        return look

    names = dict.fromkeys(step.module for step in model.steps)
    hooks = [model.get_submodule(name).register_forward_hook(watch(name)) for name in names]
    model(inputs)
    for hook in hooks:
        hook.remove()
    return "the inputs" if not inputs.isfinite().all() else next(iter(found), None)
