"""What a run folder tells of its pruning, as the build folder keeps it."""

from pathlib import Path
from typing import Any

from ..errors import BuildError
from .folder import read_json

FIGURES = ("score", "weight_mbit", "feature_mbit", "density")


def how_pruned(run: Path) -> dict[str, Any] | None:
    """None of a run without pruning, else ``groups`` of channels, each with its name, how many there were and how many
    are kept; ``stages`` of `espalier prune`, each with its name and FIGURES, the score by ``metric``, density per Mbit;
    and its ``method``. Pruning while training has no stages and no method. BuildError where a file is damaged."""
    names = ("prune.json", "metrics.json", "config.json")
    masks, metrics, config = (read_json(run / name) if (run / name).is_file() else {} for name in names)
    try:
        groups = [
            {"name": str(group["name"]), "channels": int(group["channels"]), "kept": int(group["kept"])}
            for group in masks.get("groups", [])
        ]
        stages = [
            {"stage": str(stage["stage"])} | {name: float(stage[name]) for name in FIGURES}
            for stage in metrics.get("stages", [])
        ]
        if not stages and all(group["kept"] == group["channels"] for group in groups):
            return None
        method = str(config["prune"]["method"]) if stages else None
        return {"method": method, "metric": str(metrics["result"]["metric"]), "stages": stages, "groups": groups}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BuildError(f"{run}: its prune.json, metrics.json or config.json is damaged; train again") from None
