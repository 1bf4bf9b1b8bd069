"""Tables in Markdown, and means over seeds."""

from collections.abc import Sequence
from statistics import fmean, stdev


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and sample standard deviation; a dash where there is nothing."""
    if not values:
        return "–"
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{deviation}"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *lines))
