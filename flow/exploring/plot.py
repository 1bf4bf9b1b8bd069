"""The plot of an exploration: the first objective over each other one; what nothing beats is in colour and numbered."""

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite, log10
from typing import Any

from ...quant.pruning.plot import linear_ticks, log_ticks

PANEL, HEIGHT = 380, 360  # pixels
LEFT, RIGHT, TOP, BOTTOM = 60, 360, 30, 300  # of the field in a panel
WIDE = 8  # times the least: from here on a scale is logarithmic
UNITS = {"accuracy": 100.0, "iou": 100.0}
NAMES = {
    "accuracy": "accuracy in %", "iou": "overlap in %", "psnr_db": "PSNR in dB", "fps": "frames per second",
    "density": "density: score per Mbit", "lut": "LUT", "weight_mbit": "weights in Mbit",
    "feature_mbit": "features in Mbit",
}  # fmt: skip


class Scale:
    """From figures to pixels; logarithmic where they are far apart."""

    def __init__(self, values: Sequence[float], low: float, high: float) -> None:
        least, most = min(values), max(values)
        self.is_log = least > 0 and most > WIDE * least
        self._low, self._high = low, high
        if self.is_log:
            self._start, self._end = log10(least) - 0.1, log10(most) + 0.1
            self.ticks = log_ticks(10**self._start, 10**self._end)
        else:
            self.ticks = linear_ticks(least, most)
            self._start, self._end = self.ticks[0], self.ticks[-1]

    def __call__(self, value: float) -> float:
        share = ((log10(value) if self.is_log else value) - self._start) / (self._end - self._start)
        return self._low + share * (self._high - self._low)


def draw(points: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> str:
    """An SVG with a panel for each objective behind the first; ``pareto`` of a point is its number."""
    first, others = objectives[0], objectives[1:] or objectives[:1]
    points = [point for point in points if all(name in point and isfinite(point[name]) for name in objectives)]
    width = PANEL * len(others)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
    ]
    if not points:
        lines.append(f'<text x="{LEFT}" y="{TOP}">no point is feasible</text>')
        others = []
    for index, name in enumerate(others):
        lines += [f'<g transform="translate({index * PANEL} 0)">', *_panel(points, name, first), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(points: Sequence[Mapping[str, Any]], across: str, up: str) -> list[str]:
    def figure(point: Mapping[str, Any], name: str) -> float:
        return point[name] * UNITS.get(name, 1.0)

    x = Scale([figure(point, across) for point in points], LEFT, RIGHT)
    y = Scale([figure(point, up) for point in points], BOTTOM, TOP)
    lines = []
    for tick in y.ticks:
        lines.append(f'<path d="M{LEFT} {y(tick):.1f}H{RIGHT}" stroke="#ddd"/>')
        lines.append(
            f'<text x="{LEFT - 8}" y="{y(tick):.1f}" text-anchor="end" dominant-baseline="middle">{short(tick)}</text>'
        )
    for tick in x.ticks:
        lines.append(f'<path d="M{x(tick):.1f} {TOP}V{BOTTOM}" stroke="#ddd"/>')
        lines.append(f'<text x="{x(tick):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{short(tick)}</text>')
    numbers: dict[tuple[str, str], list[int]] = {}  # by place: some points share theirs
    for point in points:
        place = f"{x(figure(point, across)):.1f}", f"{y(figure(point, up)):.1f}"
        if "pareto" in point:
            numbers.setdefault(place, []).append(point["pareto"])
        else:
            lines.append(f'<circle cx="{place[0]}" cy="{place[1]}" r="3" fill="#bbb"/>')
    for (left, top), found in numbers.items():
        lines.append(f'<circle cx="{left}" cy="{top}" r="4" fill="#469"/>')
        text = ", ".join(map(str, sorted(found)))
        lines.append(f'<text x="{float(left) + 6:.1f}" y="{float(top) - 6:.1f}" font-size="10">{text}</text>')
    lines.append(f'<text x="{(LEFT + RIGHT) / 2:g}" y="{HEIGHT - 18}" text-anchor="middle">{_name(across)}</text>')
    lines.append(f'<text x="{LEFT}" y="{TOP - 10}">{_name(up)}</text>')
    return lines


def _name(objective: str) -> str:
    return escape(NAMES.get(objective, objective.replace("_", " ")))


def short(figure: float) -> str:
    """2000 as 2k, 1500000 as 1.5M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(figure) >= size:
            return f"{figure / size:g}{unit}"
    return f"{figure:g}"
