"""The truth to compare against: the integer codes that Brevitas itself computes at every activation quantizer."""

from typing import Any

import numpy as np
import torch
from brevitas.proxy.runtime_quant import ActQuantProxyFromInjectorBase
from brevitas.quant_tensor import IntQuantTensor
from numpy.typing import NDArray
from torch import Tensor, nn

from .names import module_name


def samples_within(size_bytes: int, model: nn.Module, example: Tensor) -> int:
    """How many samples' codes take no more than that many bytes, at least one; ``example`` is one sample."""
    return max(1, size_bytes // sum(array.nbytes for array in record_codes(model, example).values()))


def record_codes(model: nn.Module, inputs: Tensor, batch_size: int = 1000) -> dict[str, NDArray]:
    """Codes by "00_<module>", "01_<module>", ... in order of evaluation, int16 (images, ...), bipolar ones -1 and +1.

    Also "outputs", what the model returns, float32. The model is in evaluation mode.
    """
    calls: list[tuple[str, NDArray]] = []

    def hook_of(name: str):
        def record(module: nn.Module, inputs: tuple, output: Any) -> None:
            if isinstance(output, IntQuantTensor):
                # Its own int() takes bipolar codes for invalid where all are equal.
                codes = torch.round(output.value / output.scale + output.zero_point)
                calls.append((name, codes.numpy().astype(np.int16)))

        return record

    quantizers = [(n, m) for n, m in model.named_modules() if isinstance(m, ActQuantProxyFromInjectorBase)]
    hooks = [module.register_forward_hook(hook_of(module_name(name))) for name, module in quantizers]
    parts: dict[str, list[NDArray]] = {}
    with torch.no_grad():
        for batch in inputs.split(batch_size):
            calls.clear()
            outputs = model(batch.float())
            for index, (name, codes) in enumerate(calls):
                parts.setdefault(f"{index:02}_{name}", []).append(codes)
            parts.setdefault("outputs", []).append(outputs.numpy().astype(np.float32))
    for hook in hooks:
        hook.remove()
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
