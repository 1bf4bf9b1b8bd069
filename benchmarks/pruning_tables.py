"""Tables of the pruning benchmark, in Markdown: mean and standard deviation over the seeds that are there."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import pruning_rows as rows
from markdown_tables import spread, table
from pruning_jobs import Job, Store
from pruning_networks import Study

from espalier.flow.hardware import COLUMNS
from espalier.quant.recipes import find_recipe

Results = Mapping[str, Mapping[int, dict[str, Any]]]
"""What was found, by the row's name and by seed."""


def read_results(store: Store, jobs: Sequence[Job]) -> Results:
    """Of those that are done."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for job in jobs:
        if (result := store.read(job)) is not None:
            found.setdefault(job.row.name, {})[job.seed] = result
    return found


def format_tables(study: Study, results: Results) -> Iterator[str]:
    """Every table that something is known of, under its heading."""
    task = find_recipe(study.recipe).task
    unit = "PSNR dB" if task in ("copy", "enlarge") else "accuracy %"
    tables = {
        "All rows": _main(results, unit),
        f"Hardware of seed 0 on {rows.DEVICE}, as yosys maps it": _hardware(results),
        "Kendall's tau of rankings behind dense and pruned layers": _drift(results),
        "Layerwise and one-shot, paired by seed": _paired(study, results),
        "Without any training": _untrained(study, results),
        "DCP before fine-tuning, by lambda": _by_lambda(study, results),
        "STR's budget and a uniform one": _thresholds(study, results),
        "Layers of low rank, without fine-tuning": _ranks(results),
    }
    return (f"### {title}\n\n{text}" for title, text in tables.items() if text)


def _main(results: Results, unit: str) -> str:
    header = ["row", "pruned", "epochs", unit, "weights Mbit", "features Mbit", "per Mbit", "x dense", "seeds"]
    dense = _column(results, "dense", "density")
    names = [name for name, found in results.items() if not _is_claim(name) and found]
    lines = [_line(name, results, fmean(dense) if dense else None) for name in names]
    return table(header, lines) if lines else ""


def _is_claim(name: str) -> bool:
    return name.split()[0] in ("short", "untrained", "lambda", "str", "trp", "drift", "hardware")


def _line(name: str, results: Results, dense: float | None) -> list[str]:
    words = name.split()
    share = _share_of(words)
    densities = _column(results, name, "density")
    return [
        label(words), share, f"{_column(results, name, 'epochs')[0]:g}", spread(_column(results, name, "score")),
        _mean(_column(results, name, "weight_mbit"), 4), _mean(_column(results, name, "feature_mbit"), 4),
        spread(densities, 0), f"{fmean(densities) / dense:.1f}" if dense else "–", str(len(densities)),
    ]  # fmt: skip


def _share_of(words: list[str]) -> str:
    """The share of channels pruned, which is taken from the words of a row's name if it ends in one."""
    return f"{words.pop()} %" if words[-1].isdigit() else "0 %"


def _hardware(results: Results) -> str:
    header = ["network", "pruned", "multiplications", "weight bits", "multipliers", "II", "LUT", "FF", "BRAM", "DSP"]
    lines = []
    for name in (name for name, found in results.items() if name.startswith("hardware ") and found):
        words = name.split()[1:]
        share = _share_of(words)
        lines.append([label(words), share, *(f"{results[name][0][key]:,}" for key in COLUMNS[1:])])
    return table(header, lines) if lines else ""


def label(words: Sequence[str]) -> str:
    if words == ["pretrained"]:
        return "dense, before the recovery"
    if words[0] in rows.BITS:
        return f"joint, {words[0]}"
    return ", ".join(words)


def _mean(values: Sequence[float], digits: int = 0) -> str:
    """Of what is the same for all seeds, or nearly."""
    return f"{fmean(values):,.{digits}f}" if values else "–"


def _column(results: Results, name: str, key: str) -> list[float]:
    return [found[key] for _, found in sorted(results.get(name, {}).items()) if key in found]


def _figures(results: Results, name: str, key: str) -> list[float]:
    return [found["figures"][key] for _, found in sorted(results.get(name, {}).items())]


def _drift(results: Results) -> str:
    found = results.get("drift", {})
    if not found:
        return ""
    keys = [key.removesuffix(" tau") for key in next(iter(found.values()))["figures"] if key.endswith(" tau")]
    places = list(dict.fromkeys(tuple(key.split()[:2]) for key in keys))
    header = ["layer", "batch norm", *(f"{100 * share:g} %" for share in rows.DRIFTS), "distance / channels at 50 %"]
    lines = [
        [group, f"{mode} statistics",
         *(spread(_figures(results, "drift", f"{group} {mode} {share:g} tau")) for share in rows.DRIFTS),
         spread(_figures(results, "drift", f"{group} {mode} 0.5 distance"))]
        for group, mode in places
    ]  # fmt: skip
    return table(header, lines)


def _paired(study: Study, results: Results) -> str:
    prefix = "short " if any(name.startswith("short ") and found for name, found in results.items()) else ""
    header = ["criterion", "pruned", "layerwise", "one-shot", "stepwise", "layerwise - one-shot", "seeds won"]
    lines = []
    for share in _shares(study):
        for criterion in rows.CRITERIA:
            named = {
                schedule: results.get(f"{prefix}{criterion} {schedule} {share}", {}) for schedule in rows.SCHEDULES
            }
            differences = _differences(named["layerwise"], named["one-shot"])
            cells = [spread([found["score"] for found in named[schedule].values()]) for schedule in rows.SCHEDULES]
            won = f"{sum(value > 0 for value in differences)} of {len(differences)}" if differences else "–"
            if any(named.values()):
                lines.append([criterion, f"{share} %", *cells, spread(differences), won])
        thin = _column(results, f"{prefix}thin {share}", "score")
        if thin:
            lines.append(["thin from scratch", f"{share} %", spread(thin), "", "", "", ""])
    return table(header, lines) if lines else ""


def _differences(first: Mapping[int, dict[str, Any]], second: Mapping[int, dict[str, Any]]) -> list[float]:
    return [first[seed]["score"] - second[seed]["score"] for seed in sorted(first.keys() & second.keys())]


def _untrained(study: Study, results: Results) -> str:
    lines = []
    for share in _shares(study):
        for criterion in ("random", "weight-l1", "activation-l1", "bn-gamma"):
            name = f"untrained {criterion} {share}"
            cells = [spread(_figures(results, name, key)) for key in ("alone", "norms", "compensated")]
            if results.get(name):
                lines.append([criterion, f"{share} %", *cells])
        capped = _column(results, f"cap untrained {share}", "score")
        if capped:
            lines.append(["CaP's own ranking", f"{share} %", "–", "–", spread(capped)])
    header = ["channels chosen by", "pruned", "as they are", "batch norm recalibrated", "compensated"]
    return table(header, lines) if lines else ""


def _by_lambda(study: Study, results: Results) -> str:
    names = {share: results.get(f"lambda {share}", {}) for share in _shares(study)}
    lams = ("0", "0.1", "1", "inf")
    lines = [
        [f"{share} %", *(spread([one["figures"][lam] for one in found.values()]) for lam in lams)]
        for share, found in names.items()
        if found
    ]
    return table(["pruned", *(f"lambda {lam}" for lam in lams)], lines) if lines else ""


def _thresholds(study: Study, results: Results) -> str:
    names = [name for name in (f"str {decay:g}" for decay in study.decays) if name in results]
    if not names:
        return ""
    keys = "sparsity", "str", "uniform", "learned"
    header = ["decay", "weights zero %", "STR", "magnitude, uniform", "magnitude, STR's budget"]
    single = [[name.split()[1], *(spread(_figures(results, name, key)) for key in keys)] for name in names]
    wide = []
    for sparsity in study.sparsities:
        share, keys = f"{100 * sparsity:g}", ("score", "weight_mbit", "feature_mbit")
        uniform = [_column(results, f"{' '.join(rows.JOINT)} {share}", key) for key in keys]
        wide.append(["uniform", f"{share} %", spread(uniform[0]), *(_mean(values, 4) for values in uniform[1:])])
        for name in names:
            learned = [_figures(results, name, f"{key} {sparsity:g}") for key in keys]
            cells = spread(learned[0]), *(_mean(values, 4) for values in learned[1:])
            wide.append([f"STR's, decay {name.split()[1]}", f"{share} %", *cells])
    headers = ["widths", "channels pruned", "score", "weights Mbit", "features Mbit"]
    return f"{table(header, single)}\n\n{table(headers, wide)}"


def _ranks(results: Results) -> str:
    if "trp" not in results:
        return ""
    lines = [
        [label, *(spread(_figures(results, "trp", f"{name}{key}")) for key in ("", " factorised", " weights"))]
        for name, label in (("plain", "plainly"), ("trp", "by TRP"))
    ]
    header = ["trained", "whole", f"factorised at {rows.TRP_ENERGY:g} of the energy", "weights left %"]
    return table(header, lines)


def _shares(study: Study) -> list[str]:
    return [f"{100 * sparsity:g}" for sparsity in study.sparsities]
