"""CNV of BNN-PYNQ with its trained binary weights as an integer graph: accuracy, timing and area with FINN's folding.

    python benchmarks/cnv.py ../shared/models/cnv_w1a1_cifar10.npz --cifar10 ../shared/data/cifar10.npz
    python benchmarks/cnv.py ../shared/models/cnv_w1a1_cifar10.npz --simulate 2
    python benchmarks/cnv.py ../shared/models/cnv_w1a1_cifar10.npz --synth xc7z020

Bipolar values are codes 0 and 1: sum(w * (2 u - 1)) >= t where sum(w * u) >= (t + sum(w)) / 2.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import network
import numpy as np
from numpy.typing import NDArray

from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.chain import Chain, Step
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.execute import dequantize_outputs, execute
from espalier.ir.flatten import Flatten
from espalier.ir.graph import Graph, Input, IntType, Node, Output, TensorType
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.narrow_types import narrow_types
from espalier.ir.threshold import Threshold

LAYERS = ("conv0", "conv1", "pool1", "conv2", "conv3", "pool3", "conv4", "conv5", "flat", "fc0", "fc1", "fc2")
FINN_FOLDS = {
    "conv0": (16, 3),
    "conv1": (32, 32),
    "conv2": (16, 32),
    "conv3": (16, 32),
    "conv4": (4, 32),
    "conv5": (1, 32),
    "fc0": (1, 4),
    "fc1": (1, 8),
    "fc2": (5, 1),
}
POOL_LANES = 2
WIDE = IntType(62, signed=True)


def cnv_graph(arrays: Mapping[str, NDArray]) -> Graph:
    """The network of the archive, which takes int8 images (32, 32, 3) and gives 10 logits."""
    image = Input("image", TensorType((32, 32, 3), IntType(8, signed=True)), (32, 32, 3))
    nodes: list[Node] = []
    source = image.name
    for name in LAYERS:
        if name == "flat":
            nodes.append(Flatten(name, (source,), WIDE))
        elif name.startswith("pool"):
            nodes.append(MaxPool2d(name, (source,), WIDE, kernel=(2, 2), stride=(2, 2)))
        else:
            operator = Conv2d if name.startswith("conv") else Dense
            weights = arrays[f"{name}_weight"].astype(np.int64)
            nodes.append(operator(name, (source,), WIDE, weights))
            if f"{name}_threshold" in arrays:
                thresholds = arrays[f"{name}_threshold"].astype(np.int64)
                if name != "conv0":  # its inputs are integers, not codes of -1 and +1
                    thresholds = -(-(thresholds + _sums(weights)) // 2)
                nodes.append(Threshold(f"{name}_act", (name,), WIDE, thresholds[:, None]))
        source = nodes[-1].name
    bias = -_sums(arrays["fc2_weight"].astype(np.int64))
    logits = Chain((Step("Dequantize", (np.array(1.0), np.array(0.0), np.array(2), bias)),))
    return narrow_types(Graph((image,), tuple(nodes), (Output("logits", source, (10,), logits),), name="cnv_w1a1"))


def _sums(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    return weights.reshape(len(weights), -1).sum(axis=1)


def finn_plan() -> Plan:
    """FINN's folding; the pools keep pace with as few lanes as that takes."""
    layers = {name: LayerPlan(pe=pe, simd=simd) for name, (pe, simd) in FINN_FOLDS.items()}
    return Plan(layers={**layers, "pool1": LayerPlan(pe=2 * POOL_LANES), "pool3": LayerPlan(pe=POOL_LANES)})


def logits(graph: Graph, images: NDArray[np.int64], chunk: int = 250) -> NDArray[np.float32]:
    parts = [images[start : start + chunk] for start in range(0, len(images), chunk)]
    return np.concatenate([dequantize_outputs(graph, execute(graph, part))["logits"] for part in parts])


def as_inputs(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The model's int8 images: floor((2 x / 255 - 1) * 128)."""
    return np.floor((2 * pixels.astype(np.float64) / 255 - 1) * 128).clip(-128, 127).astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--cifar10", type=Path, help="execute the whole test set of this archive")
    network.add_options(parser)
    options = parser.parse_args()
    with np.load(options.archive, allow_pickle=False) as archive:
        arrays = dict(archive)
    graph = cnv_graph(arrays)
    images = arrays["input_first1000"].astype(np.int64)
    equal = (logits(graph, images) == arrays["logits_first1000"]).all(axis=1).sum()
    print(f"logits of {equal} of {len(images)} images equal")
    if options.cifar10:
        with np.load(options.cifar10, allow_pickle=False) as archive:
            pixels, labels = archive["x_test"], archive["y_test"]
        correct = int((logits(graph, as_inputs(pixels)).argmax(axis=1) == labels).sum())
        print(f"{correct} of {len(labels)} test images right")
    begin = time.perf_counter()
    design = generate(graph, finn_plan())
    print(f"designed in {time.perf_counter() - begin:.1f} s")
    network.measure(design, {"image": images}, options)


if __name__ == "__main__":
    main()
