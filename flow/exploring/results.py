"""What an exploration has found: every point with its figures, and which of them no other one beats."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import BuildError
from ..folder import read_json, write_atomic, write_json
from ..scores import show_score
from ..table import pairs, show, table
from .plot import draw
from .settings import AREA, HIGHER, Exploration, Point
from .trial import Outcome

RESULTS, TABLE, PLOT = "results.json", "results.md", "pareto.svg"
SCORES = ("accuracy", "psnr_db", "iou")
ALSO = ("latency_cycles",)  # shown beside the objectives

Row = dict[str, Any]
"""A point's choices; network: its name; the figures, or infeasible: why there are none; pareto: nothing beats it."""


def make_record(run: Path, exploration: Exploration, outcomes: Sequence[tuple[Point, Outcome]]) -> dict[str, Any]:
    """As JSON values, the same for the same points, however they were come by."""
    rows = [_row(point, outcome) for point, outcome in outcomes]
    feasible = [row for row in rows if "infeasible" not in row]
    best = pareto(feasible, exploration.objectives)
    for number, row in enumerate(best):
        row["pareto"] = number + 1
    return {"run": str(run), **exploration.record(), "points": rows}


def _row(point: Point, outcome: Outcome) -> Row:
    network = {"network": outcome["network"]}
    if "infeasible" in outcome:
        return {**point, **network, "infeasible": outcome["infeasible"]}
    return {**point, **network, **outcome["figures"]}


def pareto(rows: Sequence[Row], objectives: Sequence[str]) -> list[Row]:
    """Those that no other row beats, being nowhere worse and somewhere better; the best by the first objective first.

    Of rows that are equal in every objective the first stands for all.
    """
    goals = [tuple(row[name] if name in HIGHER else -row[name] for name in objectives) for row in rows]
    first = {goal: row for goal, row in reversed(list(zip(goals, rows)))}
    left = [goal for goal in first if not any(_beats(other, goal) for other in first)]
    return [first[goal] for goal in sorted(left, reverse=True)]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other))


def best_so_far(outcomes: Sequence[tuple[Point, Outcome]], objective: str) -> str:
    """In words; empty where nothing was feasible."""
    found = [outcome["figures"][objective] for _, outcome in outcomes if "figures" in outcome]
    return figure_of({objective: max(found) if objective in HIGHER else min(found)}, objective) if found else ""


def figure_of(figures: Mapping[str, float], name: str) -> str:
    """In words."""
    return f"{name.replace('_', ' ')} {_show(name, figures[name])}"


def write_results(folder: Path, record: Mapping[str, Any]) -> None:
    """results.json, and from it the table and the plot."""
    write_json(folder / RESULTS, record)
    rows, columns = _best_rows(record), _columns(record)
    write_atomic(folder / TABLE, _markdown(rows, columns).encode())
    write_atomic(folder / PLOT, draw(record["points"], record["objectives"]).encode())


def is_exploration(folder: Path) -> bool:
    return (folder / RESULTS).is_file()


def read_results(folder: Path) -> dict[str, Any]:
    found = read_json(folder / RESULTS)
    if not isinstance(found, dict) or not {"points", "objectives", "axes"} <= found.keys():
        raise BuildError(
            f"{folder / RESULTS}: is not as Espalier writes it; delete it and run `espalier explore` again"
        )
    return found


def report_exploration(folder: Path, as_json: bool) -> None:
    print_results(folder, read_results(folder), as_json)


def print_results(folder: Path, record: Mapping[str, Any], as_json: bool) -> None:
    """On stdout, as a table or JSON; BuildError where someone has changed what the folder holds."""
    try:
        print(json.dumps(record, indent=2) if as_json else describe(folder, record))
    except (KeyError, TypeError, AttributeError) as error:
        raise BuildError(
            f"{folder / RESULTS}: is not as Espalier writes it ({type(error).__name__}: {error}); delete it and run "
            "`espalier explore` again"
        ) from None


def describe(folder: Path, record: Mapping[str, Any]) -> str:
    """The table of what nothing beats, and below it how many points there are."""
    rows = _best_rows(record)
    points = record["points"]
    infeasible = [row for row in points if "infeasible" in row]
    count = {"points": len(points), "infeasible": len(infeasible), "pareto_optimal": len(rows)}
    reasons = {f"infeasible_{index + 1}": reason for index, reason in enumerate(_reasons(infeasible))}
    area = f"by yosys for {record['device']}" if record["synth"] else "predicted"
    files = {"area": area, "networks": folder / "networks", "all_points": folder / RESULTS, "plot": folder / PLOT}
    parts = [table(rows, _columns(record)) if rows else "no point is feasible", pairs(count | reasons | files)]
    return "\n\n".join(parts)


def _reasons(infeasible: Sequence[Row]) -> list[str]:
    """Three different ones at most, each with how often it was."""
    found: dict[str, int] = {}
    for row in infeasible:
        found[row["infeasible"]] = found.get(row["infeasible"], 0) + 1
    return [f"{count} x: {reason}" for reason, count in sorted(found.items(), key=lambda item: -item[1])[:3]]


def _best_rows(record: Mapping[str, Any]) -> list[Row]:
    """As they are shown."""
    best = sorted((row for row in record["points"] if "pareto" in row), key=lambda row: row["pareto"])
    return [{name: _show(name, value) if name in SCORES else value for name, value in row.items()} for row in best]


def _columns(record: Mapping[str, Any]) -> list[str]:
    names = ["pareto", *record["axes"], *record["objectives"], *ALSO, *AREA, "network"]
    return list(dict.fromkeys(names))


def _show(name: str, value: float) -> str:
    return show_score(name, value) if name in SCORES else show(value)


def _markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    lines = [[name.replace("_", " ") for name in columns], ["---"] * len(columns)]
    lines += [[show(row.get(name)) for name in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
