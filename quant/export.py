"""Export of any Brevitas module to a QONNX file that holds the quantized weights themselves."""

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from brevitas.core.quant import IntQuant
from brevitas.export import export_qonnx
from brevitas.proxy.parameter_quant import BiasQuantProxyFromInjectorBase, WeightQuantProxyFromInjectorBase
from brevitas.proxy.runtime_quant import ActQuantProxyFromInjectorBase
from onnx import helper, numpy_helper
from torch import Tensor, nn

from ..errors import BuildError, GraphError
from .files import write_bytes
from .names import module_name, shorten_names

# Brevitas writes its own names for rounding modes; QONNX knows these.
_ROUNDING = {"ROUND": "ROUND", "FLOOR": "FLOOR", "CEIL": "CEIL", "ROUND_TO_ZERO": "DOWN"}


def export(model: nn.Module, example: Tensor | tuple[Tensor, ...], path: Path) -> Path:
    """Write ``model`` as it evaluates ``example`` (batch axis first) to the QONNX file ``path``.

    Brevitas exports latent float weights and lets the reader round them to nearest, which is wrong for A2Q, A2Q+, floor
    and round-to-zero quantizers; here the quantized values are baked in. Raises GraphError for what QONNX cannot say.
    """
    model = copy.deepcopy(model).eval()
    example = example if isinstance(example, tuple) else (example,)
    baked = quantized_parameters(model, example)
    one_bit = _one_bit_integers(model)
    proto = _export_plain(model, example, path)
    _bake(proto, baked)
    _restore_one_bit_integers(proto.graph, one_bit)
    _drop_optional_inputs(proto.graph)
    shorten_names(proto.graph)
    for node in proto.graph.node:
        node.ClearField("doc_string")
        _translate_rounding(node)
    write_bytes(path, proto.SerializeToString(deterministic=True))
    return path


def quantized_parameters(model: nn.Module, example: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The quantized value of each weight and bias that ``model`` quantizes while it evaluates ``example``, by name."""
    # By address and shape, since Brevitas hands its quantizers a view of the parameter.
    names = {(parameter.data_ptr(), parameter.shape): name for name, parameter in model.named_parameters()}
    found: dict[str, Tensor] = {}

    def record(proxy: nn.Module, inputs: tuple, output: Any) -> None:
        if isinstance(output, Tensor):  # its quantization is switched off
            return
        name = names.get((inputs[0].data_ptr(), inputs[0].shape))
        if name is None:
            raise GraphError(
                "a quantized weight is computed inside the model, not one of its parameters; remove "
                "parametrizations (torch.nn.utils.parametrize.remove_parametrizations) before the export"
            )
        if name in found and not torch.equal(found[name], output.value):
            raise GraphError(f"{name}: is shared by layers that quantize it differently; give each its own weights")
        found[name] = output.value.detach().clone()

    proxies = (WeightQuantProxyFromInjectorBase, BiasQuantProxyFromInjectorBase)
    hooks = [module.register_forward_hook(record) for module in model.modules() if isinstance(module, proxies)]
    with torch.no_grad():
        model(*example)
    for hook in hooks:
        hook.remove()
    return found


def _export_plain(model: nn.Module, example: tuple[Tensor, ...], path: Path) -> onnx.ModelProto:
    # The tracing exporter keeps module paths as node names; the newer one does not.
    inputs = ["inputs"] if len(example) == 1 else [f"inputs_{index}" for index in range(len(example))]
    temporary = path.with_name(f".{path.name}.plain")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return export_qonnx(
                model, args=example, export_path=str(temporary), input_names=inputs, output_names=["outputs"],
                opset_version=17, dynamo=False,
            )  # fmt: skip
    except OSError as error:
        raise BuildError(f"{path}: cannot be written ({error.strerror}); choose another folder or free space") from None
    finally:
        temporary.unlink(missing_ok=True)


def _bake(proto: onnx.ModelProto, values: dict[str, Tensor]) -> None:
    initializers = {tensor.name: tensor for tensor in proto.graph.initializer}
    for name, value in values.items():
        if name not in initializers:
            raise GraphError(f"{name}: the export dropped or renamed this weight, so its values cannot be baked in")
        exact = np.ascontiguousarray(value.numpy())
        initializers[name].CopyFrom(numpy_helper.from_array(exact, name))


def _one_bit_integers(model: nn.Module) -> tuple[str, ...]:
    """Starts of the node names of quantizers to 0 and 1, which Brevitas exports as if they gave -1 and +1."""
    proxies = (ActQuantProxyFromInjectorBase, WeightQuantProxyFromInjectorBase)
    found = []
    for name, module in model.named_modules():
        is_integer = isinstance(module, proxies) and any(isinstance(part, IntQuant) for part in module.modules())
        proxy: Any = module  # what torch says of its attributes hides the proxy's methods
        if not is_integer or not proxy.is_quant_enabled or proxy.bit_width() != 1:
            continue
        if proxy.is_signed:
            raise GraphError(
                f"{module_name(name)}: a signed quantizer of 1 bit gives -1 and 0, which QONNX cannot say; use a "
                "binary quantizer (-1 and +1), signed=False (0 and 1) or bit_width=2"
            )
        found.append(f"/{name.replace('.', '/')}/")
    return tuple(found)


def _restore_one_bit_integers(graph: onnx.GraphProto, starts: tuple[str, ...]) -> None:
    for node in graph.node:
        if node.op_type == "BipolarQuant" and node.name.startswith(starts):
            operands = {"zero_point": 0, "bit_width": 1}
            constants = [
                numpy_helper.from_array(np.asarray(value, np.float32), f"{node.name}_{name}")
                for name, value in operands.items()
            ]
            graph.initializer.extend(constants)
            node.op_type = "Quant"
            node.input.extend(constant.name for constant in constants)
            kept = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
            node.attribute.extend(helper.make_attribute(name, value) for name, value in kept.items())


def _drop_optional_inputs(graph: onnx.GraphProto) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [port for port in graph.input if port.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)


def _translate_rounding(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name == "rounding_mode":
            mode = attribute.s.decode().upper()
            if mode not in _ROUNDING:
                raise GraphError(f"{node.name}: QONNX has no rounding mode {mode}; use one of {', '.join(_ROUNDING)}")
            attribute.s = _ROUNDING[mode].encode()
