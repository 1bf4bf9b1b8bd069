"""Places the boxes of a graph in layers from top to bottom, in columns where these are many, and leads its edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .layers import Edge, Layers, Vertex, make_layers
from .straight import Line, place_across

INSET = 20  # pixels from the sides of a box to its outermost edges
LANE = 12  # width of an edge that passes a layer
LABEL_WIDTH, LABEL_HEIGHT = 176, 32
BEND = 16  # height in which an edge moves to the side
TURN = 9  # between edges that go to the next column
COLUMN_GAP = 34
MARGIN = 10
FEWEST_ROWS = 5  # in a column
SHIFT = 2  # rows by which columns differ at most so that fewer edges go from one to the next

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    name: str
    width: float
    height: float


@dataclass(frozen=True)
class Placed:
    """The upper left corner of a box."""

    box: Box
    x: float
    y: float


@dataclass(frozen=True)
class Route:
    """An edge from point to point; label: the upper left corner of its label, LABEL_WIDTH x LABEL_HEIGHT."""

    points: tuple[Point, ...]
    label: Point


@dataclass(frozen=True)
class Layout:
    """boxes: by name; routes: in the order of the edges."""

    width: float
    height: float
    boxes: dict[str, Placed]
    routes: list[Route]


def lay_out(boxes: Sequence[Box], edges: Sequence[Edge], width: float) -> Layout:
    """Of one box or more, in topological order, in as many columns as ``width`` has room for, or in one."""
    layers = make_layers([box.name for box in boxes], edges)
    for columns in range(len(layers.rows) // FEWEST_ROWS, 1, -1):
        found = Drawing(boxes, layers, split(layers, columns)).layout()
        if found.width <= width:
            return found
    return Drawing(boxes, layers, split(layers, 1)).layout()


def split(layers: Layers, columns: int) -> list[range]:
    """The rows of each column: about as many in each, where few edges lead from one column to the next."""
    count = len(layers.rows)
    starts = [0]
    for column in range(1, columns):
        ideal = round(column * count / columns)
        near = range(max(starts[-1] + 1, ideal - SHIFT), min(count, ideal + SHIFT + 1))
        starts.append(min(near, key=lambda row: (len(layers.crossing(row - 1)), abs(row - ideal))))
    return [range(first, last) for first, last in pairwise([*starts, count])]


class Drawing:
    """Coordinates of the rows of ``layers`` in these columns."""

    def __init__(self, boxes: Sequence[Box], layers: Layers, columns: Sequence[range]):
        self._boxes = {box.name: box for box in boxes}
        self._layers, self._columns = layers, columns
        self._place = {vertex: place for row in layers.rows for place, vertex in enumerate(row)}
        self._outs, self._ins = self._ends()
        self._across: dict[Vertex, float] = {}
        self._top: list[float] = []  # of each row
        self._floor: list[float] = []  # below its boxes and their labels
        self._column_ends: list[float] = []  # the right sides
        self._put_across()
        self._put_down()

    def layout(self) -> Layout:
        placed = {
            name: Placed(box, self._across[name], self._top[row])
            for row, vertices in enumerate(self._layers.rows)
            for name in vertices
            if isinstance(name, str) and (box := self._boxes[name])
        }
        routes = [self._route(number) for number in range(len(self._layers.paths))]
        ends = [one.y + one.box.height for one in placed.values()]
        bottom = max([*ends, *(y for route in routes for _, y in route.points)])
        return Layout(self._column_ends[-1] + MARGIN, bottom + MARGIN, placed, routes)

    def _ends(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """The edges that leave each box, and those that come in, from left to right."""
        outs: dict[str, list[int]] = {name: [] for name in self._boxes}
        ins: dict[str, list[int]] = {name: [] for name in self._boxes}
        for number, path in enumerate(self._layers.paths):
            outs[str(path[0])].append(number)
            ins[str(path[-1])].append(number)
        for numbers in outs.values():
            numbers.sort(key=lambda number: self._place[self._layers.paths[number][1]])
        for numbers in ins.values():
            numbers.sort(key=lambda number: self._place[self._layers.paths[number][-2]])
        return outs, ins

    def _offset(self, vertex: Vertex, edge: int, ends: Mapping[str, list[int]]) -> float:
        """Where an edge meets a vertex, from its left side."""
        if not isinstance(vertex, str):
            return LANE / 2
        several = ends[vertex]
        step = (self._boxes[vertex].width - 2 * INSET) / max(1, len(several) - 1)
        return INSET + several.index(edge) * step

    def _is_labelled_below(self, edge: int) -> bool:
        """Whether the label stands where the edge leaves its box; else, with others beside it, a row further down."""
        return len(self._outs[str(self._layers.paths[edge][0])]) == 1

    def _width(self, vertex: Vertex) -> float:
        if isinstance(vertex, str):
            return self._boxes[vertex].width
        edge, _ = vertex
        is_labelled = self._layers.paths[edge][1] == vertex and not self._is_labelled_below(edge)
        return LABEL_WIDTH if is_labelled else LANE

    def _put_across(self) -> None:
        begin: float = MARGIN
        for column in self._columns:
            rows = [self._layers.rows[row] for row in column]
            widths = {vertex: self._width(vertex) for row in rows for vertex in row}
            lines = [
                Line(a, b, self._offset(a, n, self._outs), self._offset(b, n, self._ins), _weight(a, b))
                for row in column[:-1]
                for n, a, b in self._layers.crossing(row)
            ]
            left = place_across(rows, widths, lines)
            self._across |= {vertex: begin + x for vertex, x in left.items()}
            self._column_ends.append(begin + max(x + widths[vertex] for vertex, x in left.items()))
            begin = self._column_ends[-1] + COLUMN_GAP + TURN * len(self._layers.crossing(column[-1]))

    def _put_down(self) -> None:
        for column in self._columns:
            incoming = self._layers.crossing(column[0] - 1) if column[0] else []
            y = MARGIN + TURN * len(incoming) + self._room_above(incoming)
            for row in column:
                self._top.append(y)
                heights = (self._boxes[v].height for v in self._layers.rows[row] if isinstance(v, str))
                leaving = self._layers.crossing(row)
                self._floor.append(y + max(heights, default=0) + self._room_below(leaving))
                y = self._floor[-1] + BEND + self._room_above(leaving)

    def _room_below(self, leaving: Sequence[tuple[int, Vertex, Vertex]]) -> float:
        return LABEL_HEIGHT * any(isinstance(a, str) and self._is_labelled_below(n) for n, a, _ in leaving)

    def _room_above(self, coming: Sequence[tuple[int, Vertex, Vertex]]) -> float:
        return LABEL_HEIGHT * any(isinstance(a, str) and not self._is_labelled_below(n) for n, a, _ in coming)

    def _route(self, edge: int) -> Route:
        path = self._layers.paths[edge]
        first = next(row for row, vertices in enumerate(self._layers.rows) if path[0] in vertices)
        points: list[Point] = []
        for row, (a, b) in enumerate(pairwise(path), start=first):
            points += self._lead(edge, row, a, b)
        x = points[0][0] if self._is_labelled_below(edge) else self._meets(path[1], edge, self._ins)
        y = points[0][1] if self._is_labelled_below(edge) else self._top[first + 1] - LABEL_HEIGHT
        return Route(tuple(points), (x + 6, y))

    def _meets(self, vertex: Vertex, edge: int, ends: Mapping[str, list[int]]) -> float:
        return self._across[vertex] + self._offset(vertex, edge, ends)

    def _lead(self, edge: int, row: int, a: Vertex, b: Vertex) -> list[Point]:
        """From the bottom of one vertex to the top of another in the next row."""
        leaving = self._layers.crossing(row)
        start = self._meets(a, edge, self._outs), self._top[row] + (self._boxes[a].height if isinstance(a, str) else 0)
        end = self._meets(b, edge, self._ins), self._top[row + 1]
        floor = self._floor[row]
        ceiling = end[1] - self._room_above(leaving)
        column = next(number for number, rows in enumerate(self._columns) if row in rows)
        if row + 1 in self._columns[column]:
            return [start, (start[0], floor), (end[0], floor + BEND), end]
        order = sorted(leaving, key=lambda one: self._meets(one[1], one[0], self._outs), reverse=True)
        turn = TURN * [number for number, _, _ in order].index(edge)
        gutter = self._column_ends[column] + COLUMN_GAP / 2 + turn
        low, high = floor + TURN + turn, ceiling - TURN * len(order) + turn
        return [start, (start[0], low), (gutter, low), (gutter, high), (end[0], high), end]


def _weight(a: Vertex, b: Vertex) -> float:
    """Long edges are the straightest."""
    return (1.0, 2.0, 8.0)[sum(not isinstance(vertex, str) for vertex in (a, b))]
