"""Bars beside names: one or two figures for each layer, at one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .markup import el, number, shorten, svg, text

LEFT, FIELD, RIGHT = 196, 400, 76
BAR, GAP, TOP, BOTTOM = 11, 9, 6, 22
NAME = 27


@dataclass(frozen=True)
class Bars:
    """The figures of a layer, the same number of them for each; None: there is none."""

    name: str
    figures: tuple[float | None, ...]


def draw_bars(
    title: str, kinds: Sequence[str], bars: Sequence[Bars], *, form: str = ",.0f", mark: tuple[float, str] | None = None
) -> Element:
    """kinds: the classes that colour the figures, in order. mark: a figure to compare with, and its name."""
    figures = [figure for one in bars for figure in one.figures if figure is not None]
    scale = FIELD / max([*figures, mark[0] if mark else 0, 1e-9])
    step = BAR * len(kinds) + GAP
    bottom = TOP + step * len(bars)
    return svg(
        LEFT + FIELD + RIGHT, bottom + (BOTTOM if mark else 4), title,
        [_one(one, kinds, TOP + step * place, scale, form) for place, one in enumerate(bars)],
        _mark(LEFT + mark[0] * scale, bottom, mark[1]) if mark else None,
        class_="bars",
    )  # fmt: skip


def _one(one: Bars, kinds: Sequence[str], top: float, scale: float, form: str) -> Element:
    middle = top + BAR * len(kinds) / 2 + 4
    drawn = []
    for place, (kind, figure) in enumerate(zip(kinds, one.figures)):
        if figure is not None:
            y = top + BAR * place
            drawn.append(el("rect", x=LEFT, y=y, width=max(0.5, figure * scale), height=BAR - 1, class_=kind))
            drawn.append(text(LEFT + figure * scale + 5, y + BAR - 1, format(figure, form), "small"))
    told = ", ".join(f"{kind} {format(f, form)}" for kind, f in zip(kinds, one.figures) if f is not None)
    return el("g", el("title", f"{one.name}: {told}"), text(LEFT - 10, middle, shorten(one.name, NAME), "end"), drawn)


def _mark(x: float, bottom: float, name: str) -> list[Element]:
    anchor = "end" if x > LEFT + FIELD / 2 else None
    return [
        el("path", d=f"M{number(x)} {TOP - 4}V{bottom + 4}", class_="mark"),
        text(x, bottom + 17, name, anchor),
    ]


def legend(kinds: Sequence[str]) -> list[Element]:
    """What the colours of ``kinds`` mean."""
    return [el("span", el("i", class_=kind), kind, class_="key") for kind in kinds]
