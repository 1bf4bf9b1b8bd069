"""One option for each of several things, so that costs alone and in pairs are least together: by elimination."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

LARGEST_TABLE = 1 << 20

Costs = NDArray[np.object_]  # integers of any size
Table = tuple[tuple[str, ...], Costs]


def choose_cheapest(alone: Mapping[str, Sequence[int]], pairs: Mapping[tuple[str, str], Costs]) -> dict[str, int]:
    """The number of each thing's option.

    alone: the cost of each option of a thing; pairs: the costs, (options, options), of two things' options together.

    One thing after the other goes: its best option becomes a table over the options of those it is paired with. Such a
    table is small for what is nearly a chain, however long; where one would pass ``LARGEST_TABLE``, a thing keeps the
    option that is cheapest alone, and the result may miss the best.
    """
    options = {name: len(costs) for name, costs in alone.items()}
    tables: list[Table] = [((name,), np.array(costs, object)) for name, costs in alone.items()]
    tables += pairs.items()
    fixed: dict[str, int] = {}
    gone: list[tuple[str, tuple[str, ...], NDArray[np.intp]]] = []
    while open_ := [name for name in options if name not in fixed and name not in [one[0] for one in gone]]:
        scopes = {name: _scope(tables, name) for name in open_}
        name = min(open_, key=lambda name: prod(options[other] for other in scopes[name]))
        if prod(options[other] for other in scopes[name]) > LARGEST_TABLE:
            name = max(open_, key=lambda name: len(scopes[name]))
            fixed[name] = min(range(options[name]), key=lambda option: alone[name][option])
            tables = [_restrict(table, name, fixed[name]) for table in tables]
            continue
        scope = scopes[name]
        mine = [table for table in tables if name in table[0]]
        tables = [table for table in tables if name not in table[0]]
        total = sum((_spread(table, scope) for table in mine), start=np.zeros((1,) * len(scope), object))
        gone.append((name, scope[1:], total.argmin(axis=0)))
        tables.append((scope[1:], np.asarray(total.min(axis=0), object)))
    for name, others, best in reversed(gone):
        fixed[name] = int(best[tuple(fixed[other] for other in others)])
    return fixed


def _scope(tables: Sequence[Table], name: str) -> tuple[str, ...]:
    """``name`` and all that it shares a table with."""
    return tuple(dict.fromkeys([name, *(other for names, _ in tables if name in names for other in names)]))


def _spread(table: Table, scope: Sequence[str]) -> Costs:
    """The costs with one axis for each of ``scope``, of length 1 where they do not depend on it."""
    names, costs = table
    inside = [name for name in scope if name in names]
    moved = costs.transpose([names.index(name) for name in inside])
    return moved.reshape([costs.shape[names.index(name)] if name in names else 1 for name in scope])


def _restrict(table: Table, name: str, option: int) -> Table:
    names, costs = table
    if name not in names:
        return table
    rest = tuple(other for other in names if other != name)
    return rest, np.asarray(costs.take(option, axis=names.index(name)), object)
