import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from espalier.flow import cli
from espalier.ir.execute import dequantize_outputs, execute
from espalier.ir.store import load
from small_models import write_mlp

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    path = tmp_path_factory.mktemp("flow")
    build = path / "build"
    assert cli.run(["import", str(write_mlp(path / "net.onnx")), "-o", str(build)]) == 0
    assert cli.run(["plan", str(build), "--fps", "1e6"]) == 0
    assert cli.run(["generate", str(build)]) == 0
    return build


def summary(build):
    return json.loads((build / "summary.json").read_text())


def printed(capsys, *arguments):
    capsys.readouterr()
    assert cli.run([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_the_summary_has_what_is_known_so_far(planned):
    assert list(summary(planned)) == ["model", "digest", "ii_cycles", "latency_cycles"]
    assert summary(planned)["model"] == "net"


def test_a_plan_meets_its_target(planned, capsys):
    plan = json.loads(printed(capsys, "plan", planned, "--fps", "1e6", "--json"))
    assert plan["fps"] >= 1e6
    assert [layer["layer"] for layer in plan["layers"] if layer["kind"] == "dense"] == ["fc1", "fc2"]


def test_the_same_verb_again_does_nothing(planned, capsys):
    assert cli.run(["plan", str(planned), "--fps", "1e6"]) == 0
    assert capsys.readouterr().err == "plan: nothing changed\n"


def test_the_saved_plan_is_a_folding_file(planned, tmp_path, capsys):
    first = json.loads(printed(capsys, "report", planned, "--json"))["plan"]
    folding = tmp_path / "folding.json"
    folding.write_text((planned / "plan/folding.json").read_text())
    again = json.loads(printed(capsys, "plan", planned, "--folding", folding, "--json"))
    for found in (first, again):  # where all is given, there is no step to anything else
        del found["choice"]
    assert again == first
    printed(capsys, "plan", planned, "--fps", "1e6")
    printed(capsys, "generate", planned)


def test_the_report_is_a_table_of_layers_and_totals(planned, capsys):
    text = printed(capsys, "report", planned)
    assert text.splitlines()[0].split()[:7] == ["layer", "engine", "pe", "simd", "cycles", "busy", "depth"]
    assert "ii cycles" in text and "fc2" in text


def test_the_report_as_json_starts_with_the_summary(planned, capsys):
    report = json.loads(printed(capsys, "report", planned, "--json"))
    assert {key: report[key] for key in summary(planned)} == summary(planned)
    assert list(report)[-3:] == ["import", "plan", "generate"]


def test_a_changed_option_reruns_the_verb_and_drops_what_follows(planned, tmp_path):
    build = shutil.copytree(planned, tmp_path / "copy")
    before = summary(build)["ii_cycles"]
    assert cli.run(["plan", str(build), "--multipliers", "20"]) == 0
    assert not (build / "generate").exists()
    assert summary(build)["ii_cycles"] < before


def test_execute_writes_integers_and_reals(planned, tmp_path, capsys):
    frames = np.random.default_rng(0).random((50, 6), np.float32) * 4
    np.save(tmp_path / "x.npy", frames)
    printed(capsys, "execute", planned, "--inputs", tmp_path / "x.npy", "-o", tmp_path / "out.npz")
    written = np.load(tmp_path / "out.npz")
    graph = load(planned / "import")
    codes = np.clip(np.round(frames / 0.25), 0, 15).astype(np.int64)
    expected = execute(graph, codes)
    (name,) = expected
    assert sorted(written.files) == sorted([name, f"{name}.real"])
    np.testing.assert_array_equal(written[name], expected[name])
    np.testing.assert_array_equal(written[f"{name}.real"], dequantize_outputs(graph, expected)[name])


def test_execute_takes_codes(planned, tmp_path, capsys):
    codes = np.random.default_rng(0).integers(0, 16, (50, 6))
    np.save(tmp_path / "codes.npy", codes.astype(np.uint8))
    np.save(tmp_path / "reals.npy", codes * np.float32(0.25))
    for name, flags in (("codes", ["--codes"]), ("reals", [])):
        output = tmp_path / f"{name}.npz"
        printed(capsys, "execute", planned, "--inputs", tmp_path / f"{name}.npy", *flags, "-o", output)
    assert (tmp_path / "codes.npz").read_bytes() == (tmp_path / "reals.npz").read_bytes()


def test_execute_with_labels_prints_and_records_the_accuracy(planned, tmp_path, capsys):
    codes = np.random.default_rng(0).integers(0, 16, (50, 6))
    (scores,) = execute(load(planned / "import"), codes).values()
    labels = scores.argmax(axis=1)
    labels[:5] = (labels[:5] + 1) % 3
    np.save(tmp_path / "x.npy", codes)
    np.save(tmp_path / "y.npy", labels)
    arguments = ["--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--codes", "--json"]
    assert json.loads(printed(capsys, "execute", planned, *arguments))["accuracy"] == 0.9
    assert summary(planned)["accuracy"] == 0.9


def test_argmax_in_hardware_is_the_class(tmp_path, capsys):
    model = str(write_mlp(tmp_path / "net.onnx"))
    for name, flags in (("scores", []), ("index", ["--argmax"])):
        assert cli.run(["import", model, "-o", str(tmp_path / name), *flags]) == 0
    codes = np.random.default_rng(0).integers(0, 16, (200, 6))
    (scores,), (index,) = (execute(load(tmp_path / n / "import"), codes).values() for n in ("scores", "index"))
    np.testing.assert_array_equal(index[:, 0], scores.argmax(axis=1))
    np.save(tmp_path / "x.npy", codes)
    np.save(tmp_path / "y.npy", index[:, 0])
    where = ["--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--codes", "--json"]
    for name in ("scores", "index"):
        assert json.loads(printed(capsys, "execute", tmp_path / name, *where))["accuracy"] == 1.0


def test_a_mismatch_ends_with_status_1(planned, tmp_path, capsys):
    from espalier.flow.folder import open_build, write_json

    build = shutil.copytree(planned, tmp_path / "copy")
    lines = ["plain: stream fc1, layer fc1, frame 0, pixel 0, channel 2: expected 3, got 4, in cycle 17"]
    found = {"frames": 1, "values_exact": False, "cycles_exact": True, "runs": [], "mismatches": lines, "layers": None}
    options = {"frames": None, "inputs": None, "stall": 0.3, "seed": 0, "waves": None, "layers": None}

    def work(partial):
        write_json(partial / "simulate.json", found)
        return {"frames": 1, "values_exact": False, "cycles_exact": True}

    with open_build(build) as folder:
        folder.run("simulate", options, work)
    capsys.readouterr()
    assert cli.run(["simulate", str(build)]) == 1
    assert "espalier: mismatch: " in (text := capsys.readouterr().err) and lines[0] in text
    assert summary(build)["values_exact"] is False


@pytest.mark.verilator
def test_simulate_checks_values_and_cycles(planned, capsys):
    result = json.loads(printed(capsys, "simulate", planned, "--frames", "20", "--json"))
    assert result["frames"] == 20 and result["values_exact"] and result["cycles_exact"]
    assert [run["name"] for run in result["runs"]] == ["plain", "stalled"]
    assert summary(planned)["cycles_exact"] is True


@pytest.mark.verilator
def test_a_part_is_simulated_by_itself(planned, tmp_path, capsys):
    build = shutil.copytree(planned, tmp_path / "copy", ignore=shutil.ignore_patterns("simulate", "synth"))
    result = json.loads(printed(capsys, "simulate", build, "--frames", "9", "--layers", "fc2:", "--json"))
    assert result["values_exact"] and result["cycles_exact"] and result["layers"] == "fc2:fc2"
    assert result["runs"][0]["counts"].keys() == {"fc1_act", "fc2"}
    assert summary(build)["layers"] == "fc2:fc2"


@pytest.mark.verilator
def test_the_generated_file_is_the_one_that_is_simulated(planned, tmp_path, capsys):
    build = shutil.copytree(planned, tmp_path / "copy", ignore=shutil.ignore_patterns("simulate", "synth"))
    (file,) = (build / "generate").glob("*.v")
    file.write_text(file.read_text() + "// as it stands\n")
    printed(capsys, "simulate", build, "--frames", "2", "--stall", "0")
    assert (build / "simulate/bench" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.synth
def test_synth_adds_area_and_clock_rate(planned, capsys):
    result = json.loads(printed(capsys, "synth", planned, "--device", "ecp5-25k", "--json"))
    assert set(result["layers"]) >= {"fc1", "fc2"} and result["check"] is None
    keys = ["device", "lut", "ff", "bram", "dsp", "fmax_mhz"]
    assert [key for key in summary(planned) if key in keys] == keys and summary(planned)["fmax_mhz"] > 50


@pytest.mark.verilator
@pytest.mark.synth
def test_synth_simulates_the_netlist_if_told_to(planned, tmp_path, capsys):
    build = shutil.copytree(planned, tmp_path / "copy", ignore=shutil.ignore_patterns("simulate", "synth"))
    text = printed(capsys, "synth", build, "--no-place", "--check", "3")
    assert "netlist cycles exact  yes" in text
    keys = ["netlist_frames", "netlist_values_exact", "netlist_cycles_exact"]
    assert [summary(build)[key] for key in keys] == [3, True, True]
    assert read_check(build)["runs"][1]["counts"] == {"x": 18, "fc2": 9}


def read_check(build):
    return json.loads((build / "synth/report.json").read_text())["check"]


@pytest.mark.verilator
@pytest.mark.synth
@pytest.mark.slow
def test_a_netlist_that_differs_ends_with_status_1(planned, tmp_path, capsys, monkeypatch):
    from espalier.boards.families import FAMILIES

    def spoil(module):
        edited, absorbed = family.edit(module)
        wires = next(cell["connections"] for cell in edited["cells"].values() if cell["type"] == "CCU2C")
        wires["S0"], wires["S1"] = wires["S1"], wires["S0"]
        return edited, absorbed

    family = FAMILIES["ecp5"]
    monkeypatch.setitem(FAMILIES, "ecp5", replace(family, edit=spoil))
    build = shutil.copytree(planned, tmp_path / "copy", ignore=shutil.ignore_patterns("simulate", "synth"))
    assert cli.run(["synth", str(build), "--no-place", "--check", "3"]) == 1
    assert "the netlist differs from the reference\nplain: stream fc2, layer fc2" in capsys.readouterr().err
    assert read_check(build)["values_exact"] is False


@pytest.mark.verilator
@pytest.mark.synth
def test_build_runs_every_verb_and_then_none(tmp_path, capsys):
    model, build = write_mlp(tmp_path / "net.onnx"), tmp_path / "build"
    command = [
        "build",
        model,
        "-o",
        build,
        "--frames",
        "5",
        "--device",
        "xc7a35t",
        "--interface",
        "axi-stream",
        "--json",
    ]
    report = json.loads(printed(capsys, *command))
    assert report["values_exact"] and report["cycles_exact"] and report["lut"] > 0
    before = {path: path.stat().st_mtime_ns for path in build.glob("*/*")}
    assert json.loads(printed(capsys, *command)) == report
    assert {path: path.stat().st_mtime_ns for path in build.glob("*/*")} == before


def test_plan_says_what_it_takes_and_what_more_would(planned, capsys):
    text = printed(capsys, "plan", planned, "--fps", "1e6", "--device", "ecp5-25k")
    assert "of 19,430 lookup tables" in text and "(ecp5-25k)" in text
    assert "next step" in text and "twice as fast" in text
    printed(capsys, "plan", planned)


def test_front_is_a_table_and_a_plot_and_no_plan(planned, capsys):
    before = (planned / "plan/plan.json").read_text()
    rows = json.loads(printed(capsys, "plan", planned, "--pareto", "--json"))
    assert [row["fps"] for row in rows] == sorted((row["fps"] for row in rows), reverse=True)
    assert (planned / "pareto.svg").read_text().startswith("<svg")
    assert (planned / "plan/plan.json").read_text() == before
