"""Draws the dataflow graph: a box for each stage, coloured by how busy it is, and the queues between them."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from ...hw.design import Channel, Design
from ...hw.join_layers import join_layers
from ...ir.graph import Node
from .layout import Box, Layout, Point, lay_out
from .markup import el, number, shorten, svg, text
from .trace import Fill

WIDTH = 1160  # pixels that columns of boxes may take
BOX_WIDTH, LINE, PADDING = 262, 16, 8
BORDER_HEIGHT = 26  # of a box for an input or output
NAME, WORDS = 30, 21  # characters that there is room for
GAUGE = 40
PALEST, DARKEST = 0.05, 0.55  # opacity of a box that is never busy, or always

Row = Mapping[str, Any]


def draw_graph(design: Design, rows: Sequence[Row], fills: Mapping[str, Fill], limited_by: Sequence[str]) -> Element:
    """rows: ``layers`` of plan.json."""
    borders = {channel.port: channel for channel in design.channels if channel.port}
    units = {u.name: u for u in join_layers(design.graph, design.units, lambda name: design.layer(name).engine)}
    nodes = {name: units[name].nodes if name in units else () for name in design.stages}
    lines = {row["layer"]: describe(nodes[row["layer"]], describe_memory(design, row), row) for row in rows}
    sources = [Box(f"in {port}", BOX_WIDTH, BORDER_HEIGHT) for port, one in borders.items() if one.is_input]
    stages = [Box(name, BOX_WIDTH, 2 * PADDING + LINE * (1 + len(more))) for name, more in lines.items()]
    sinks = [Box(f"out {port}", BOX_WIDTH, BORDER_HEIGHT) for port, one in borders.items() if not one.is_input]
    boxes = [*sources, *_in_order(stages, design), *sinks]
    layout = lay_out(boxes, [ends(channel) for channel in design.channels], WIDTH)
    limiting = {name if name in lines else name.removesuffix("_fill") for name in limited_by}
    return svg(
        layout.width, layout.height, "dataflow graph",
        [_edge(channel, route.points, route.label, fills.get(channel.name))
         for channel, route in zip(design.channels, layout.routes)],
        [_border(layout, box.name) for box in (*sources, *sinks)],
        [_stage(layout, row, nodes[row["layer"]], lines[row["layer"]], row["layer"] in limiting) for row in rows],
        class_="graph",
    )  # fmt: skip


def ends(channel: Channel) -> tuple[str, str]:
    """The boxes that a stream leads from and to."""
    start = f"in {channel.port}" if channel.is_input else channel.link.producer
    return start, channel.taker or f"out {channel.port}"


def _in_order(stages: Sequence[Box], design: Design) -> list[Box]:
    """Each behind all that it takes from."""
    left = {box.name: box for box in stages}
    needed = {name: [c.link.producer for c in design.channels if c.taker == name and not c.is_input] for name in left}
    found: list[Box] = []
    while left:
        ready = [name for name in left if not any(before in left for before in needed[name])]
        found += [left.pop(name) for name in ready]
    return found


def describe(nodes: Sequence[Node], memory: str, row: Row) -> list[tuple[str, str]]:
    """The lines below a stage's name, each with what stands on its left and on its right; ``nodes``: what it does."""
    count = f"{row['cycles']:,} cycles"
    if not nodes:
        return [(row["kind"], ""), (count, memory)] if memory else [(f"{row['kind']}, {count}", "")]
    operators = " + ".join(type(node).__name__ for node in nodes)
    engine = f"{row['engine']} {row['pe']} × {row['simd']}" if row["engine"] else f"pe {row['pe']}"
    return [(shorten(operators, WORDS), engine), (count, memory)]


def describe_memory(design: Design, row: Row) -> str:
    """Weights, or the buffer: words in use, of words x bits."""
    if row["weight_bits"]:
        style = design.plan.layers[row["layer"]].memory
        return f"{row['weight_bits']}-bit weights" + ("" if style == "auto" else f", {style}")
    buffer = row["buffer"]
    return f"{buffer['places']} of {buffer['words']}×{buffer['bits']} {buffer['style']}" if buffer else ""


def _stage(
    layout: Layout, row: Row, nodes: Sequence[Node], lines: Sequence[tuple[str, str]], is_limiting: bool
) -> Element:
    placed = layout.boxes[row["layer"]]
    x, y, box = placed.x, placed.y, placed.box
    right = x + box.width - 10
    opacity = number(PALEST + (DARKEST - PALEST) * row["busy"])
    waits = "".join(f"\nwaits {cycles:,} cycles for {other}" for other, cycles in row["waits"].items())
    does = "".join(f"\n{type(node).__name__} {node.name}" for node in nodes)
    busy = f"{row['busy']:.1%}{' ◆' if is_limiting else ''}"
    return el(
        "g",
        el("title", f"{box.name}: {row['cycles']:,} cycles a frame, {row['busy']:.1%} of all{does}{waits}"),
        el("rect", x=x, y=y, width=box.width, height=box.height, rx=5, class_="ground"),
        el("rect", x=x, y=y, width=box.width, height=box.height, rx=5, class_="busy", fill_opacity=opacity),
        text(x + 10, y + 19, shorten(box.name, NAME), "name"),
        text(right, y + 19, busy, "end"),
        [
            [text(x + 10, y + 19 + LINE * n, left), text(right, y + 19 + LINE * n, other, "end")]
            for n, (left, other) in enumerate(lines, start=1)
        ],
        class_="stage limiting" if is_limiting else "stage",
    )


def _border(layout: Layout, name: str) -> Element:
    placed = layout.boxes[name]
    kind, _, port = name.partition(" ")
    words = f"{'input' if kind == 'in' else 'output'} {shorten(port, NAME)}"
    return el(
        "g",
        el("rect", x=placed.x, y=placed.y, width=placed.box.width, height=placed.box.height, rx=13),
        text(placed.x + 14, placed.y + 17.5, words, "name"),
        class_="border",
    )


def _edge(channel: Channel, points: Sequence[Point], label: Point, fill: Fill | None) -> Element:
    shape = "×".join(map(str, channel.type.shape))
    lanes = f"{channel.lanes} lane{'s' * (channel.lanes != 1)}"
    title = f"{channel.name}: {channel.beats:,} beats of {channel.width} bits a frame"
    x, y = label
    return el(
        "g",
        el("title", title if fill is None else f"{title}, queue of {fill.depth:,}: {_filled(fill)}"),
        el("path", d=line(points), class_="reach"),
        el("path", d=line(points), class_="line"),
        el("path", d=_tip(points[-1]), class_="tip"),
        text(x, y + 12, f"{shape} {channel.type.dtype} · {lanes}"),
        [text(x, y + 25, "no queue")] if fill is None else _gauge(x, y + 17, fill),
        class_="edge",
    )


def _gauge(x: float, y: float, fill: Fill) -> list[Element]:
    """How full a queue is on average, with a mark at the most."""
    share, most = (GAUGE * min(1.0, held / fill.depth) for held in (fill.mean, fill.highest))
    return [
        el("rect", x=x, y=y, width=GAUGE, height=7, class_="room"),
        el("rect", x=x, y=y, width=share, height=7, class_="filled"),
        el("rect", x=x + most - 2, y=y - 1, width=2, height=9, class_="most"),
        text(x + GAUGE + 6, y + 8, f"{_mean(fill)} of {fill.depth:,}, most {fill.highest:,}"),
    ]


def _filled(fill: Fill) -> str:
    return f"{_mean(fill)} places taken on average, {fill.highest:,} at most"


def _mean(fill: Fill) -> str:
    return f"{fill.mean:,.2f}" if fill.mean < 10 else f"{fill.mean:,.1f}"


def _tip(point: Point) -> str:
    x, y = map(number, point)
    return f"M{x} {y}l-4 -8h8z"


def line(points: Sequence[Point]) -> str:
    """Straight from point to point where these are level or upright, else in a bend."""
    x, y = points[0]
    parts = [f"M{number(x)} {number(y)}"]
    for to_x, to_y in points[1:]:
        end = f"{number(to_x)} {number(to_y)}"
        if x == to_x or y == to_y:
            parts.append(f"L{end}")
        else:
            middle = number((y + to_y) / 2)
            parts.append(f"C{number(x)} {middle} {number(to_x)} {middle} {end}")
        x, y = to_x, to_y
    return "".join(parts)
