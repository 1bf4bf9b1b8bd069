"""Quantizes a finished run into another one, with what it cost, and how many bits each layer has, at the end."""

import json
import warnings
from pathlib import Path
from typing import Any

from ..quant.swis.options import Swis
from .progress import say
from .scores import SHIFTS
from .table import pairs, table
from .training import check_training, figure, shown


def quantize_verb(
    run: Path, output: Path, changes: dict[str, Any], how: dict[str, Any], swis: dict[str, Any],
    data: Path | None, threads: int, as_json: bool,
) -> None:  # fmt: skip
    """changes: of the recipe. how: other options but for those of SWIS, ``swis``; None for what was left out."""
    decomposed = Swis.of_flags(how["method"], swis)
    check_training(data, threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
        from ..quant.quantize import QuantizeOptions, quantize
    with shown() as progress:
        options = {"data": data, "threads": threads, "progress": progress, "decided": _tell}
        done = quantize(run, output, changes, QuantizeOptions(**how, swis=decomposed), **options)
    metrics, recipe = done.metrics, done.recipe
    names = [layer.name for layer in recipe.network.weighted], [layer.name for layer in recipe.network.activations]
    bits = dict(zip(names[0], recipe.weight_bits)), dict(zip(names[1], recipe.activation_bits))
    result = {"run": str(output), "from": str(run), "recipe": recipe.name, "quantizer": recipe.quantizer}
    result |= {"score_before": done.score_before, **metrics.record()}
    if as_json:
        record = result | {"weight_bits": bits[0], "activation_bits": bits[1]}
        print(json.dumps(record | ({"swis": done.swis} if done.swis else {}), indent=2))
        return
    shown_scores = {"score_before": done.score_before, metrics.metric: metrics.score}
    if done.swis:
        result |= {name: done.swis[name] for name in SHIFTS}
    print(pairs(result | {name: figure(metrics.metric, score) for name, score in shown_scores.items()}))
    shifts = {layer["layer"]: layer for layer in (done.swis or {"layers": []})["layers"]}
    rows = [{"layer": layer.name, "weight_bits": bits[0].get(layer.name), "activation_bits": bits[1].get(layer.name)}
            | _of_layer(shifts.get(layer.name))
            for layer in recipe.network.layers if layer.name in bits[0] or layer.name in bits[1]]  # fmt: skip
    print("\n" + table(rows, ("layer", "weight_bits", "activation_bits", "shifts", "weights", "storage_bits")))


def _of_layer(found: dict[str, Any] | None) -> dict[str, Any]:
    """Columns of a decomposed layer."""
    if found is None:
        return {}
    return {"shifts": found["average"], "weights": found["weights"], "storage_bits": found["storage_bits"]}


def _tell(decision: Any) -> None:
    say(f"{decision.layer}: {decision.bits} bits, {decision.mbit:.4g} Mbit, score {decision.score:.2f}")
