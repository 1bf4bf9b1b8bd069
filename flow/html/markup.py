"""Elements of HTML and SVG: whatever text goes in is escaped when the tree is written."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None | Iterable["Child"]


def el(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """An element; children are elements, text, or lists of both, attributes of None are left out.

    ``class_`` is class, and other underscores are hyphens; figures are written with two decimals at most.
    """
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    found = Element(tag, {name: value if isinstance(value, str) else number(value) for name, value in given.items()})
    add(found, children)
    return found


def add(parent: Element, child: Child) -> None:
    if isinstance(child, str):
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + child
        else:
            parent.text = (parent.text or "") + child
    elif isinstance(child, Element):
        parent.append(child)
    elif child is not None:
        for each in child:
            add(parent, each)


def number(value: float) -> str:
    """Without needless digits: 3 for 3.0, 0.33 for a third."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def svg(width: float, height: float, name: str, *children: Child, class_: str | None = None) -> Element:
    """A drawing of so many pixels; ``name`` is what a screen reader says of it."""
    size = {"width": width, "height": height, "viewBox": f"0 0 {number(width)} {number(height)}"}
    return el("svg", *children, role="img", aria_label=name, class_=class_, **size)


def text(x: float, y: float, words: str, class_: str | None = None, **attributes: str | float | None) -> Element:
    return el("text", words, x=x, y=y, class_=class_, **attributes)


def shorten(words: str, most: int) -> str:
    """At most so many characters; what is cut out of the middle is three dots."""
    if len(words) <= most:
        return words
    tail = (most - 1) // 2
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def write(element: Element) -> str:
    return tostring(element, encoding="unicode", method="html")
