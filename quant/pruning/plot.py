"""A plot of score against density, as an SVG file that needs no library."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, inf, log10

WIDTH, HEIGHT = 560, 360  # of the picture, pixels
LEFT, RIGHT, TOP, BOTTOM = 70, 530, 30, 300  # of the field in it
COARSE, FINE = (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # figures at an axis, times powers of ten
HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
)


@dataclass(frozen=True)
class Point:
    """density: score per Mbit; score: as people read it."""

    label: str
    density: float
    score: float


def draw(points: Sequence[Point], score_name: str) -> str:
    """An SVG of ``points``, joined in their order, on a logarithmic scale of densities.

    Those of no density, which have no place on it, are left out.
    """
    points = [point for point in points if 0 < point.density < inf]
    if not points:
        return "\n".join([*HEAD, f'<text x="{LEFT}" y="{TOP}">no score above 0</text>', "</svg>"]) + "\n"
    densities = [point.density for point in points]
    low, high = log10(min(densities)) - 0.1, log10(max(densities)) + 0.1
    figures = linear_ticks(min(point.score for point in points), max(point.score for point in points))

    def place(density: float, score: float) -> tuple[str, str]:
        across = (log10(density) - low) / (high - low)
        up = (score - figures[0]) / (figures[-1] - figures[0])
        return f"{LEFT + across * (RIGHT - LEFT):.1f}", f"{BOTTOM - up * (BOTTOM - TOP):.1f}"

    lines = [*HEAD]
    for figure in figures:
        _, y = place(densities[0], figure)
        lines.append(f'<path d="M{LEFT} {y}H{RIGHT}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end" dominant-baseline="middle">{figure:g}</text>')
    for figure in log_ticks(10**low, 10**high):
        x, _ = place(figure, figures[0])
        lines.append(f'<path d="M{x} {TOP}V{BOTTOM}" stroke="#ddd"/>')
        lines.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{figure:g}</text>')
    places = [place(point.density, point.score) for point in points]
    lines.append(f'<path d="M{"L".join(" ".join(at) for at in places)}" fill="none" stroke="#469"/>')
    for point, (x, y) in zip(points, places):
        lines.append(f'<circle cx="{x}" cy="{y}" r="4" fill="#469"/>')
        anchor = "start" if float(x) < (LEFT + RIGHT) / 2 else "end"
        shift = 8 if anchor == "start" else -8
        label = escape(f"{point.label}, {point.score:.4g}")
        lines.append(f'<text x="{float(x) + shift:.1f}" y="{float(y) - 8:.1f}" text-anchor="{anchor}">{label}</text>')
    lines += [
        f'<text x="{(LEFT + RIGHT) / 2:g}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"density: {escape(score_name)} per Mbit of weights and feature maps</text>",
        f'<text x="{LEFT}" y="{TOP - 10}">{escape(score_name)}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def linear_ticks(low: float, high: float) -> list[float]:
    """Round figures at equal distances, three to seven of them, from one below ``low`` to one above ``high``."""
    span = max(high - low, abs(high) * 0.01, 1e-3)
    power = 10.0 ** floor(log10(span))
    distance = next(step * power for step in (0.2, 0.5, 1, 2, 5) if span / (step * power) <= 5)
    first, last = floor(low / distance), ceil(high / distance)
    last += last == first
    return [round(number * distance, 10) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round figures from ``low`` to ``high``: 1, 2, 5 times powers of ten, or others where these are fewer than two."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    coarse, fine = (
        [figure for power in powers for step in steps if low <= (figure := round(step * 10.0**power, 10)) <= high]
        for steps in (COARSE, FINE)
    )
    return coarse if len(coarse) > 1 else fine
