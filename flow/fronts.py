"""Rates and areas that a network can have, as a table and a plot; nothing is chosen for the build."""

import json
from pathlib import Path
from typing import Any

from .folder import BuildFolder
from .options import PlanOptions
from .progress import progress
from .table import table

COLUMNS = ("fps", "cycles", "lut", "ff", "bram", "dsp", "share", "limited_by")
PLOT, TABLE = "pareto.svg", "pareto.json"


def show_front(folder: BuildFolder, options: PlanOptions, as_json: bool) -> None:
    """Also writes them beside the build's folders."""
    from ..hw.front import find_front, front_rows
    from .exploring.plot import draw
    from .steps import planning_of

    with progress("plan"):
        planning = planning_of(folder, options, has_target=True)
        rows = front_rows(planning, find_front(planning))
    shown = [{**row, "pareto": number} for number, row in enumerate(rows, 1)]
    axes = ["lut", *(kind for kind in ("bram", "dsp") if any(row[kind] for row in rows))]
    write_whole(folder.path / TABLE, json.dumps(rows, indent=2) + "\n")
    write_whole(folder.path / PLOT, draw(shown, ("fps", *axes)))
    print(json.dumps(rows, indent=2) if as_json else table([show_row(row) for row in rows], COLUMNS))


def show_row(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"share": f"{row['share']:.1%}", "limited_by": ", ".join(row["limited_by"])}


def write_whole(path: Path, text: str) -> None:
    """Under another name first, so that a killed run leaves no half file."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)
