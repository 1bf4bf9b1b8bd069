"""The search of `espalier explore` with figures that are made up: nothing is lost, done twice or left to chance."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="needs the explore extra")

from espalier.errors import ToolError
from espalier.flow.exploring.desk import Desk
from explorations import AXES, MadeUp, exploration, explore, outcome_of

PROGRAM = [sys.executable, str(Path(__file__).with_name("explorations.py"))]
FILES = "results.json", "results.md", "pareto.svg"
POINTS = 16


def start(folder, seconds="0", sampler="grid", *more):
    """A process that searches, with made up trials that take so long."""
    return subprocess.Popen([*PROGRAM, str(folder), seconds, sampler, *more])


def again(folder, seconds=0.0, wanted=None):
    return explore(folder, wanted or exploration(), MadeUp(folder.with_name(f"{folder.name}.log"), seconds))


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def contents(folder):
    return [(folder / name).read_bytes() for name in FILES]


def lines(folder):
    log = folder.with_name(f"{folder.name}.log")
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A grid from start to end in one go."""
    folder = tmp_path_factory.mktemp("explore") / "reference"
    record = explore(folder, exploration(), MadeUp(folder.with_name("reference.log")))
    return folder, record


def test_a_grid_does_every_point_once(reference):
    folder, record = reference
    points = [{name: row[name] for name in AXES} for row in record["points"]]
    assert len(points) == len(lines(folder)) == POINTS and points == sorted(points, key=lambda p: list(p.values()))
    assert record == json.loads((folder / "results.json").read_text())
    assert all(
        {**point, **outcome_of(point).get("figures", {})}.items() <= row.items()
        for point, row in zip(points, record["points"])
    )


def test_networks_come_before_targets(reference):
    done = [line.split(" ", 1)[1] for line in lines(reference[0])]
    assert all(line.endswith("100000.0]") for line in done[:8]) and all(
        line.endswith("1000000.0]") for line in done[8:]
    )


def test_what_is_done_is_not_done_again(reference):
    folder, record = reference
    told = []
    assert explore(folder, exploration(), MadeUp(folder / "none.log"), told=told) == record
    assert not (folder / "none.log").exists()
    assert not list((folder / "members").iterdir())


def test_each_trial_is_told_with_the_best_so_far(tmp_path):
    told = []
    explore(tmp_path / "x", exploration(axes=AXES | {"sparsity": (0.0,)}), MadeUp(tmp_path / "log"), told=told)
    shares, texts, milestones = zip(*told)
    assert shares[1:] == tuple(count / 8 for count in range(1, 9)) and milestones[1:] == (True,) * 8
    begin = "trial 1 of 8: sparsity 0, weights 2, activations 3, target fps 100,000: "
    assert texts[1] == f"{begin}accuracy 87.50%; best accuracy 87.50%"
    assert texts[8].endswith("target fps 1,000,000: infeasible; best accuracy 94.44%")


def test_a_killed_search_run_again_gives_the_same_result(reference, tmp_path):
    chance, folder = random.Random(8), tmp_path / "x"
    for _ in range(2):
        process, before = start(folder, "0.05"), len(lines(folder))
        while len(lines(folder)) <= before:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.2))
        kill(process)
    again(folder)
    assert contents(folder) == contents(reference[0])
    times = Counter(line.split()[0] for line in lines(folder))
    assert len(times) == POINTS and sum(times.values()) <= POINTS + 2  # one at work at each kill


@pytest.mark.parametrize(
    "commits", [20, *(pytest.param(number, marks=pytest.mark.slow) for number in range(0, 240, 5))]
)
def test_killed_before_a_change_of_the_database(commits, reference, tmp_path):
    process = start(tmp_path / "x", "0", "grid", str(commits))
    assert process.wait() == -signal.SIGKILL or commits > 100
    again(tmp_path / "x")
    assert contents(tmp_path / "x") == contents(reference[0])


def test_a_second_process_joins_in(reference, tmp_path):
    folder = tmp_path / "x"
    other = start(folder, "0.1")
    wait_for(lambda: lines(folder))
    again(folder, 0.1)
    assert other.communicate(timeout=120) and other.returncode == 0
    assert contents(folder) == contents(reference[0])
    assert Counter(line.split()[0] for line in lines(folder)) == {str(number): 1 for number in range(POINTS)}


def test_who_is_left_does_what_a_killed_one_had_begun(reference, tmp_path):
    """And waits for it before, for the other might have ended it."""
    folder = tmp_path / "x"
    other = start(folder, "600")
    wait_for(lambda: list(folder.glob("members/*")))
    time.sleep(0.5)  # it has begun its first trial, or will once the desk is free
    told = []

    class Killing(list):
        def append(self, line):
            told.append(line)
            if line[1].endswith("at work elsewhere; waiting"):
                kill(other)

    explore(folder, exploration(), MadeUp(folder.with_name("x.log")), told=Killing())
    assert "1 trial is at work elsewhere; waiting" in [line[1] for line in told]
    assert contents(folder) == contents(reference[0])


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_search_does_so_many_trials_of_points_of_the_axes(sampler, tmp_path):
    record = explore(tmp_path / "x", exploration(sampler, 12), MadeUp(tmp_path / "x.log"))
    assert len(lines(tmp_path / "x")) == 12 >= len(record["points"])
    assert all(row[name] in AXES[name] for row in record["points"] for name in AXES)
    assert explore(tmp_path / "x", exploration(sampler, 14), MadeUp(tmp_path / "x.log"))
    assert len(lines(tmp_path / "x")) == 14


def test_a_search_that_is_killed_chooses_the_same_points(tmp_path):
    """One process alone: what is chosen follows from the seed and the trials before."""
    again(tmp_path / "whole", wanted=exploration("tpe", 12))
    process = start(tmp_path / "x", "0.3", "tpe")
    wait_for(lambda: len(lines(tmp_path / "x")) > 5)
    kill(process)
    again(tmp_path / "x", wanted=exploration("tpe", 12))
    assert list(dict.fromkeys(lines(tmp_path / "x"))) == lines(tmp_path / "whole")
    assert contents(tmp_path / "x") == contents(tmp_path / "whole")


def test_processes_of_two_folders_share_a_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    small = exploration(axes=AXES | {"sparsity": (0.0,)})
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    desk = Desk(small, first, url)
    claims = [desk.claim() for _ in range(3)]
    for claim in claims:
        desk.finish(claim.number, outcome_of(claim.point))
    desk.close()
    record = explore(second, small, MadeUp(tmp_path / "b.log"), url)
    assert len(lines(second)) == 5 and len(record["points"]) == 8


def test_a_database_out_of_reach_is_named_without_its_password(tmp_path):
    url = f"sqlite:///{tmp_path}/absent/study.db"
    with pytest.raises(ToolError, match="--storage sqlite:.*absent/study.db: unable to open database file; see that"):
        explore(tmp_path / "x", exploration(), MadeUp(tmp_path / "log"), url)
