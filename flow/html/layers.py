"""Puts the boxes of a graph without circles into layers, and orders each layer so that few edges cross."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

SWEEPS = 8

Vertex = str | tuple[int, int]
"""A box by its name, or where an edge passes a layer: the numbers of both."""
Edge = tuple[str, str]


@dataclass(frozen=True)
class Layers:
    """rows: the vertices of each layer from left to right. paths: of each edge its vertices, one a layer."""

    rows: list[list[Vertex]]
    paths: list[list[Vertex]]

    def crossing(self, row: int) -> list[tuple[int, Vertex, Vertex]]:
        """The edges that lead from this row to the next, each by its number with a vertex in both."""
        first = {vertex: None for vertex in self.rows[row]}
        return [(n, a, b) for n, path in enumerate(self.paths) for a, b in pairwise(path) if a in first]


def make_layers(names: Sequence[str], edges: Sequence[Edge]) -> Layers:
    """names: in topological order. Every edge leads to a later layer, and past one if others leave its start and others
    come to its end, so that it is seen by itself. Nothing lies lower than it must but sources: right above a reader."""
    layer = _number(names, edges)
    rows: list[list[Vertex]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in names:
        rows[layer[name]].append(name)
    paths: list[list[Vertex]] = []
    for number, (start, end) in enumerate(edges):
        passed: list[Vertex] = [(number, row) for row in range(layer[start] + 1, layer[end])]
        for vertex, row in zip(passed, range(layer[start] + 1, layer[end])):
            rows[row].append(vertex)
        paths.append([start, *passed, end])
    return _with_few_crossings(Layers(rows, paths))


def _number(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    layer = {name: 0 for name in names}
    outs, ins = Counter(start for start, _ in edges), Counter(end for _, end in edges)
    apart = {(start, end): 2 if outs[start] > 1 and ins[end] > 1 else 1 for start, end in edges}
    for name in names:
        for start, end in edges:
            if end == name:
                layer[end] = max(layer[end], layer[start] + apart[start, end])
    for name in (name for name in names if name not in ins):
        layer[name] = min((layer[end] - apart[start, end] for start, end in edges if start == name), default=0)
    return layer


def _with_few_crossings(layers: Layers) -> Layers:
    """The best of some sweeps down and up, in which each vertex goes to the mean place of its neighbours."""
    best, fewest = layers, count_crossings(layers)
    for sweep in range(SWEEPS):
        layers = _sweep(layers, down=sweep % 2 == 0)
        if (found := count_crossings(layers)) < fewest:
            best, fewest = layers, found
    return best


def _sweep(layers: Layers, *, down: bool) -> Layers:
    pairs = [pair if down else pair[::-1] for path in layers.paths for pair in pairwise(path)]
    rows = list(layers.rows) if down else layers.rows[::-1]
    place: dict[Vertex, float] = {vertex: number for number, vertex in enumerate(rows[0])} if rows else {}
    for number, row in enumerate(rows[1:], start=1):
        before = {vertex: [place[a] for a, b in pairs if b == vertex] for vertex in row}
        here = {vertex: float(number) for number, vertex in enumerate(row)}
        wanted = {v: sum(found) / len(found) if found else here[v] for v, found in before.items()}
        rows[number] = sorted(row, key=lambda vertex: wanted[vertex])
        place |= {vertex: number for number, vertex in enumerate(rows[number])}
    return Layers(rows if down else rows[::-1], layers.paths)


def count_crossings(layers: Layers) -> int:
    place: Mapping[Vertex, int] = {vertex: number for row in layers.rows for number, vertex in enumerate(row)}
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for row in range(len(layers.rows) - 1)
        for (_, a, b), (_, c, d) in combinations(layers.crossing(row), 2)
    )
