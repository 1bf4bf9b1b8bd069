"""Plain text tables for stdout: columns aligned, the same bytes on a terminal and in a file."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """One line per row under a heading; a missing value is a dash, and a column of nothing else is left out."""
    columns = [column for column in columns if any(row.get(column) is not None for row in rows)]
    cells = [[column.replace("_", " ") for column in columns], *([show(row.get(c)) for c in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    right = [any(isinstance(row.get(column), int | float) for row in rows) for column in columns]
    pads = [str.rjust if to_right else str.ljust for to_right in right]
    lines = ["  ".join(pad(cell, width) for pad, cell, width in zip(pads, line, widths)) for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def pairs(values: Mapping[str, Any]) -> str:
    """One name and value a line."""
    names = {name: name.replace("_", " ") for name in values}
    width = max(map(len, names.values()), default=0)
    return "\n".join(f"{names[name]:{width}}  {show(value)}" for name, value in values.items())


def show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
