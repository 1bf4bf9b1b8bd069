"""Area: of each layer, predicted beside measured, and of the whole beside what the device holds."""

from typing import Any
from xml.etree.ElementTree import Element

from ..budgets import model_of
from .bars import Bars, draw_bars, legend
from .figures import KINDS, Build
from .headline import NAMES, meter, percent, share_of
from .markup import el
from .tables import scroll, table

COUNTED = ("lut", "carry", "lutram", "ff", "bram", "dsp")
"""Of a layer by itself: lookup tables for logic, carry cells, and lookup tables as memory are counted apart."""


def area_section(build: Build) -> list[Element]:
    measured = build.synth["layers"] if build.synth else {}
    layers = build.plan["layers"]
    bars = [
        Bars(row["layer"], (row["predicted"]["lut"], measured[row["layer"]]["lut"] if measured else None))
        for row in layers
    ]
    kinds = ("predicted", "measured") if measured else ("predicted",)
    bars = [Bars(one.name, one.figures[: len(kinds)]) for one in bars]
    return [
        el("p", explain(build), class_="note"),
        whole(build),
        el("h4", "Lookup tables for logic, layer by layer", legend(kinds)),
        scroll(draw_bars("lookup tables of each layer", kinds, bars)),
        el("h4", "All kinds, layer by layer"),
        each_layer(build),
    ]  # fmt: skip


def explain(build: Build) -> str:
    family = build.plan["area"]["family"]
    if build.synth is None:
        return f"Not synthesized: these figures are predicted, for {family}."
    words = f"Measured by synthesis for {build.synth['device']}"
    if build.device and model_of(build.device) != family:
        words += f", while the prediction is for {family}, whose lookup tables are others"
    return words + ". Lookup tables of the whole are all that the device loses, for carries and memory too."


def whole(build: Build) -> Element:
    rows = []
    for kind in KINDS:
        row: dict[str, Any] = {"kind": NAMES[kind], "predicted": build.predicted[kind]}
        if build.measured:
            row["measured"] = build.measured[kind]
        if build.device:
            holds = getattr(build.device, kind)
            share = share_of(build.area[kind], holds)
            row |= {"device_holds": holds, "share": percent(share), "_": meter(share)}
        rows.append(row)
    return table(rows, ("kind", "predicted", "measured", "device_holds", "share", "_"))


def each_layer(build: Build) -> Element:
    """Predicted and measured in one cell each, and their sums."""
    measured = build.synth["layers"] if build.synth else {}
    rows, sums = [], {}
    for layer in build.plan["layers"]:
        row: dict[str, Any] = {"layer": layer["layer"]}
        for kind in COUNTED:
            row[f"{kind}_predicted"] = round(layer["predicted"][kind])
            if measured:
                row[f"{kind}_measured"] = measured[layer["layer"]][kind]
        rows.append(row)
        sums = {name: sums.get(name, 0) + value for name, value in row.items() if name != "layer"}
    columns = [f"{kind}_{how}" for kind in COUNTED for how in ("predicted", "measured")]
    return table([*rows, {"layer": "sum", **sums}], ("layer", *columns), "sums")
