"""How far right each vertex of a layered graph stands: edges as straight as can be, by linear programming."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .layers import Vertex

GAP = 14  # pixels between vertices side by side
TO_THE_LEFT = 1e-3  # of equally straight drawings the narrow ones


@dataclass(frozen=True)
class Line:
    """A part of an edge from one vertex to another; the offsets say where it meets them, from their left sides."""

    start: Vertex
    end: Vertex
    start_offset: float
    end_offset: float
    weight: float


def place_across(
    rows: Sequence[Sequence[Vertex]], widths: Mapping[Vertex, float], lines: Sequence[Line]
) -> dict[Vertex, float]:
    """The left side of every vertex, from 0 on; those of a row keep their order and do not touch."""
    from ortools.linear_solver import pywraplp  # a large library

    solver = pywraplp.Solver.CreateSolver("GLOP")
    left = {vertex: solver.NumVar(0, solver.infinity(), "") for row in rows for vertex in row}
    for row in rows:
        for first, second in pairwise(row):
            solver.Add(left[second] >= left[first] + widths[first] + GAP)
    shifts = []
    for line in lines:
        shift = solver.NumVar(0, solver.infinity(), "")
        across = left[line.end] + line.end_offset - left[line.start] - line.start_offset
        solver.Add(shift >= across)
        solver.Add(shift >= -across)
        shifts.append(line.weight * shift)
    solver.Minimize(sum(shifts) + TO_THE_LEFT * sum(left.values()))
    status = solver.Solve()
    assert status == pywraplp.Solver.OPTIMAL
    return {vertex: round(variable.solution_value(), 1) for vertex, variable in left.items()}
