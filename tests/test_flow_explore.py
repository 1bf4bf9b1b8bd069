"""`espalier explore` on scikit-learn's digits, with networks that really train: one process, two, and killed ones."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from espalier.flow import cli

COMMAND = [sys.executable, "-W", "ignore", "-c", "from espalier.flow.cli import main; main()"]
OPTIONS = [
    *("--sparsity", "0,0.5", "--weights", "3", "--activations", "4", "--fps", "1e5,1e9"),
    *("--epochs", "1", "--quantize-epochs", "1"),
]
AREA = "lut", "ff", "bram", "dsp"
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    pytest.importorskip("brevitas", reason="needs the train extra")
    pytest.importorskip("sklearn", reason="needs the train extra")
    pytest.importorskip("optuna", reason="needs the explore extra")
    folder = tmp_path_factory.mktemp("runs") / "dense"
    bits = ["--weight-bits", "32", "--activation-bits", "32"]
    assert cli.run(["train", "digits-mlp", "-o", str(folder), "--hidden", "16,12", "--epochs", "2", *bits]) == 0
    return folder


def explore(run, folder, *more):
    return cli.run(["explore", str(run), "-o", str(folder), *OPTIONS, *more])


@pytest.fixture(scope="module")
def explored(dense, tmp_path_factory):
    """By one process, in one go."""
    folder = tmp_path_factory.mktemp("explored") / "x"
    assert explore(dense, folder) == 0
    return folder


def points(folder):
    return json.loads((folder / "results.json").read_text())["points"]


def contents(folder):
    """All that two explorations of the same must agree on: results, and every file of every network."""
    networks = [path for path in (folder / "networks").rglob("*") if path.is_file()]
    files = [folder / "results.json", folder / "results.md", folder / "pareto.svg", *networks]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_point_holds_what_the_verbs_say_one_by_one(explored, tmp_path, capsys):
    point = points(explored)[2]
    network, build = explored / "networks" / point["network"], str(tmp_path / "build")
    assert cli.run(["import", str(network), "-o", build]) == 0
    assert cli.run(["plan", build, "--fps", "1e5"]) == 0
    capsys.readouterr()
    assert cli.run(["report", build, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert point["target_fps"] == 1e5 and point["sparsity"] == 0.5 and point["pareto"]
    for name in ("accuracy", "weight_mbit", "feature_mbit", "density", "ii_cycles", "latency_cycles"):
        assert point[name] == report[name]
    assert point["fps"] == report["plan"]["fps"]
    assert {name: point[name] for name in AREA} == {name: report["plan"]["area"][name] for name in AREA}
    assert json.loads((network / "recipe.json").read_text())["weight_bits"] == [3, 3, 3]


def test_points_of_one_network_share_it(explored):
    names = [point["network"] for point in points(explored)]
    assert names[0] == names[1] != names[2] == names[3]
    assert sorted(path.name for path in (explored / "networks").iterdir()) == sorted({names[0], names[2]})


def test_all_networks_train_for_the_same_time(explored):
    for network in (explored / "networks").iterdir():
        assert json.loads((network / "metrics.json").read_text())["result"]["epochs"] == 2


def test_a_target_out_of_reach_is_a_result(explored):
    found = [point.get("infeasible") for point in points(explored)]
    assert found[0] is found[2] is None
    assert all(
        text.startswith("the target of 1,000,000,000 fps cannot be reached: the best at") for text in found[1::2]
    )


def test_the_table_names_the_networks(explored, capsys):
    capsys.readouterr()
    assert cli.run(["report", str(explored)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(" {2,}", lines[2].strip())[-1] == points(explored)[0]["network"]
    assert f"plot            {explored}/pareto.svg" in lines


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_killed_at_work_and_run_again_by_two_processes_gives_the_same(workers, explored, dense, tmp_path, capsys):
    pytest.importorskip("distributed", reason="needs the explore extra")
    folder = tmp_path / "x"
    command = [*COMMAND, "explore", str(dense), "-o", str(folder), *OPTIONS, "--workers", workers]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(folder.glob("networks/*/checkpoints/*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "results.json").exists() or not points(folder)
    capsys.readouterr()
    assert explore(dense, folder, "--workers", "2") == 0
    assert re.search(r"^trial 4 of 4: .*; best accuracy", capsys.readouterr().err, re.MULTILINE)
    assert contents(folder) == contents(explored)


@pytest.mark.slow
@pytest.mark.synth
def test_area_is_that_of_the_planned_network(explored, dense, tmp_path):
    assert explore(dense, tmp_path / "x", "--synth", "--objectives", "accuracy,lut") == 0
    found = points(tmp_path / "x")
    assert 0 < found[2]["lut"] < found[0]["lut"]
    assert {key: found[0][key] for key in ("accuracy", "ii_cycles")} == {
        key: points(explored)[0][key] for key in ("accuracy", "ii_cycles")
    }


@pytest.mark.slow
def test_a_cluster_of_dask_gives_the_same(explored, dense, tmp_path, capsys):
    distributed = pytest.importorskip("distributed", reason="needs the explore extra")
    options = {"processes": True, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        assert explore(dense, tmp_path / "x", "--cluster", cluster.scheduler_address) == 0
    assert contents(tmp_path / "x") == contents(explored)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        assert explore(dense, tmp_path / "y", "--cluster", cluster.scheduler_address) == 2
    assert "does 2 trials at a time, but torch has one random state a process" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--method", "cut"], "unknown method 'cut'; known methods: joint"),
        (["--method", "trp"], "--sparsity: trp takes none"),
        (["--epochs", "-1"], "--epochs: -1 was given; it must be at least 0"),
        (["--calib", "1"], "--calib: 1 was given; it must be at least 2"),
        (["--calib", "100000"], "--calib: 100000 samples were given; it must be 2 to 1348 of 1348 training samples"),
        (["--learning-rate", "0"], "--learning-rate: 0.0 was given; it must be above 0 and below 10"),
        (["--data", "digits", "--objectives", "psnr_db"], "--objectives: 'psnr_db' is no figure of this run"),
    ],
)
def test_what_no_network_could_be_made_with_is_said_before_anything_is_written(
    options, message, dense, tmp_path, capsys
):
    assert explore(dense, tmp_path / "x", *options) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"espalier: error: {message}")
    assert not (tmp_path / "x").exists()
