"""Tables of figures, in full."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from ..report import AREA_COLUMNS, FOLD_COLUMNS
from ..table import show
from .figures import Build
from .markup import Child, el

RUN_COLUMNS = ("name", "stall", "cycles", "beats", "values_exact", "cycles_exact")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], class_: str | None = None) -> Element:
    """A row of figures for each of ``rows``; a column without any is left out. Cells may be elements."""
    columns = [column for column in columns if any(row.get(column) is not None for row in rows)]
    right = {c for c in columns if any(isinstance(row.get(c), int | float) for row in rows)}

    def cell(tag: str, column: str, inside: Child) -> Element:
        return el(tag, inside, class_="right" if column in right else None)

    head = el("tr", [cell("th", column, column.replace("_", " ")) for column in columns])
    lines = [el("tr", [cell("td", column, _shown(row.get(column))) for column in columns]) for row in rows]
    return scroll(el("table", el("thead", head), el("tbody", lines), class_=class_))


def _shown(value: Any) -> Child:
    return value if isinstance(value, Element) else show(value)


def scroll(wide: Element) -> Element:
    """A box in which something wide can be moved."""
    return el("div", wide, class_="scroll", tabindex="0")


def details(title: str, *inside: Child) -> Element:
    return el("details", el("summary", title), *inside)


def all_figures(build: Build) -> list[Element]:
    """What `espalier report` prints of the build and of its verbs, folded away."""
    totals = [{"figure": name.replace("_", " "), "value": show(value)} for name, value in build.totals.items()]
    imported, simulated = build.found["import"], build.found.get("simulate")
    return [
        details("The whole network", table(totals, ("figure", "value"))),
        details("Every stage", table(build.table, (*FOLD_COLUMNS, *AREA_COLUMNS))),
        details("Operators of the integer graph", table(imported["nodes"], ("name", "operator", "output"))),
        *([details("Simulations", table(simulated["runs"], RUN_COLUMNS))] if simulated else []),
    ]
