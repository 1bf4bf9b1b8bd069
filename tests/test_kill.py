import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from small_models import write_mlp

COMMAND = [sys.executable, "-c", "from espalier.flow.cli import main; main()"]
# How long something took; and the digest of Espalier's sources, which may be under edit while this runs.
FLEETING = {"result.json", "results.xml", "log.txt", "stamp.json"}

# Options of each verb, in the order in which they run.
VERBS = {
    "import": ["MODEL", "-o", "BUILD"],
    "plan": ["BUILD", "--multipliers", "12"],
    "generate": ["BUILD"],
    "simulate": ["BUILD", "--frames", "10"],
    "synth": ["BUILD", "--no-place"],
}
LONGEST_S = {"simulate": 10, "synth": 3}  # until the second kill
MARKS = {"simulate": pytest.mark.verilator, "synth": pytest.mark.synth}
CASES = [pytest.param(verb, marks=MARKS.get(verb, ())) for verb in VERBS]


def arguments(verb, model, build):
    names = {"MODEL": str(model), "BUILD": str(build)}
    return [*COMMAND, verb, *(names.get(word, word) for word in VERBS[verb])]


def run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=600)


def run_before(verb, model, build):
    """The verbs that ``verb`` starts from."""
    short = [name for name in VERBS if name not in LONGEST_S]
    for earlier in short if verb in LONGEST_S else short[: short.index(verb)]:
        run(*arguments(earlier, model, build))


def contents(path):
    lasting = (entry for entry in path.rglob("*") if entry.is_file() and "__pycache__" not in entry.parts)
    kept = (entry for entry in lasting if entry.name not in FLEETING and entry.suffix != ".log")
    return {str(entry.relative_to(path)): entry.read_bytes() for entry in kept}


def kill_at_work(command, build, pattern, delay_s):
    """Kill -9 a command ``delay_s`` after a path that matches ``pattern`` appears; True if it was still running."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not any(build.glob(pattern)):
        time.sleep(0.001)
    time.sleep(delay_s)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return running


@pytest.mark.parametrize("verb", CASES)
def test_a_killed_verb_run_again_gives_the_same_result(verb, tmp_path):
    model, build = write_mlp(tmp_path / "net.onnx"), tmp_path / "build"
    run_before(verb, model, build)
    if build.exists():
        shutil.copytree(build, tmp_path / "reference")
    for delay_s in (0, random.Random(verb).uniform(0, LONGEST_S.get(verb, 0.3))):
        kill_at_work(arguments(verb, model, build), build, f".{verb}.partial-*", delay_s)
    run(*arguments(verb, model, build))
    # The uninterrupted run comes second, for it may use a compiled simulation that the first one kept.
    run(*arguments(verb, model, tmp_path / "reference"))
    assert contents(build) == contents(tmp_path / "reference")


@pytest.mark.parametrize("verb", [case for case in CASES if case.values[0] != "import"])
def test_a_verb_killed_at_once_leaves_nothing_that_looks_whole(verb, tmp_path):
    model, build = write_mlp(tmp_path / "net.onnx"), tmp_path / "build"
    run_before(verb, model, build)
    before = contents(build)
    assert kill_at_work(arguments(verb, model, build), build, f".{verb}.partial-*", 0)
    after = {name: content for name, content in contents(build).items() if ".partial-" not in name}
    assert after == before


# Fills a build folder and dies just before the n-th change of the file system that --force makes.
DIES = """
import os, pathlib, shutil, sys
from espalier.flow.folder import open_build
left = int(sys.argv[2])
def dying(function):
    def run(*arguments, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return function(*arguments, **more)
    return run
def fill(text):
    return lambda partial: {"model": text} if (partial / "result.txt").write_text(text) else {}
with open_build(pathlib.Path(sys.argv[1]), create=True) as folder:
    if left >= 0:
        for owner, name in ((pathlib.Path, "rename"), (pathlib.Path, "replace"), (shutil, "rmtree")):
            setattr(owner, name, dying(getattr(owner, name)))
    for verb in ("import", "plan", "generate"):
        if not folder.is_current(verb, {"text": sys.argv[3]}):
            folder.run(verb, {"text": sys.argv[3]}, fill(sys.argv[3]))
"""


@pytest.mark.parametrize("changes", range(14))
def test_killed_between_any_two_changes_of_the_folder(changes, tmp_path):
    program = [sys.executable, "-c", DIES]
    build, reference = str(tmp_path / "build"), str(tmp_path / "reference")
    run(*program, reference, "-1", "new")
    run(*program, build, "-1", "old")
    died = subprocess.run([*program, build, str(changes), "new"]).returncode
    run(*program, build, "-1", "new")
    assert died == -signal.SIGKILL
    assert contents(Path(build)) == contents(Path(reference))


def test_the_lock_of_a_killed_run_is_free(tmp_path):
    code = "import pathlib, sys, time\nfrom espalier.flow.folder import open_build\n"
    code += "with open_build(pathlib.Path(sys.argv[1]), create=True):\n    print(1, flush=True)\n    time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path / "build"], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline()
    model = write_mlp(tmp_path / "net.onnx")
    command = arguments("import", model, tmp_path / "build")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2 and "build: another run holds this build folder" in refused.stderr
    holder.kill()
    holder.wait()
    run(*command)


@pytest.mark.torch
def test_killed_training_run_again_gives_the_same_model(tmp_path):
    pytest.importorskip("brevitas")
    command = [*COMMAND, "train", "digits-mlp", "--epochs", "3", "-o"]
    run(*command, str(tmp_path / "reference"))
    assert kill_at_work([*command, str(tmp_path / "run")], tmp_path / "run", "checkpoints/*001*", 0.05)
    assert not (tmp_path / "run/model.onnx").exists()
    run(*command, str(tmp_path / "run"))
    for name in ("model.onnx", "test.npz", "truth.npz", "metrics.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "reference" / name).read_bytes()
