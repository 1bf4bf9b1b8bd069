"""The head of a build: its key figures as tiles, and what is proved of it."""

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from ..scores import show_score
from .figures import Build
from .markup import Child, el

NAMES = {"lut": "lookup tables", "ff": "flip-flops", "bram": "block RAMs", "dsp": "DSP blocks"}
MOST_ACROSS = 6  # tiles in a row
SCORES = {"accuracy": "accuracy", "psnr_db": "PSNR", "iou": "overlap (IoU)"}


def headline(build: Build) -> list[Element]:
    plan = build.plan
    limits = " and ".join(plan["limited_by"])
    words = (
        f"A new frame enters every {figure(plan['ii_cycles'])} cycles, limited by {limits}; "
        f"{plan['latency_cycles']:,} cycles lie between its first beat and its last result."
    )
    shown = tiles(build)
    across = len(shown) if len(shown) <= MOST_ACROSS else (len(shown) + 1) // 2
    return [
        el("p", words, class_="lede"),
        el("div", badges(build.found.get("simulate"), build.found["import"]["agreement"]), class_="badges"),
        el("div", shown, class_="tiles", style=f"--across:{across}"),
    ]


def tiles(build: Build) -> list[Element]:
    plan, found = build.plan, build.found
    clock = f"at {plan['clock_mhz']:g} MHz"
    rate = tile("frames per second", short(plan["fps"]), f"{clock}, one every {figure(plan['ii_cycles'])} cycles")
    latency = tile("latency", time(build.latency_us), f"{plan['latency_cycles']:,} cycles {clock}")
    scores = [
        tile(SCORES[name], show_score(name, found[name]), "of the integer network on its test set")
        for name in SCORES
        if name in found
    ]
    return [*scores, rate, latency, *(area_tile(build, kind) for kind in NAMES), *fmax_tile(build)]


def area_tile(build: Build, kind: str) -> Element:
    how = "measured" if build.measured else "predicted"
    taken, device = build.area[kind], build.device
    if device is None:
        return tile(NAMES[kind], f"{taken:,}", how)
    holds = getattr(device, kind)
    share = share_of(taken, holds)
    return tile(NAMES[kind], f"{taken:,}", f"{percent(share)} of {holds:,} in {device.name}, {how}", meter(share))


def share_of(taken: int, holds: int) -> float:
    """Of what a device holds, which may be nothing."""
    return taken / holds if holds else float(taken > 0)


def fmax_tile(build: Build) -> list[Element]:
    if build.synth is None or build.synth["fmax_mhz"] is None:
        return []
    fmax, clock = build.synth["fmax_mhz"], build.plan["clock_mhz"]
    words = f"{clock:g} MHz wanted; {short(build.plan['fps'] * fmax / clock)} frames per second at Fmax"
    return [tile("Fmax", f"{fmax:.1f} MHz", words)]


def tile(name: str, value: str, words: str, more: Child = None) -> Element:
    return el("div", el("h4", name), el("strong", value), more, el("p", words), class_="tile")


def meter(share: float) -> Element:
    """A bar that is full at 1."""
    return el("div", el("div", style=f"width:{min(1.0, share):.1%}"), class_="meter full" if share > 1 else "meter")


def badges(simulated: Mapping[str, Any] | None, compared: Mapping[str, Any] | None) -> list[Element]:
    found = []
    if compared:
        count = compared["differing"]
        words = f"{count:,} of {compared['codes']:,} codes unlike the trained model's"
        words += f", {compared['explained']:,} by float32 rounding" if count else ""
        found.append(badge(words, not compared["unexplained"]))
    if simulated is None:
        return [*found, badge("not simulated", None)]
    part = f", layers {simulated['layers']} only" if simulated["layers"] else ""
    where = f"{simulated['frames']:,} frames simulated{part}"
    for what in ("values", "cycles"):
        is_exact = simulated[f"{what}_exact"]
        found.append(badge(f"{what} {'exact' if is_exact else 'differ'}: {where}", is_exact))
    return found


def badge(words: str, is_good: bool | None) -> Element:
    kind, sign = {True: ("good", "✓ "), False: ("bad", "✗ "), None: ("unknown", "")}[is_good]
    return el("span", sign + words, class_=f"badge {kind}")


def percent(share: float) -> str:
    return f"{share:.1%}" if share else "0%"


def figure(value: float) -> str:
    """With all digits where it is whole."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def short(value: float) -> str:
    """Four digits and a letter where there are more than five."""
    for least, size, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k")):
        if value >= least:
            return f"{value / size:.4g} {name}"
    return f"{value:,.0f}"


def time(microseconds: float) -> str:
    if microseconds >= 1000:
        return f"{microseconds / 1000:,.2f} ms"
    return f"{microseconds:,.2f} µs"
