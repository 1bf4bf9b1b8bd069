"""Several builds side by side: a table of their key figures, and a plot of rate against area."""

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

from ..exploring.plot import Scale, short
from ..scores import show_score
from .figures import KINDS, Build
from .headline import SCORES, time
from .markup import Child, el, number, svg, text
from .tables import scroll, table

WIDTH, HEIGHT = 900, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 700, 20, 300

COLUMNS = (
    "build", *SCORES, "frames_per_second", "latency", "cycles_per_frame", *KINDS, "area_is", "device",
    "fmax_mhz", "density", "values_exact", "cycles_exact",
)  # fmt: skip


def compare(builds: Sequence[Build]) -> list[Element]:
    return [
        table([row(build, place) for place, build in enumerate(builds)], COLUMNS),
        el("h3", "Rate against lookup tables"),
        el("p", "Up is faster, left is smaller. A ring stands for an area that is predicted only.", class_="note"),
        scroll(draw_rates(builds)),
    ]


def row(build: Build, place: int) -> dict[str, Any]:
    found, plan = build.found, build.plan
    exact = {name: found[name] for name in ("values_exact", "cycles_exact") if name in found}
    return {
        "build": el("a", build.name, href=f"#build{place}"),
        **{name: show_score(name, found[name]) for name in SCORES if name in found},
        "frames_per_second": round(plan["fps"]),
        "latency": time(build.latency_us),
        "cycles_per_frame": plan["ii_cycles"],
        **build.area,
        "area_is": "measured" if build.measured else "predicted",
        "device": build.device and build.device.name,
        "fmax_mhz": found.get("fmax_mhz"),
        "density": found.get("density"),
        **exact,
    }


def draw_rates(builds: Sequence[Build]) -> Element:
    x = Scale([float(build.area["lut"]) for build in builds], LEFT, RIGHT)
    y = Scale([float(build.plan["fps"]) for build in builds], BOTTOM, TOP)
    points = [_point(build, x(build.area["lut"]), y(build.plan["fps"])) for build in builds]
    grid: list[Child] = [
        [el("path", d=f"M{LEFT} {number(y(tick))}H{RIGHT}", class_="grid") for tick in y.ticks],
        [text(LEFT - 8, y(tick) + 4, short(tick), "end") for tick in y.ticks],
        [el("path", d=f"M{number(x(tick))} {TOP}V{BOTTOM}", class_="grid") for tick in x.ticks],
        [text(x(tick), BOTTOM + 18, short(tick), "middle") for tick in x.ticks],
        text((LEFT + RIGHT) / 2, HEIGHT - 16, "lookup tables", "middle"),
        text(LEFT, TOP - 8, "frames per second"),
    ]
    return svg(WIDTH, HEIGHT, "frames per second against lookup tables", grid, points, class_="scatter")


def _point(build: Build, x: float, y: float) -> Element:
    told = f"{build.name}: {build.plan['fps']:,.0f} frames per second, {build.area['lut']:,} lookup tables"
    kind = "measured" if build.measured else "predicted"
    return el(
        "g", el("title", told), el("circle", cx=x, cy=y, r=5, class_=kind), text(x + 10, y + 4, build.name, "name")
    )
