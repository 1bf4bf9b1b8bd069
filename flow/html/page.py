"""The page: head, comparison if there are several builds, and each build's drawings and figures."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from ..report import reading
from .area import area_section
from .compare import compare
from .figures import Build
from .graph import draw_graph
from .headline import figure, headline
from .markup import Child, el, write
from .path import path_section
from .pruning import pruning_section
from .tables import all_figures, scroll
from .timeline import draw_timeline

STYLE = Path(__file__).with_name("style.css")


def page(builds: Sequence[Build]) -> str:
    """One file that needs nothing else; the same text for the same builds."""
    several = len(builds) > 1
    title = ", ".join(build.name for build in builds)
    opening: list[Child] = [el("p", "Espalier accelerator report", class_="over"), el("h1", title)]
    if several:
        opening += [el("section", compare(builds), class_="comparison")]
    parts = []
    for place, build in enumerate(builds):
        with reading(build.folder):
            heading = el("h2", build.name) if several else None
            parts.append(el("article", heading, build_part(build, f"build{place}"), id=f"build{place}"))
    html = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{title} – Espalier"),
            el("style", STYLE.read_text(encoding="utf-8")),
        ),
        el("body", el("main", opening, parts)),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{write(html)}\n"


def build_part(build: Build, anchor: str) -> list[Child]:
    """The headline, links to the sections that there are, and these; ``anchor`` begins their names."""
    sections = {
        "Dataflow graph": graph_section(build),
        "One frame on its way": timeline_section(build),
        "Area": area_section(build),
        "Critical path": path_section(build),
        "Pruning": pruning_section(build),
        "All figures": all_figures(build),
    }
    anchors = {title: f"{anchor}-{title.split()[-1].lower()}" for title, inside in sections.items() if inside}
    return [
        headline(build),
        el("nav", [el("a", title, href=f"#{name}") for title, name in anchors.items()]),
        [el("section", el("h3", title), sections[title], id=name) for title, name in anchors.items()],
    ]


def graph_section(build: Build) -> list[Element]:
    words = (
        "A box is a stage, more coloured the busier it is; ◆ marks what sets the rate. A line is a stream: shape, "
        "integers and lanes, and its queue: the places taken on average while a frame passes, of all, and the most. A "
        "place is taken from the start of a beat until the next stage has it."
    )
    drawn = draw_graph(build.design, build.plan["layers"], build.trace.fills, build.plan["limited_by"])
    return [el("p", words, class_="note"), scroll(drawn)]


def timeline_section(build: Build) -> list[Element]:
    trace = build.trace
    pace = "beat by beat" if trace.is_steady else "on average, not beat by beat"
    words = (
        f"Frame {trace.frame:,} of a stream that never pauses, as the timing model predicts it; the next one follows "
        f"{figure(trace.ii_cycles)} cycles later {pace}. Gaps are waits; the frames before and after are paler. Above: "
        f"microseconds at {build.plan['clock_mhz']:g} MHz."
    )
    keys = [("taken", "takes its input"), ("given", "hands on its output")]
    return [
        el("p", words, class_="note"),
        el("p", [el("span", el("i", class_=kind), name, class_="key") for kind, name in keys]),
        scroll(draw_timeline(trace, build.plan["layers"], build.plan["clock_mhz"])),
    ]
