"""What a build folder holds, as text or as one JSON object; it reads results only, so that it comes at once."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import BuildError, EspalierError
from .exploring.results import is_exploration, report_exploration
from .folder import BuildFolder, read_build, read_json
from .mismatch import Mismatch
from .scores import MEMORY, METRICS, SHIFTS, show_score
from .table import pairs, table

# The file in each verb's folder that holds its results.
RESULTS = {
    "import": "import.json",
    "plan": "plan.json",
    "generate": "generate.json",
    "simulate": "simulate.json",
    "synth": "report.json",
    "bitstream": "bitstream.json",
}
FOLD_COLUMNS = (
    "layer", "engine", "pe", "simd", "cycles", "busy", "depth", "buffer", "weight_bits", "waits_for", "lut_about",
    "bram_about", "dsp_about",
)  # fmt: skip
BOARD_CELLS = {"ff": "FF", "bram": "block RAM", "dsp": "DSP"}
AREA_COLUMNS = ("lut", "carry", "lutram", "ff", "bram", "dsp", "fmax_mhz")


def report_verb(builds: Sequence[Path], html: Path | None, as_json: bool) -> None:
    if html is not None:
        from .html.verb import html_verb

        html_verb(builds, html, as_json)
        return
    if len(builds) > 1:
        raise BuildError(f"{builds[1]}: a second build; several are compared as a page, with --html FILE")
    (build,) = builds
    if is_exploration(build):
        report_exploration(build, as_json)
        return
    folder = read_build(build)
    if folder.stamp("import") is None:
        raise BuildError(f"{build}: nothing has finished here; run `espalier build MODEL -o {build}` first")
    show(folder, None, as_json)


def show(folder: BuildFolder, verb: str | None, as_json: bool) -> None:
    """Print the results of one verb, or of all, on stdout; BuildError where someone has changed what they hold."""
    with reading(folder):
        if as_json:
            text = json.dumps(result(folder, verb) if verb else results(folder), indent=2)
        else:
            text = VIEWS[verb](folder)
    print(text)


@contextmanager
def reading(folder: BuildFolder) -> Iterator[None]:
    """BuildError where someone has changed what the verbs' results hold."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, EspalierError):
            raise
        files = ", ".join(f"{name}/{RESULTS[name]}" for name in RESULTS if folder.step(name).is_dir())
        found = f"{type(error).__name__}: {error}"
        raise BuildError(
            f"{folder.path}: one of {files} is not as Espalier writes it ({found}); run its verb again with --force"
        ) from None


def check(folder: BuildFolder, verb: str) -> None:
    """Raise Mismatch if what ``verb`` compared is not equal."""
    found = result(folder, verb)
    if verb == "import" and found["agreement"] and found["agreement"]["unexplained"]:
        count, lines = found["agreement"]["unexplained"], found["agreement"]["mismatches"]
        text = f"{folder.path}: {count:,} codes differ from the trained model's by more than float32 rounding"
        raise Mismatch("\n".join((text, *lines)))
    if verb == "simulate":
        check_run(f"{folder.path}: the Verilog", found)
    if verb == "synth" and found["check"]:
        check_run(f"{folder.path}: the netlist", found["check"])


def check_run(what: str, found: Mapping[str, Any]) -> None:
    if not (found["values_exact"] and found["cycles_exact"]):
        raise Mismatch("\n".join((f"{what} differs from the reference", *found["mismatches"])))


def results(folder: BuildFolder) -> dict[str, Any]:
    """The summary under its own keys, and each finished verb's results under its name."""
    finished = {verb: result(folder, verb) for verb in RESULTS if folder.stamp(verb)}
    return folder.summary() | finished


def result(folder: BuildFolder, verb: str) -> Any:
    folder.need(verb)
    return read_json(folder.step(verb) / RESULTS[verb])


def describe_import(folder: BuildFolder) -> str:
    found = result(folder, "import")
    shown = {key: found[key] for key in ("model", "digest")} | ports(found) | agreement(found) | scores(found)
    return f"{table(found['nodes'], ('name', 'operator', 'output'))}\n\n{pairs(shown)}"


def describe_plan(folder: BuildFolder) -> str:
    return f"{table(layer_rows(folder), FOLD_COLUMNS)}\n\n{pairs(timing(folder))}"


def describe_generate(folder: BuildFolder) -> str:
    found = result(folder, "generate")
    return pairs({"verilog": folder.step("generate") / found["file"], "top": found["top"], "lines": found["lines"]})


def describe_simulate(folder: BuildFolder) -> str:
    columns = ("name", "stall", "cycles", "beats", "values_exact", "cycles_exact")
    runs = table(result(folder, "simulate")["runs"], columns)
    return f"{runs}\n\n{pairs(exactness(folder) | {'bench': folder.step('simulate') / 'bench'})}"


def describe_synth(folder: BuildFolder) -> str:
    return f"{table(layer_rows(folder), ('layer', *AREA_COLUMNS))}\n\n{pairs(area(folder))}"


def describe(folder: BuildFolder) -> str:
    """The table of layers, and below it all that is known of the whole network."""
    parts = [table(layer_rows(folder), (*FOLD_COLUMNS, *AREA_COLUMNS))] if folder.stamp("plan") else []
    return "\n\n".join([*parts, pairs(whole(folder))])


def whole(folder: BuildFolder) -> dict[str, Any]:
    """All that is known of the whole network, for people."""
    imported = result(folder, "import")
    shown = {key: imported[key] for key in ("model", "digest")} | agreement(imported)
    for verb, more in (("plan", timing), ("simulate", exactness), ("synth", area), ("bitstream", board)):
        if folder.stamp(verb):
            shown |= more(folder)
    return shown | scores(folder.summary())


def describe_bitstream(folder: BuildFolder) -> str:
    found = result(folder, "bitstream")
    rates = [{"layer": name, "fmax_mhz": round(rate, 1)} for name, rate in found["fmax_by_layer"].items()]
    return f"{table(rates, ('layer', 'fmax_mhz'))}\n\n{pairs(board(folder))}"


VIEWS: dict[str | None, Callable[[BuildFolder], str]] = {
    "import": describe_import,
    "plan": describe_plan,
    "generate": describe_generate,
    "simulate": describe_simulate,
    "synth": describe_synth,
    "bitstream": describe_bitstream,
    None: describe,
}


def layer_rows(folder: BuildFolder) -> list[dict[str, Any]]:
    """One row per stage: its fold and timing, and its area where synthesis is done."""
    areas = result(folder, "synth")["layers"] if folder.stamp("synth") else {}
    return [layer_row(layer) | areas.get(layer["layer"], {}) for layer in result(folder, "plan")["layers"]]


def layer_row(layer: Mapping[str, Any]) -> dict[str, Any]:
    waits = layer["waits"]
    return {
        **layer,
        "engine": layer["engine"] or layer["kind"],
        "busy": f"{layer['busy']:.1%}",
        "depth": "/".join(map(str, layer["depths"].values())),
        "buffer": describe_buffer(layer["buffer"]),
        "weight_bits": layer["weight_bits"] or None,
        "waits_for": max(waits, key=waits.get) if waits else None,
        **predicted_row(layer["predicted"]),
    }


def predicted_row(found: Mapping[str, float]) -> dict[str, int]:
    """Lookup tables as synthesis counts them, those that serve as memory and carry chains beside them."""
    return {f"{kind}_about": round(found[kind]) for kind in ("lut", "bram", "dsp")}


def describe_buffer(buffer: Mapping[str, Any] | None) -> str | None:
    """Places in use of words x bits."""
    if buffer is None:
        return None
    return f"{buffer['places']} of {buffer['words']}x{buffer['bits']} {buffer['style']}"


def ports(found: Mapping[str, Any]) -> dict[str, str]:
    return {f"{kind[:-1]}_{port['name']}": port["type"] for kind in ("inputs", "outputs") for port in found[kind]}


def agreement(found: Mapping[str, Any]) -> dict[str, str]:
    """How the executor compares with the trained model on the test set."""
    compared = found["agreement"]
    if not compared:
        return {}
    text = f"{compared['differing']:,} of {compared['codes']:,} codes differ in {compared['frames']:,} frames"
    if compared["differing"]:
        text += f", {compared['explained']:,} of them by float32 rounding"
    return {"trained_model": text}


def scores(found: Mapping[str, Any]) -> dict[str, Any]:
    """How good the network's answers are, and for how much memory of weights and feature maps, where that is known."""
    known = {name: show_score(name, found[name]) for name in ("accuracy", *METRICS) if name in found}
    memory = {name: found[name] for name in (*MEMORY, *SHIFTS) if name in found}
    if "density" in found:
        memory["density"] = f"{found['density']:,.1f} {'dB' if 'psnr_db' in known else '%'} per Mbit"
    return known | memory


def timing(folder: BuildFolder) -> dict[str, Any]:
    found = result(folder, "plan")
    return {
        "frames_per_second": f"{found['fps']:,.0f} at {found['clock_mhz']:g} MHz",
        "ii_cycles": found["ii_cycles"],
        "latency_cycles": found["latency_cycles"],
        "limited_by": ", ".join(found["limited_by"]),
        "area_about": describe_area(found["area"]),
        **{name: describe_step(step) for name, step in found["choice"]["steps"].items()},
        **{
            f"{kind[:-1]}_{port['name']}": describe_stream(port)
            for kind in ("inputs", "outputs")
            for port in found[kind]
        },
    }


def describe_area(found: Mapping[str, Any]) -> str:
    """What is predicted, and how much of it was allowed."""
    names = {"lut": "lookup tables", "ff": "flip-flops", "bram": "block RAMs", "dsp": "DSP blocks"}
    parts = []
    for kind, name in names.items():
        most = found["limits"].get(kind)
        parts.append(f"{found[kind]:,} {name}" if most is None else f"{found[kind]:,} of {most:,} {name}")
    return ", ".join(parts) + (f" ({found['device']})" if found["device"] else "")


def describe_step(step: Mapping[str, Any]) -> str:
    """A faster plan: its rate, what it takes more, and in which layers."""
    if "reason" in step:
        return step["reason"]
    units = {"lut": "LUT", "ff": "FF", "bram": "block RAM", "dsp": "DSP"}
    more = ", ".join(f"{step['more'][kind]:+,} {name}" for kind, name in units.items() if step["more"][kind])
    layers = ", ".join(step["layers"])
    return f"{step['fps']:,.0f} frames per second: {more or 'nothing more'} (changes {layers or 'no layer'})"


def describe_stream(port: Mapping[str, Any]) -> str:
    return f"{port['type']} in {port['beats']:,} beats of {port['lanes']} lane{'s' * (port['lanes'] != 1)}"


def exactness(folder: BuildFolder) -> dict[str, Any]:
    found = result(folder, "simulate")
    part = {"simulated_layers": found["layers"]} if found["layers"] else {}
    return {"simulated_frames": found["frames"], **part, **{k: found[k] for k in ("values_exact", "cycles_exact")}}


def area(folder: BuildFolder) -> dict[str, Any]:
    """Totals; ``lut`` is what the device loses, carry cells and LUT RAM included where the design was placed."""
    found = result(folder, "synth")
    cells = {key: found["area"][key] for key in ("ff", "bram", "dsp")}
    rate = found["fmax_mhz"]
    shown = {"device": found["device"], "lut": found["lut"], **cells} | ({"fmax_mhz": f"{rate:.1f}"} if rate else {})
    return shown | netlist_exactness(found["check"])


def netlist_exactness(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the simulation of the netlist showed, if there was one."""
    return {f"netlist_{key}": found[key] for key in ("frames", "values_exact", "cycles_exact")} if found else {}


def board(folder: BuildFolder) -> dict[str, Any]:
    """What is on the board, link and clock included."""
    found = result(folder, "bitstream")
    cells = ", ".join(f"{found['area'][kind]:,} {name}" for kind, name in BOARD_CELLS.items() if found["area"][kind])
    return {
        "bitstream": folder.step("bitstream") / found["file"],
        "board": f"{found['board']}: {found['luts']:,} LUT, {cells}",
        "board_clock": f"{found['clock_mhz']:g} MHz, up to {found['fmax_mhz']:.1f} MHz",
        "board_slowest": f"{found['critical_path']['start']} to {found['critical_path']['end']}",
        "baud": found["baud"],
    }
