"""`espalier report --html`: a page that needs nothing else and holds every figure, or an error and no page."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from espalier.errors import BuildError
from espalier.flow import cli
from espalier.flow.folder import file_digest, open_build, read_json, write_json
from espalier.flow.html.figures import read_figures
from espalier.flow.html.headline import share_of
from espalier.flow.html.markup import el, number, shorten, write
from espalier.flow.html.page import STYLE, timeline_section
from espalier.flow.pruned import how_pruned
from small_models import write_mlp

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

ALONE = {"meta"}  # elements without an end


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A build of a pruned network with a plan, in a folder whose name has to be escaped."""
    path = tmp_path_factory.mktemp("html")
    (path / "run").mkdir()
    write_mlp(path / "run/model.onnx")
    write_pruning(path / "run")
    build = path / "a<b>&c"
    assert cli.run(["import", str(path / "run"), "-o", str(build)]) == 0
    assert cli.run(["plan", str(build), "--fps", "1e6", "--device", "ecp5-25k"]) == 0
    return build


@pytest.fixture(scope="module")
def finished(planned, tmp_path_factory):
    """The same with results of a simulation and a synthesis that never were, as the verbs write them."""
    build = shutil.copytree(planned, tmp_path_factory.mktemp("html") / "finished")
    with open_build(build) as folder:
        for verb, (file, known, summary) in results_of(read_json(build / "plan/plan.json")).items():
            folder.run(verb, {}, partial(put, file=file, known=known, summary=summary))
    return build


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("page") / "page.html", finished)


def put(folder, file, known, summary):
    write_json(folder / file, known)
    return summary


def write_pruning(run):
    stages = [("dense", 0.75, 64), ("pruned", 0.5, 32)]
    rows = [
        {
            "stage": name,
            "score": score,
            "weight_mbit": 0.5,
            "feature_mbit": 0.25,
            "density": 99.0,
            "channels": {"fc1": n},
        }
        for name, score, n in stages
    ]
    write_json(run / "metrics.json", {"result": {"metric": "accuracy"}, "stages": rows})
    write_json(run / "prune.json", {"groups": [{"name": "fc1", "channels": 64, "kept": 32, "indices": []}]})
    write_json(run / "config.json", {"prune": {"method": "joint"}, "recipe": {}})


def results_of(plan):
    names = [layer["layer"] for layer in plan["layers"]]
    area = {"lut": 211, "carry": 12, "lutram": 13, "ff": 214, "bram": 3, "dsp": 4}
    layers = {name: area | {"fmax_mhz": 123.4} for name in names}
    path = {
        "delay_ns": 8.1,
        "start": "core.fc1",
        "end": "core.fc2",
        "steps": ["5.10 clk-to-q core.fc1.a.Q", "3.00 logic b.D"],
    }
    synth = {
        "device": "ecp5-25k",
        "area": area,
        "lut": 777,
        "layers": layers,
        "fmax_mhz": 123.4,
        "critical_path": path,
        "check": None,
    }
    run = {"name": "plain", "stall": 0.0, "cycles": 9, "beats": 5, "values_exact": True, "cycles_exact": False}
    exact = {"values_exact": True, "cycles_exact": False}
    return {
        "generate": (
            "generate.json",
            {"file": "x.v", "top": "x", "lines": 1, "stages": {n: f"core.{n}" for n in names}},
            {},
        ),
        "simulate": ("simulate.json", {"frames": 31, "layers": None, "runs": [run], **exact}, {"frames": 31, **exact}),
        "synth": ("report.json", synth, {"device": "ecp5-25k", "lut": 777, "fmax_mhz": 123.4}),
    }


def drawn(file, *builds):
    assert cli.run(["report", *map(str, builds), "--html", str(file)]) == 0
    return file.read_text()


def words(page):
    """The text of the page as people see it, in order."""
    found = []
    parser = HTMLParser()
    parser.handle_data = found.append
    parser.feed(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return found


def test_the_page_refers_to_nothing_outside(page):
    assert not re.search(r"https?:|//|<script|<link|<img|@import|url\(", page)
    assert len(page.encode()) < 3_000_000


def test_every_element_of_the_page_is_closed(page):
    still_open, parser = [], HTMLParser()
    parser.handle_starttag = lambda tag, _: still_open.append(tag) if tag not in ALONE else None
    parser.handle_endtag = lambda tag: (
        still_open.pop() if still_open[-1] == tag else pytest.fail(f"{tag} in {still_open}")
    )
    parser.feed(page)
    assert still_open == []


def test_every_drawing_is_xml(page):
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert [ElementTree.fromstring(text).get("class") for text in drawings] == [
        "graph",
        "timeline",
        "bars",
        "path",
        "bars",
        "bars",
    ]


def test_names_are_escaped(planned, tmp_path):
    page = drawn(tmp_path / "page.html", planned)
    assert "a<b>" not in page and "<h1>a&lt;b&gt;&amp;c</h1>" in page


def test_the_same_builds_give_the_same_bytes(finished, page, tmp_path):
    assert drawn(tmp_path / "again.html", finished) == page


def test_every_figure_of_the_report_is_on_the_page(finished, page, capsys):
    capsys.readouterr()
    assert cli.run(["report", str(finished)]) == 0
    printed, seen = capsys.readouterr().out, {" ".join(text.split()) for text in words(page)}
    cells = {" ".join(cell.split()) for line in printed.splitlines() for cell in re.split(r"\s{2,}", line) if cell}
    assert {cell for cell in cells if not set(cell) <= {"-"}} - seen == set()
    assert {"Dense", "plain"} <= seen  # of the operators, and of the simulations


def test_every_stage_is_in_the_graph_the_timeline_and_each_table(finished, page):
    for layer in read_json(finished / "plan/plan.json")["layers"]:
        assert words(page).count(layer["layer"]) >= 6
        assert f"{layer['layer']}: {layer['cycles']:,} cycles a frame, {layer['busy']:.1%} of all" in page


def test_what_was_measured_stands_beside_what_was_predicted(page):
    assert {"777", "211", "3.2% of 24,288 in ecp5-25k, measured"} <= set(words(page))
    assert "Measured by synthesis for ecp5-25k" in page and "123.4 MHz" in page


def test_without_synthesis_the_page_says_so(planned, tmp_path):
    page = drawn(tmp_path / "page.html", planned)
    assert "Not synthesized: these figures are predicted, for ecp5." in page
    assert "Critical path" not in page and "not simulated" in page and ">measured<" not in page


def test_what_was_mapped_for_another_family_is_said_to_be(finished, tmp_path):
    build = shutil.copytree(finished, tmp_path / "mapped")
    report = read_json(build / "synth/report.json") | {"device": "xc7a35t", "fmax_mhz": None, "critical_path": None}
    write_json(build / "synth/report.json", report)
    page = drawn(tmp_path / "page.html", build)
    assert (
        "Measured by synthesis for xc7a35t, while the prediction is for ecp5, whose lookup tables are others." in page
    )
    assert "Critical path" not in page and "Fmax</h4>" not in page


def test_what_differs_is_not_called_exact(page):
    assert "✓ values exact: 31 frames simulated" in words(page)
    assert "✗ cycles differ: 31 frames simulated" in words(page)


def test_the_slowest_path_names_its_layers(page):
    assert "8.10 ns from fc1 to fc2: 123.4 MHz, " in page
    assert [text for text in words(page) if text in ("core.fc1.a.Q", "b.D")] == ["core.fc1.a.Q", "b.D"]


def test_a_frame_that_is_not_yet_steady_is_not_called_so(planned):
    build = read_figures(planned, "x")
    late = replace(build, trace=replace(build.trace, is_steady=False))
    texts = [write(timeline_section(one)[0]) for one in (build, late)]
    assert "cycles later beat by beat." in texts[0] and "cycles later on average, not beat by beat." in texts[1]


def test_pruning_is_shown_before_and_after(page):
    assert "Pruned by the method joint: 32 of 64 channels are left." in page
    assert {"75.00%", "50.00%"} <= set(words(page)) and "fc1: before 64, after 32" in page


def test_several_builds_are_compared_first(planned, finished, tmp_path):
    page = drawn(tmp_path / "page.html", planned, finished)
    assert page.index('class="comparison"') < page.index('id="build0"') < page.index('id="build1"')
    assert re.findall(r'<circle.*?class="(\w+)"', page) == ["predicted", "measured"]
    assert 'href="#build1">finished</a>' in page


def test_builds_of_the_same_name_are_told_apart_by_their_paths(planned, tmp_path):
    other = shutil.copytree(planned, tmp_path / "x" / planned.name)
    assert {str(planned), str(other)} <= set(words(drawn(tmp_path / "page.html", planned, other)))


def test_the_build_folder_stays_as_it_is(planned, tmp_path):
    before = {path: file_digest(path) for path in planned.rglob("*") if path.is_file()}
    drawn(tmp_path / "page.html", planned)
    assert {path: file_digest(path) for path in planned.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["BUILD", "--html", "FOLDER"], r"--html FOLDER: is a folder; name a file in it such as FOLDER/report.html"),
        (["BUILD", "--html", "FOLDER/no/page.html"], "there is no folder FOLDER/no; make it, or choose another file"),
        (["BUILD", "--html", "PAGE", "--json"], "--html and --json: the report is either a page or JSON"),
        (["BUILD", "BUILD", "--html", "PAGE"], "BUILD: is given twice; give each build once"),
        (["BUILD", "FOLDER/../build", "--html", "PAGE"], "is given twice; give each build once"),
        (["FOLDER/none", "--html", "PAGE"], "FOLDER/none: no such build folder"),
        (["THESIS", "--html", "PAGE"], "THESIS: not a build folder"),
        (["IMPORTED", "--html", "PAGE"], "IMPORTED: plan has not finished here; run `espalier plan IMPORTED` first"),
        (["EXPLORED", "--html", "PAGE"], "EXPLORED: holds an exploration, which is plotted in its pareto.svg"),
        (["BUILD", "IMPORTED"], "IMPORTED: a second build; several are compared as a page, with --html FILE"),
        (["DAMAGED", "--html", "PAGE"], "DAMAGED: one of import/import.json, plan/plan.json is not as Espalier writes"),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_nothing_is_written(arguments, message, planned, tmp_path, capsys):
    places = {
        name: tmp_path / name.lower() for name in ("BUILD", "FOLDER", "THESIS", "IMPORTED", "EXPLORED", "DAMAGED")
    }
    places["PAGE"] = tmp_path / "page.html"
    make_folders(places, planned)

    def placed(text):
        return re.sub("|".join(places), lambda found: str(places[found[0]]), text)

    assert cli.run(["report", *map(placed, arguments)]) == 2
    assert re.search(placed(message), capsys.readouterr().err)
    assert not list(tmp_path.rglob("*.html")) and not list(tmp_path.rglob("*.partial*"))


def make_folders(places, planned):
    places["FOLDER"].mkdir()
    for name in ("BUILD", "DAMAGED"):
        shutil.copytree(planned, places[name])
    shutil.copytree(planned, places["IMPORTED"], ignore=shutil.ignore_patterns("plan"))
    for name, file in (("THESIS", "chapter1.tex"), ("EXPLORED", "results.json")):
        places[name].mkdir()
        (places[name] / file).write_text("{}")
    imported = places["DAMAGED"] / "import/import.json"
    imported.write_text(json.dumps({key: value for key, value in read_json(imported).items() if key != "pruned"}))


def test_the_import_keeps_what_the_run_tells_of_its_pruning(planned):
    pruned = read_json(planned / "import/import.json")["pruned"]
    assert pruned["groups"] == [{"name": "fc1", "channels": 64, "kept": 32}]
    assert [stage["score"] for stage in pruned["stages"]] == [0.75, 0.5] and pruned["method"] == "joint"


def test_changed_pruning_makes_the_import_stale(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    write_mlp(tmp_path / "run/model.onnx")
    write_pruning(tmp_path / "run")
    for kept in (32, 16):
        write_json(tmp_path / "run/prune.json", {"groups": [{"name": "fc1", "channels": 64, "kept": kept}]})
        capsys.readouterr()
        assert cli.run(["import", str(tmp_path / "run"), "-o", str(tmp_path / "build")]) == 0
    assert "nothing changed" not in capsys.readouterr().err


def test_a_run_that_keeps_all_channels_was_not_pruned(tmp_path):
    write_json(tmp_path / "prune.json", {"groups": [{"name": "fc1", "channels": 8, "kept": 8}]})
    assert how_pruned(tmp_path) is None


def test_a_damaged_record_of_pruning_is_named(tmp_path):
    write_json(tmp_path / "prune.json", {"groups": [{"name": "fc1"}]})
    with pytest.raises(BuildError, match="its prune.json, metrics.json or config.json is damaged; train again"):
        how_pruned(tmp_path)


def test_text_and_attributes_are_escaped():
    assert write(el("p", "a<b", el("b", "&"), ">", title='"')) == '<p title="&quot;">a&lt;b<b>&amp;</b>&gt;</p>'


def test_figures_and_names_are_short():
    assert [number(value) for value in (3.0, 1 / 3, -0.001, 2.5)] == ["3", "0.33", "0", "2.5"]
    assert [shorten("conv12_window_lanes", most) for most in (19, 9)] == ["conv12_window_lanes", "conv…anes"]


def test_text_is_readable_on_every_ground_in_both_schemes():
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.DOTALL)
    )
    pairs = [(text, ground) for text in ("ink", "muted") for ground in ("page", "card", "soft")]
    pairs += [("leaf", "leaf-soft"), ("rust", "rust-soft")]
    assert [
        (text, ground)
        for colours in (light, dark)
        for text, ground in pairs
        if contrast(colours[text], colours[ground]) < 4.5
    ] == []


def contrast(one, other):
    """As WCAG 2 defines it."""

    def light(colour):
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_a_share_of_nothing_is_none_or_all():
    assert (share_of(0, 0), share_of(3, 0), share_of(3, 6)) == (0.0, 1.0, 0.5)
