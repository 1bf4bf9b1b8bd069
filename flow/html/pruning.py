"""What pruning did: channels, memory, score and density before and after."""

from typing import Any
from xml.etree.ElementTree import Element

from ..report import scores
from ..scores import MEMORY, show_score
from .bars import Bars, draw_bars, legend
from .figures import Build
from .headline import SCORES
from .markup import el
from .tables import scroll, table


def pruning_section(build: Build) -> list[Element]:
    """Empty where the network was not pruned."""
    pruned = build.found["import"]["pruned"]
    if pruned is None:
        return []
    before, after = (sum(group[name] for group in pruned["groups"]) for name in ("channels", "kept"))
    how = f"by the method {pruned['method']}" if pruned["method"] else "while it was trained"
    bars = [Bars(group["name"], (group["channels"], group["kept"])) for group in pruned["groups"]]
    return [
        el("p", f"Pruned {how}: {after:,} of {before:,} channels are left.", class_="note"),
        stages(pruned) if pruned["stages"] else table([scores(build.found)], (*SCORES, *MEMORY, "density")),
        el("h4", "Channels that can only be pruned together", legend(("before", "after"))),
        scroll(draw_bars("channels of each group", ("before", "after"), bars)),
    ]


def stages(pruned: dict[str, Any]) -> Element:
    metric = pruned["metric"]
    unit = "dB" if metric == "psnr_db" else "%"
    rows = [
        stage | {metric: show_score(metric, stage["score"]), f"density_in_{unit}_per_Mbit": stage["density"]}
        for stage in pruned["stages"]
    ]
    columns = ("stage", metric, *MEMORY, f"density_in_{unit}_per_Mbit")
    return table(rows, columns)
