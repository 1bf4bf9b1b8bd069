"""The table of the comparison: a line for each work and generator, what was not measured as a dash."""

from collections.abc import Sequence
from typing import Any

from markdown_tables import table

HEADER = (
    "work", "generator", "seconds (of CPU)", "CPU, ours 1", "own estimate", "default: comb (LUT4 + CCU2C)",
    "adders kept: comb (LUT4 + CCU2C)", "own flow: comb (LUT4 + CCU2C)", "FF", "xc7 default: LUT / CARRY4",
    "xc7 adders kept: LUT / CARRY4", "TRELLIS_COMB", "with wrapper", "Fmax MHz", "latency",
)  # fmt: skip
NOTHING = "–"


def format_table(records: Sequence[dict[str, Any]]) -> str:
    """Markdown; seconds of the processor against those of our first row that was generated in the same run."""
    return table(HEADER, [_line(record, _cpu_of_ours(record, records)) for record in records])


def _cpu_of_ours(record: dict[str, Any], records: Sequence[dict[str, Any]]) -> float | None:
    session = record.get("generate", {}).get("session")
    for other in records:
        found = other.get("generate", {})
        if session and other["generator"] == "espalier" and (other["work"], found.get("session")) == (
            record["work"], session,
        ):  # fmt: skip
            return found.get("cpu_s")
    return None


def _line(record: dict[str, Any], ours: float | None) -> list[str]:
    found = record.get("generate", {})
    name = [record["work"], record["row"]]
    if "error" in record:
        return [*name, f"error: {record['error']}".replace("|", "/"), *[NOTHING] * (len(HEADER) - 3)]
    if "stopped_after_s" in found:
        return [*name, f"stopped after {found['stopped_after_s']:g} s", *[NOTHING] * (len(HEADER) - 3)]
    seconds, cpu_s = found.get("seconds"), found.get("cpu_s")
    took = NOTHING if seconds is None else f"{seconds:.1f} ({cpu_s:.1f})"
    default, kept, own = (record.get(name) for name in ("ecp5-default", "ecp5-kept", "own"))
    flip_flops = (own or kept or default or {}).get("ff")
    packed, placed = record.get("pack", {}), record.get("place", {})
    latency = record.get("check", {}).get("latency_cycles", found.get("latency_cycles"))
    return [
        *name, took, _number(cpu_s / ours if cpu_s and ours else None, 2),
        _number(found.get("estimated_lut")), _ecp5(default), _ecp5(kept), _ecp5(own),
        _number(flip_flops), _xc7(record.get("xc7-default")), _xc7(record.get("xc7-kept")),
        _number(packed.get("comb")), _number(packed.get("comb_wrapped")), _number(placed.get("fmax_mhz"), 1),
        "combinational" if latency == 0 else _number(latency),
    ]  # fmt: skip


def _number(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _ecp5(area: dict[str, Any] | None) -> str:
    """DPR16X4, if there are any, count six each in ``comb``."""
    if not area:
        return NOTHING
    ram = f" + {area['lutram']} DPR16X4" if area["lutram"] else ""
    return f"{area['comb']:,} ({area['lut']:,} + {area['carry']:,}{ram})"


def _xc7(area: dict[str, Any] | None) -> str:
    return f"{area['comb']:,} / {area['carry']:,}" if area else NOTHING
