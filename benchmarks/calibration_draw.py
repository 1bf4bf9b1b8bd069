"""Random small stages of every kind, as the lines of JSON that `calibration_stages.py` builds them from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from calibration_stages import Spec

MOST_PRODUCT_BITS = 1200
"""Of one slot, so that synthesis takes seconds."""


def draw(seed: int, engine: str = "mac", kind: str | None = None) -> Spec:
    """The specification number ``seed``, of any kind or the one given; of an engine other than mac, with weights."""
    rng = np.random.default_rng([seed, 20_26])
    drawn = str(rng.choice(list(SHARES), p=np.array(list(SHARES.values())) / sum(SHARES.values())))
    if engine != "mac":
        drawn = _pick(rng, "dense", "conv")
    spec = {"seed": seed, **DRAWERS[kind or drawn](rng)}
    return spec if engine == "mac" else _with_engine(rng, spec | {"engine": engine, "multiplier": "lut"})


def _with_engine(rng: np.random.Generator, spec: Spec) -> Spec:
    if spec["engine"] == "serial":
        # Weights of two bits, mostly -1, 0 and 1, have signs beside their planes.
        bits = {"weight_bits": 2, "weights": "normal"} if rng.random() < 0.4 else {}
        return spec | bits | {"planes": _pick(rng, "plane-major", "plane-major", "group-major"), "memory": "auto"}
    if spec["engine"] == "popcount":
        return spec | {"memory": "auto", "weight_bits": min(3, spec["weight_bits"]), "x_bits": min(3, spec["x_bits"])}
    kernel = spec.get("kernel", 1)
    most = max(2, int(400 / kernel**2 / spec["shape"][-1]))
    whole = spec | {"outputs": min(spec["outputs"], most), "memory": "auto", "groups": 1}
    return whole | {"pe": whole["outputs"], "simd": kernel**2 * spec["shape"][-1]}


def _log(rng: np.random.Generator, low: int, high: int) -> int:
    """From ``low`` to ``high``, each size of number as often."""
    return int(np.clip(np.round(np.exp(rng.uniform(np.log(low - 0.4), np.log(high + 0.4)))), low, high))


def _pick(rng: np.random.Generator, *values):
    return values[int(rng.integers(len(values)))]


def _function(rng: np.random.Generator, *others: str) -> dict[str, Any]:
    what = _pick(rng, "none", "threshold", "threshold", "threshold", "requantize", *others)
    bits = _pick(rng, 1, 2, 3, 4, 5) if what == "threshold" else _pick(rng, 2, 4, 8)
    return {"function": what, "y_bits": bits}


def _product(rng: np.random.Generator, outputs: int, inputs: int) -> dict[str, Any]:
    """Bits, style of weights and a fold of a matrix-vector product."""
    weight_bits, x_bits = _pick(rng, 1, 1, 2, 3, 4, 4, 5, 6, 8), _pick(rng, 1, 2, 2, 3, 4, 4, 6, 8)
    pe, simd = _size(rng, outputs), _size(rng, inputs)
    while pe * simd * weight_bits * x_bits > MOST_PRODUCT_BITS:
        if pe > simd:
            pe = _size(rng, pe - 1)
        else:
            simd = _size(rng, simd - 1)
    return {
        "weight_bits": weight_bits, "x_bits": x_bits, "x_signed": bool(rng.random() < 0.25),
        "weights": _pick(rng, "uniform", "normal"), "pe": pe, "simd": simd,
        "multiplier": "dsp" if rng.random() < 0.15 and pe * simd <= 24 else "lut",
        "memory": _pick(rng, "auto", "auto", "auto", "lut", "block", "logic"),
    }  # fmt: skip


def _size(rng: np.random.Generator, most: int) -> int:
    """A fold of ``most``: any number, but such that as many parts could not be smaller."""
    parts = -(-most // _log(rng, 1, most))
    return -(-most // parts)


def _draw_dense(rng: np.random.Generator) -> Spec:
    inputs, outputs = _log(rng, 2, 300), _log(rng, 1, 128)
    found = {"kind": "dense", "shape": [inputs], "outputs": outputs, **_product(rng, outputs, inputs), **_function(rng)}
    if found["memory"] == "logic" and inputs * outputs > 1500:
        found["memory"] = "auto"
    return found


def _draw_conv(rng: np.random.Generator) -> Spec:
    kernel, size = _pick(rng, 1, 3, 3, 3, 5), _log(rng, 5, 24)
    groups = _pick(rng, 1, 1, 1, 1, 2)
    channels, outputs = groups * _log(rng, 1, 32), groups * _log(rng, 1, 32)
    inputs = channels // groups
    whole = groups == 1 and kernel > 1 and channels <= 12 and rng.random() < 0.35
    product = _product(rng, outputs // groups, inputs * kernel**2 if whole else inputs)
    found = {
        "kind": "conv", "shape": [size, size, channels], "outputs": outputs, "kernel": kernel, "groups": groups,
        "stride": min(kernel, _pick(rng, 1, 1, 2)), "padding": kernel // 2 * _pick(rng, 0, 1), **product,
        **_function(rng),
    }  # fmt: skip
    if found["memory"] == "logic" and inputs * outputs * kernel**2 > 1500:
        found["memory"] = "auto"
    return found


def _draw_depthwise(rng: np.random.Generator) -> Spec:
    found, channels = dict(_draw_conv(rng)), _log(rng, 2, 64)
    kernel = _pick(rng, 2, 3, 3, 5)
    pe = min(16, _size(rng, channels))
    return found | {
        "shape": [*found["shape"][:2], channels], "outputs": channels, "groups": channels, "kernel": kernel,
        "padding": kernel // 2 * _pick(rng, 0, 1), "stride": _pick(rng, 1, 1, 2), "pe": pe, "simd": 1,
    }  # fmt: skip


def _draw_pool(rng: np.random.Generator) -> Spec:
    size, channels, kernel = _log(rng, 5, 40), _log(rng, 1, 64), _pick(rng, 2, 2, 3)
    what, stride = _pick(rng, "max", "max", "sum"), _pick(rng, kernel, kernel, 2)
    if what == "sum" and rng.random() < 0.5:
        kernel = stride = size
    return {
        "kind": "pool", "operator": what, "shape": [size, size, channels], "kernel": kernel, "stride": stride,
        "padding": int(kernel == 3 and rng.random() < 0.4), "pe": min(24, _size(rng, channels)),
        "x_bits": _pick(rng, 1, 2, 3, 4, 8), **_function(rng, "table"),
    }  # fmt: skip


def _draw_add(rng: np.random.Generator) -> Spec:
    channels = _log(rng, 1, 64)
    factors = _pick(rng, [1, 1], [1, 1], [3, 5], [1, -2], [7, 4])
    return {
        "kind": "add", "shape": [4, 4, channels], "coefficients": factors, "pe": min(16, _size(rng, channels)),
        "x_bits": _pick(rng, 2, 4, 6, 8), "x_signed": bool(rng.random() < 0.4), **_function(rng, "table"),
    }  # fmt: skip


def _draw_lanewise(rng: np.random.Generator) -> Spec:
    channels, what = _log(rng, 1, 96), _pick(rng, "threshold", "threshold", "requantize", "table")
    x_bits = _pick(rng, 3, 4, 6) if what == "table" else _pick(rng, 4, 6, 8, 12, 16)
    y_bits = _pick(rng, 1, 2, 3, 4, 5) if what == "threshold" else _pick(rng, 2, 4, 8)
    pe = min(24, _size(rng, channels))
    return {
        "kind": "lanewise", "shape": [4, 4, channels], "function": what, "y_bits": y_bits, "x_bits": x_bits,
        "x_signed": bool(rng.random() < 0.5), "pe": pe, "next_pe": _pick(rng, pe, min(24, _size(rng, channels))),
        "depths": {"unit": _depth(rng), "next": _depth(rng)},
    }  # fmt: skip


def _draw_move(rng: np.random.Generator) -> Spec:
    what = _pick(rng, "concat", "concat", "slice", "pad", "upsample", "depth_to_space", "argmax", "argmax")
    channels = 4 * _log(rng, 1, 12) if what == "depth_to_space" else _log(rng, 2, 48)
    size = 1 if what == "argmax" else _log(rng, 4, 20)
    most = channels // 4 if what == "depth_to_space" else channels
    return {
        "kind": "concat" if what == "concat" else "move", "operator": what, "shape": [size, size, channels],
        "x_bits": _pick(rng, 1, 2, 4, 8), "pe": min(24, _size(rng, most)),
    }  # fmt: skip


def _draw_fork(rng: np.random.Generator) -> Spec:
    channels = _log(rng, 1, 64)
    return {
        "kind": "fork", "shape": [4, 4, channels], "x_bits": _pick(rng, 1, 2, 4, 8),
        "pe": min(16, _size(rng, channels)),
        "depths": {"x_fork_0": _depth(rng, deep=True), "x_fork_1": _depth(rng)},
    }  # fmt: skip


def _depth(rng: np.random.Generator, *, deep: bool = False) -> int:
    return _log(rng, 1, 1500 if deep and rng.random() < 0.5 else 40)


def _draw_binary(rng: np.random.Generator) -> Spec:
    """Many signs times many bits in a slot."""
    inputs, outputs = _log(rng, 24, 600), _log(rng, 4, 96)
    pe, simd = _size(rng, min(32, outputs)), _size(rng, inputs)
    while pe * simd > MOST_PRODUCT_BITS:
        simd = _size(rng, simd - 1)
    return {
        "kind": "dense", "shape": [inputs], "outputs": outputs, "weight_bits": 1, "x_bits": _pick(rng, 1, 1, 1, 2),
        "weights": "uniform", "pe": pe, "simd": simd, "multiplier": "lut", "memory": _pick(rng, "auto", "lut"),
        **_function(rng),
    }  # fmt: skip


def _draw_ordered(rng: np.random.Generator) -> Spec:
    """Every beat to all outputs, or several products in a DSP block, or both."""
    found = dict(_draw_dense(rng) if rng.random() < 0.6 else _draw_conv(rng))
    order, multiplier = _pick(rng, ("input", "lut"), ("input", "lut"), ("output", "dsp"), ("input", "dsp"))
    pe = max(1, min(found["pe"], 24 // found["simd"])) if multiplier == "dsp" else found["pe"]
    return found | {"order": order, "multiplier": multiplier, "pe": pe}


SHARES = {"dense": 8, "conv": 7, "depthwise": 3, "pool": 3, "add": 3, "lanewise": 5, "move": 4, "fork": 2}

DRAWERS: Mapping[str, Callable[[np.random.Generator], Spec]] = {
    "dense": _draw_dense,
    "binary": _draw_binary,
    "ordered": _draw_ordered,
    "conv": _draw_conv,
    "depthwise": _draw_depthwise,
    "pool": _draw_pool,
    "add": _draw_add,
    "lanewise": _draw_lanewise,
    "move": _draw_move,
    "fork": _draw_fork,
}
