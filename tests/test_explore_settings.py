"""Options, results and plot of `espalier explore`, which need no search."""

import re
import xml.etree.ElementTree as xml
from itertools import pairwise

import pytest

from espalier.errors import BuildError, EspalierError, GraphError, PlanError, ToolError
from espalier.flow import cli
from espalier.flow.exploring import storage
from espalier.flow.exploring.plot import draw
from espalier.flow.exploring.results import make_record, pareto, print_results, write_results
from espalier.flow.exploring.settings import (
    read_bits,
    read_objectives,
    read_sparsities,
    read_targets,
    read_trials,
)
from explorations import exploration, outcome_of


def test_choices_come_in_rising_order_each_once():
    assert read_sparsities("0.5,0,0.25,0.5") == (0.0, 0.25, 0.5)
    assert read_bits("--weights", "4, 2") == (2, 4)
    assert read_targets("1e6,1e5", "64") == {"target_fps": (1e5, 1e6), "most_multipliers": (64,)}
    assert read_targets(None, None) == {}


@pytest.mark.parametrize(
    "read, message",
    [
        (lambda: read_sparsities("half"), "--sparsity: 'half' is no list of numbers such as 0,0.5"),
        (lambda: read_sparsities("0,1"), "--sparsity: 1 was given, all channels; give shares to remove"),
        (lambda: read_sparsities("-0.1"), "--sparsity: -0.1 was given; give numbers from 0 to 1"),
        (lambda: read_sparsities("nan"), "--sparsity: nan was given; give numbers from 0 to 1"),
        (lambda: read_bits("--weights", "2,9"), "--weights: 9 was given; give whole numbers from 1 to 8"),
        (lambda: read_bits("--activations", "2.5"), "--activations: 2.5 was given; give whole numbers from 1 to 8"),
        (lambda: read_bits("--weights", ""), "--weights: '' is no list of whole numbers such as 2,3,4"),
        (lambda: read_targets("0", None), "--fps: 0 was given; give numbers from 0.001 to 1e\\+12"),
        (lambda: read_targets(None, "0.5"), "--multipliers: 0.5 was given; give whole numbers from 1 to 1e\\+09"),
        (lambda: read_trials("random", None), "--sampler: 'random' is unknown; give one of grid, tpe, nsga2"),
        (lambda: read_trials("grid", 5), "--trials: a grid takes every point; leave it out, or choose --sampler tpe"),
        (lambda: read_trials("tpe", 0), "--trials: 0 was given; give a whole number from 1 to 1000000"),
    ],
)
def test_a_wrong_choice_is_named(read, message):
    with pytest.raises((GraphError, PlanError), match=message):
        read()


def test_objectives_are_figures_of_the_run():
    assert read_objectives(None, "psnr_db") == ("psnr_db", "density", "lut", "fps")
    assert read_objectives("fps, accuracy", "accuracy") == ("fps", "accuracy")
    with pytest.raises(
        GraphError, match="--objectives: 'accuracy' is no figure of this run; give some of psnr_db, den"
    ):
        read_objectives("accuracy", "psnr_db")
    with pytest.raises(GraphError, match="--objectives: 'fps,fps' names a figure twice; give each once"):
        read_objectives("fps,fps", "accuracy")


def test_all_that_results_depend_on_makes_the_name():
    names = [exploration().name(), exploration(seed=1).name(), exploration("tpe", 5).name()]
    assert len(set(names)) == 3 and exploration("tpe", 9).name() == names[2]


def test_what_nothing_beats_is_pareto_optimal():
    rows = [
        {"accuracy": a, "lut": lut} for a, lut in ((0.9, 50), (0.8, 50), (0.95, 80), (0.95, 90), (0.5, 10), (0.9, 50))
    ]
    assert pareto(rows, ("accuracy", "lut")) == [rows[2], rows[0], rows[4]]
    assert pareto(rows, ("lut",)) == [rows[4]]
    assert pareto([], ("lut",)) == []


def record_of_all():
    wanted = exploration()
    points = sorted(wanted.points(), key=lambda point: list(point.values()))
    return make_record("runs/dense", wanted, [(point, outcome_of(point)) for point in points])


def test_some_best_point_is_as_good_as_any_other():
    rows = [row for row in record_of_all()["points"] if "infeasible" not in row]
    best = sorted((row for row in rows if "pareto" in row), key=lambda row: row["pareto"])
    assert [row["pareto"] for row in best] == list(range(1, len(best) + 1)) and len(best) < len(rows)
    assert all(a["accuracy"] >= b["accuracy"] for a, b in pairwise(best))
    for row in rows:
        as_good = [other for other in best if all(o >= r for o, r in zip(goal(other), goal(row)))]
        assert as_good == [row] if "pareto" in row else as_good


def goal(row):
    return row["accuracy"], row["density"], -row["multipliers"], row["fps"]


def test_the_table_shows_the_best_and_why_others_cannot_be(tmp_path, capsys):
    print_results(tmp_path, record_of_all(), False)
    text = capsys.readouterr().out
    heading = "pareto  sparsity  weights  activations  target fps  accuracy  density  multipliers  fps  latency cycles"
    assert text.split("\n")[0].split() == heading.split() + ["network"]
    assert re.search(r"^infeasible 1 +2 x: the target of 1e6 fps cannot be reached; lower --fps$", text, re.MULTILINE)


def test_json_is_what_the_folder_holds(tmp_path, capsys):
    write_results(tmp_path, record_of_all())
    assert cli.run(["report", str(tmp_path), "--json"]) == 0
    assert capsys.readouterr().out == (tmp_path / "results.json").read_text()
    assert (tmp_path / "results.md").read_text().startswith("| pareto | sparsity | weights |")


@pytest.mark.parametrize("content", ["{}", "[]", '{"points": [1], "objectives": [], "axes": {}, "device": null}', "{"])
def test_results_that_someone_changed_are_an_error(content, tmp_path):
    (tmp_path / "results.json").write_text(content)
    assert cli.run(["report", str(tmp_path)]) == 2


def test_the_plot_has_a_panel_for_each_objective_behind_the_first():
    record = record_of_all()
    feasible = [row for row in record["points"] if "infeasible" not in row]
    picture = xml.fromstring(draw(record["points"], record["objectives"]))
    tag = "{http://www.w3.org/2000/svg}"
    panels = picture.findall(f"{tag}g")
    assert [panel.findall(f"{tag}text")[-2].text for panel in panels] == [
        "density: score per Mbit", "multipliers", "frames per second",
    ]  # fmt: skip
    for panel in panels:
        dots = panel.findall(f"{tag}circle")
        numbers = ",".join(text.text or "" for text in panel.findall(f"{tag}text") if text.get("font-size"))
        assert sorted(map(int, numbers.split(","))) == sorted(row["pareto"] for row in feasible if "pareto" in row)
        assert sum(dot.get("fill") == "#bbb" for dot in dots) == sum("pareto" not in row for row in feasible)
        assert all(60 <= float(dot.get("cx", 0)) <= 360 for dot in dots)
        assert all(30 <= float(dot.get("cy", 0)) <= 300 for dot in dots)


@pytest.mark.parametrize("points", [[], [{"infeasible": "x"}], [{"accuracy": 0.5, "fps": float("inf")}]])
def test_a_plot_of_nothing_says_so(points):
    assert "no point is feasible" in draw(points, ("accuracy", "fps"))


@pytest.mark.parametrize("points", [[(0.5, 3)], [(0.5, 0), (0.5, 100)], [(0.0, 1), (1.0, 1e9)]])
def test_a_plot_has_room_for_any_figures(points):
    xml.fromstring(draw([{"accuracy": a, "lut": lut} for a, lut in points], ("accuracy", "lut")))


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(storage, "find_spec", lambda name: None if name == "distributed" else name)
    storage.need_exploring(uses_dask=False)
    with pytest.raises(ToolError, match=r"distributed not found; .* run `pip install 'espalier\[explore\]'`"):
        storage.need_exploring(uses_dask=True)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--workers", "0"], "--workers: 0 was given; it must be a whole number from 1 to 1024"),
        (["--workers", "2", "--cluster", "tcp://127.0.0.1:1"], "--workers: are processes of this machine; the cluster"),
        (["--device", "ecp5"], "device 'ecp5' is unknown; known: ecp5-12k"),
        (["--clock-mhz", "0"], "--clock-mhz 0: must be a number above 0"),
        (["--storage", "nonsense"], "--storage: 'nonsense' is no URL of a database; give one such as sqlite:///"),
        (["--weights", "x"], "--weights: 'x' is no list of whole numbers"),
        (["--threads", "0"], "--threads: 0 was given"),
        (["--data", "nowhere"], "nowhere: no such file; --data is"),
        ([], "RUN: is no finished run; give a folder in which `espalier train` has finished"),
    ],
)
def test_mistakes_are_one_line_with_status_2_before_anything_is_written(options, message, tmp_path, capsys):
    pytest.importorskip("optuna", reason="needs the explore extra")
    pytest.importorskip("brevitas", reason="needs the train extra")
    assert cli.run(["explore", str(tmp_path / "RUN"), "-o", str(tmp_path / "x"), *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1].replace(f"{tmp_path}/", "")
    assert error.startswith(f"espalier: error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_refused(tmp_path):
    from espalier.flow.exploring.verb import check_folder

    (tmp_path / "file").write_text("mine")
    with pytest.raises(BuildError, match="is no folder of an exploration, it holds file; choose another -o"):
        check_folder(tmp_path)
    with pytest.raises(EspalierError, match="file/x: cannot be a folder, .*file is a file; choose another -o"):
        check_folder(tmp_path / "file" / "x")


def test_workers_that_end_late_spoil_no_result(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs the explore extra")
    from espalier.flow.exploring.crew import local_crew

    class Late:
        def __init__(self, *arguments, **options):
            pass

        def close(self):
            raise TimeoutError

    class Never:
        def __init__(self, **options):
            raise TimeoutError

    monkeypatch.setattr(
        distributed, "Client", type("Client", (), {"__init__": lambda *a: None, "close": lambda s: None})
    )
    monkeypatch.setattr(distributed, "LocalCluster", Late)
    with local_crew(2):
        pass
    monkeypatch.setattr(distributed, "LocalCluster", Never)
    with (
        pytest.raises(ToolError, match="--workers: Dask could not start 2 processes .TimeoutError.; try again"),
        local_crew(2),
    ):
        pass
