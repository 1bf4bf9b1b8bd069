"""The slowest path of a placement, with the layers that it starts and ends in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .place import PathStep

_CARRY_OUT = ("FCO", "COUT")
_CARRY = ("FCI", "CIN", *_CARRY_OUT)


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path from clock to clock: its delay, the layers it starts and ends in, and its steps as text."""

    delay_ns: float
    start: str
    end: str
    steps: tuple[str, ...]


def describe_path(path: Sequence[PathStep], belongs: Mapping[str, str], instance: str) -> CriticalPath:
    """``path`` with layers by name; the many steps through a carry chain become one.

    belongs: cell -> layer. instance: the design in its wrapper; "" without one.
    """
    prefix = f"{instance}." if instance else ""
    start, end = (_owner(step.cell, belongs, prefix) for step in (path[0], path[-1]))
    merged: list[PathStep] = []
    for step in path:
        if merged and merged[-1].port in _CARRY_OUT and step.port in _CARRY:
            merged[-1] = replace(step, kind="carry", delay_ns=merged[-1].delay_ns + step.delay_ns, port=merged[-1].port)
        elif step.delay_ns:
            merged.append(step)
    steps = [f"{step.delay_ns:.2f} {step.kind} {step.cell.removeprefix(prefix)}.{step.port}" for step in merged]
    return CriticalPath(sum(step.delay_ns for step in path), start, end, tuple(steps))


def _owner(cell: str, belongs: Mapping[str, str], prefix: str) -> str:
    return belongs.get(cell, "top" if cell.startswith(prefix) else "wrapper")
