"""Fits the coefficients of the resource models to measured stages, and compares predictions with measurements."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration_stages import build
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from espalier.hw.count_parts import EXACT, FEATURES
from espalier.hw.design import generate
from espalier.hw.estimate import count_design
from espalier.hw.resources import FITTED, Resources, find_model

DSP = 5
"""Place of multiplier blocks in an `Area`."""

HELD_OUT = 4
"""One specification of so many is not fitted."""

FEWEST_LAYERS = 10
"""Of an engine that the planner may choose by itself."""

SMALL = 15
"""Cells added to every measurement before errors are weighed by it: those of tiny stages count less."""

# Features that make a resource; of lookup tables all those that make no other one.
REGISTERS = (
    "register", "delayed", "delays", "block_read", "product_register", "masked", "decoded", "pads", "pools", "argmaxes",
    "parallels", "windows", "serials", "popcounts", "spatials",
)  # fmt: skip
ONLY_REGISTERS = ("register", "copied", "delayed", "block_read", "product_register")
NO_LOGIC = (*EXACT, "chains", "dpr", "ram")
MOST, MOST_OF_A_PART = 3.0, 60.0
"""Cells that one of a feature takes at most: of a bit, or of a whole part, as a queue is."""

PARTS = (
    "triples", "levels", "queues", "deeps", "stages", "windows", "parallels", "pads", "pools", "converters", "forks",
    "argmaxes", "winners", "serials", "popcounts", "spatials", "loops", "moves",
)  # fmt: skip
PULL = 0.03
"""Measurements that the prior is worth."""

USUAL, ROUNDS = 0.1, 5
"""A relative error from which on a measurement counts less: there contents decide, which no feature tells. Least
squares with such weights are solved so often."""

Fit = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Rules:
    """Which features make what on a family; no_logic: those that take no lookup tables; chains: how those end that take
    carry cells; registers: those that take flip-flops beside ``REGISTERS``."""

    no_logic: tuple[str, ...]
    chains: tuple[str, ...]
    memories: tuple[str, ...]
    registers: tuple[str, ...] = ()


FOURS, SIXES = ("deep4", "rom4", "logic4", "chosen4"), ("deep6", "rom6", "logic6", "chosen6")
STORED = ("stored", "stored_mux", "stored_words", "moved", "moves", "small_mux")
BITS = ("_long", "_short", "_tiny", "contest", "packed", "cells")
ICE40 = ("deep4", *SIXES, "delays", "row_mux", "row_select", "soft9")

RULES = {
    "ecp5": Rules((*ONLY_REGISTERS, *SIXES, *STORED, "delays", "joined4", "soft9", "soft16"), ("_pairs",), ("dpr",)),
    "xc7": Rules((*ONLY_REGISTERS, *FOURS, *STORED, "joined4", "soft9", "soft16"), ("_fours",), ("ram", "delays")),
    # A flip-flop that no lookup table feeds alone takes a logic cell.
    "ice40": Rules(ICE40, BITS, (), ("stored", "moved", "moves")),
    "ice40-hx": Rules((*ICE40, "soft16"), BITS, (), ("stored", "moved", "moves")),
    "gowin": Rules((*ONLY_REGISTERS, *SIXES, *STORED, "delays", "joined4", "soft16"), BITS, ("dpr",)),
}


@dataclass(frozen=True)
class Row:
    """A measured stage."""

    spec: dict[str, Any]
    stage: str
    features: NDArray[np.float64]
    area: NDArray[np.float64]

    @property
    def is_fitted(self) -> bool:
        return self.spec["seed"] % HELD_OUT != 0


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The measurements so far; a line that a killed run left half is dropped from the file."""
    if not path.is_file():
        return
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]))
        lines.pop()
    yield from map(json.loads, lines)


def read_rows(path: Path) -> dict[str, list[Row]]:
    """By family, the stages of all measurements; those of too many seconds have none."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for line in read_lines(path):
        if not line["areas"]:
            continue
        graph, plan = build(line["spec"])
        inputs = {port.name for port in graph.inputs}
        depths = {name: depth for name, depth in line["depths"].items() if name not in inputs}
        counted = count_design(generate(graph, replace(plan, depths=depths)))
        for stage, area in line["areas"].items():
            rows[line["family"]].append(Row(line["spec"], stage, counted[stage], np.array(area, float)))
    return rows


def allowed(family: str, what: str) -> list[bool]:
    """Which features can make a resource."""
    rules = RULES[family]
    if what == "lut":
        none = (*NO_LOGIC, *rules.no_logic)
        return [name not in none and not name.endswith(("_pairs", "_fours")) for name in FEATURES]
    if what == "carry":
        return [name.endswith(rules.chains) for name in FEATURES]
    return [name in ((*REGISTERS, *rules.registers) if what == "ff" else rules.memories) for name in FEATURES]


def fit(family: str, rows: list[Row], prior: Fit | None = None) -> Fit:
    """By resource, the coefficients of features, between 0 and ``MOST``. prior: what they are unless the measurements
    say otherwise."""
    rows = [row for row in rows if row.is_fitted]
    features, areas = np.array([row.features for row in rows]), np.array([row.area for row in rows])
    found = {}
    for place, what in enumerate(FITTED):
        size = areas[:, 3] if what == "ff" else all_luts(family, areas)
        chosen, trust = np.array(allowed(family, what)), np.ones(len(rows))
        if not chosen.any():
            found[what] = {}
            continue
        names = [name for name, is_chosen in zip(FEATURES, chosen) if is_chosen]
        before = np.array([(prior or {}).get(what, {}).get(name, 0.0) for name in names])
        most = np.array([MOST_OF_A_PART if name in PARTS else MOST for name in names])
        for _ in range(ROUNDS):
            weights = trust / (size + SMALL)
            matrix, wanted = features[:, chosen] * weights[:, None], areas[:, place] * weights
            pull = np.sqrt(PULL * np.maximum(1e-9, (matrix**2).mean(axis=0)))
            solved = lsq_linear(
                np.vstack([matrix, np.diag(pull)]), np.concatenate([wanted, pull * before]), (0, most), tol=1e-12
            ).x
            errors = (features[:, chosen] @ solved - areas[:, place]) / (size + SMALL)
            trust = 1 / np.sqrt(1 + (errors / USUAL) ** 2)
        found[what] = {name: round(float(value), 4) for name, value in zip(names, solved) if value > 5e-5}
    return found


def translate(ecp5: Fit) -> Fit:
    """What 7-series is taken for where too little was measured: the same, but for tables of six inputs and carry cells
    of four bits."""
    names = {name: name.replace("4", "6") for name in ("rom4", "deep4", "logic4", "chosen4")}
    logic = {names.get(name, name): value for name, value in ecp5["lut"].items()}
    carry = {name.replace("_pairs", "_fours"): value for name, value in ecp5["carry"].items()}
    return {"lut": logic, "carry": carry, "lutram": {"ram": 1.0}, "ff": ecp5["ff"]}


def engines_of(rows: list[Row]) -> list[str]:
    """Those of which there are enough layers."""
    layers = Counter(row.spec.get("engine", "mac") for row in rows if row.stage == "unit")
    return sorted(engine for engine, count in layers.items() if count >= FEWEST_LAYERS)


def all_luts(family: str, areas: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([Resources(*area).luts(family) for area in areas])


def write_fit(samples: Path, output: Path) -> None:
    rows = read_rows(samples)
    # Without a multiplier, stages are the same on both.
    rows["ice40-hx"] += [row for row in rows["ice40"] if not row.area[DSP]]
    ecp5, ice40 = fit("ecp5", rows["ecp5"]), fit("ice40", rows["ice40"])
    fits = {
        "ecp5": ecp5,
        "xc7": fit("xc7", rows["xc7"], translate(ecp5)),
        "ice40": ice40,
        "ice40-hx": fit("ice40-hx", rows["ice40-hx"], ice40),
        "gowin": fit("gowin", rows["gowin"], {"lut": ecp5["lut"]}),
    }
    found = {family: {"engines": engines_of(rows[family]), **fits[family]} for family in fits}
    output.write_text(json.dumps(found, indent=1) + "\n")


def print_check(samples: Path, worst: int) -> None:
    """Errors of the package's model on the stages that were not fitted, by family and kind."""
    for family, rows in read_rows(samples).items():
        kept = [row for row in rows if not row.is_fitted]
        # As yosys tells it, without what nextpnr adds for each carry chain.
        predicted = np.array([astuple(find_model(family).estimate(row.features))[:-1] for row in kept])
        measured = np.array([row.area for row in kept])
        print(f"{family}: {len(rows) - len(kept)} stages fitted, {len(kept)} others:")
        print_errors("lookup tables", all_luts(family, predicted), all_luts(family, measured))
        large = all_luts(family, measured) >= 100
        print_errors("  of 100 and more", all_luts(family, predicted[large]), all_luts(family, measured[large]))
        found, taken = (add_by_design(kept, all_luts(family, areas)) for areas in (predicted, measured))
        print_errors("  of whole designs", found, taken)
        print_errors("flip-flops", predicted[:, 3], measured[:, 3])
        for place, name in ((4, "block RAMs"), (5, "DSP blocks")):
            exact = int((np.round(predicted[:, place]) == measured[:, place]).sum())
            print(f"  {name:<20} exact in {exact} of {len(kept)}")
        errors = np.abs(all_luts(family, predicted) / all_luts(family, measured) - 1)
        for place in np.argsort(-errors)[:worst]:
            row = kept[place]
            print(f"    {errors[place]:.0%} {row.stage} {measured[place]} {predicted[place].round()} {row.spec}")


def print_errors(name: str, predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> None:
    errors = np.abs(predicted - measured) / np.maximum(1, measured)
    print(
        f"  {name:<20} median {np.median(errors):.1%}, nine of ten under {np.quantile(errors, 0.9):.1%}, "
        f"worst {errors.max():.1%}; {int((errors > 0.25).sum())} of {len(errors)} above 25 %"
    )


def add_by_design(rows: list[Row], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums over the stages of each specification."""
    designs = [json.dumps(row.spec, sort_keys=True) for row in rows]
    places = {design: place for place, design in enumerate(dict.fromkeys(designs))}
    return np.bincount([places[design] for design in designs], amounts)
