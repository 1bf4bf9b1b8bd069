"""Folding files: a plan, or the part of one that a user decides, as JSON.

    {"clock_mhz": 100, "interface": "stream",
     "layers": {"fc1": {"engine": "mac", "pe": 16, "simd": 49, "multiplier": "lut", "memory": "auto"}},
     "depths": {"fc1": 4}}

Every key may be left out: what a layer does not say is planned. pe: outputs side by side (layers without weights:
channels per cycle). simd: inputs per cycle. depths: beats in the queue behind a stage. A file of FINN's works too:
its entries with "PE" and "SIMD", in order, are taken for the dense and convolution layers, in order; its entries with
one of them, as windows and pools have, are left out.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ..errors import BuildError, PlanError
from .plan import Interface, LayerPlan, Plan

Given = Mapping[str, int | str]


# Beats; more than any block RAM of a device holds, and few enough to solve.
DEEPEST_QUEUE = 1 << 16


@dataclass(frozen=True)
class Folding:
    """What a folding file says, its values checked; ``in_order``, of layers with weights, instead of ``layers`` where
    it does not name them as we do."""

    clock_mhz: float | None = None
    interface: Interface | None = None
    layers: Mapping[str, Given] = field(default_factory=dict)
    depths: Mapping[str, int] = field(default_factory=dict)
    in_order: tuple[Given, ...] = ()


def write_plan(plan: Plan, path: Path) -> None:
    document = asdict(plan, dict_factory=lambda items: {key: value for key, value in items if value is not None})
    path.write_text(json.dumps(document, indent=2) + "\n")


def read_plan(path: Path) -> Plan:
    """The plan that ``write_plan`` wrote."""
    given = asdict(read_folding(path))
    layers = {name: LayerPlan(**layer) for name, layer in given.pop("layers").items()}
    del given["in_order"]
    return Plan(layers=layers, **{key: value for key, value in given.items() if value is not None})


def read_folding(path: Path) -> Folding:
    """Raises BuildError for a file that cannot be read, PlanError, naming layer and key, for one that means nothing."""
    try:
        document = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"folding file {path}: cannot be read ({error}); give the path of a JSON file") from error
    except (ValueError, RecursionError) as error:  # JSON's own, numbers beyond int's limit, endless nesting
        raise PlanError(f"folding file {path}: not JSON ({error})") from error
    where = path.name
    entries = _table(where, document)
    if "layers" not in entries and any("PE" in entry for entry in entries.values() if isinstance(entry, dict)):
        return Folding(in_order=_finn_folds(entries))
    _known(where, entries, ("clock_mhz", "interface", "layers", "depths"))
    layers = {name: _layer(name, entry) for name, entry in _table(where, entries.get("layers", {}), "layers").items()}
    given = _table(where, entries.get("depths", {}), "depths")
    depths = {name: _count(f"{where}: the depth of {name}", depth, DEEPEST_QUEUE) for name, depth in given.items()}
    return Folding(_clock(where, entries), _interface(where, entries), layers, depths)


def _finn_folds(entries: Mapping[str, Any]) -> tuple[Given, ...]:
    """Of FINN's layers with weights, which have both PE and SIMD; other layers have one of them, or neither."""
    folds = {name: entry for name, entry in entries.items() if isinstance(entry, dict) and {"PE", "SIMD"} <= set(entry)}
    if not folds:
        raise PlanError(f"{', '.join(entries)}: no entry has PE and SIMD; give both for each layer with weights")
    return tuple(
        {"pe": _count(f"{name}: PE", entry["PE"]), "simd": _count(f"{name}: SIMD", entry["SIMD"])}
        for name, entry in folds.items()
    )


def _layer(name: str, entry: Any) -> Given:
    kinds = get_type_hints(LayerPlan)
    for key, value in _known(name, _table(name, entry), tuple(kinds)).items():
        if kinds[key] in (int, int | None):
            _count(f"{name}: {key}", value)
        else:
            _one_of(f"{name}: {key}", value, get_args(kinds[key]))
    return entry


def _clock(where: str, entries: Mapping[str, Any]) -> float | None:
    clock = entries.get("clock_mhz")
    if clock is None:
        return None
    if isinstance(clock, bool) or not isinstance(clock, int | float) or not 0 < clock < inf:
        raise PlanError(f"{where}: clock_mhz is {clock!r}; it must be a number of MHz above 0")
    return float(clock)


def _interface(where: str, entries: Mapping[str, Any]) -> Interface | None:
    interface = entries.get("interface")
    return None if interface is None else _one_of(f"{where}: interface", interface, get_args(Interface))


def _table(where: str, entry: Any, key: str = "") -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise PlanError(f"{where}: {key or 'its content'} is {entry!r}; it must be an object {{...}}")
    return entry


def _known(where: str, entry: Mapping[str, Any], known: tuple[str, ...]) -> Mapping[str, Any]:
    for key in entry:
        if key not in known:
            raise PlanError(f"{where}: no key {key!r}; known keys: {', '.join(known)}")
    return entry


def _one_of(where: str, value: Any, known: tuple[str, ...]) -> Any:
    if value not in known:
        raise PlanError(f"{where} is {value!r}; it must be one of {', '.join(known)}")
    return value


def _count(where: str, value: Any, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PlanError(f"{where} is {value!r}; it must be an integer of at least 1")
    if most is not None and value > most:
        raise PlanError(f"{where} is {value}; it can be {most} at most")
    return value
