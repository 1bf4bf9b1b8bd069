import json
import subprocess
import sys

import pytest

from espalier.errors import BuildError
from espalier.flow.folder import open_build, read_build


def fill(text):
    def work(partial):
        (partial / "result.txt").write_text(text)
        return {"model": text}

    return work


def tree(path):
    return {entry.relative_to(path): entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}


def chain(path, text="a"):
    with open_build(path, create=True) as folder:
        for verb in ("import", "plan", "generate", "simulate", "synth"):
            folder.run(verb, {"text": text}, fill(text))


def test_a_finished_verb_is_current_until_its_options_change(tmp_path):
    chain(tmp_path / "x")
    folder = read_build(tmp_path / "x")
    assert folder.is_current("plan", {"text": "a"})
    assert not folder.is_current("plan", {"text": "b"})


def test_rerunning_a_verb_drops_what_was_made_from_its_old_results(tmp_path):
    chain(tmp_path / "x")
    with open_build(tmp_path / "x") as folder:
        folder.run("generate", {"text": "b"}, lambda partial: {"frames": 3})
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == [
        ".espalier.lock",
        "generate",
        "import",
        "plan",
        "summary.json",
    ]
    assert json.loads((tmp_path / "x/summary.json").read_text()) == {"model": "a", "frames": 3}


def test_synth_survives_another_simulation(tmp_path):
    chain(tmp_path / "x")
    with open_build(tmp_path / "x") as folder:
        folder.run("simulate", {"text": "b"}, fill("b"))
        assert folder.stamp("synth")


def test_a_failing_verb_changes_nothing(tmp_path):
    chain(tmp_path / "x")
    before = tree(tmp_path / "x")
    with pytest.raises(ValueError, match="boom"), open_build(tmp_path / "x") as folder:
        folder.run("plan", {"text": "b"}, lambda partial: fill("b")(partial) and explode())
    assert tree(tmp_path / "x") == before


def explode():
    raise ValueError("boom")


def test_a_new_folder_that_stays_empty_is_removed(tmp_path):
    with pytest.raises(ValueError, match="boom"), open_build(tmp_path / "a/b/c", create=True):
        explode()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_run_are_removed_and_a_users_file_stays(tmp_path):
    chain(tmp_path / "x")
    (tmp_path / "x/.plan.partial-1").mkdir()
    (tmp_path / "x/.plan.old-1").mkdir()
    (tmp_path / "x/notes.txt").write_text("mine")
    with open_build(tmp_path / "x"):
        pass
    names = {entry.name for entry in (tmp_path / "x").iterdir()}
    assert "notes.txt" in names and not any(".partial-" in name or ".old-" in name for name in names)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    code = "import sys; from espalier.flow.folder import open_build\nwith open_build(sys.argv[1]): print(1)"
    code = code.replace("sys.argv[1]", "__import__('pathlib').Path(sys.argv[1])")
    with open_build(tmp_path / "x", create=True):
        second = subprocess.run([sys.executable, "-c", code, tmp_path / "x"], capture_output=True, text=True)
        assert "another run holds this build folder" in second.stderr and str(tmp_path / "x") in second.stderr


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with (
        pytest.raises(BuildError, match=r"not a build folder, it holds thesis\.tex"),
        open_build(tmp_path, create=True),
    ):
        pass


def test_a_verb_says_which_verb_must_run_first(tmp_path):
    with open_build(tmp_path / "x", create=True) as folder, pytest.raises(BuildError, match="run `espalier plan"):
        folder.run("generate", {}, fill("a"))


def test_a_damaged_stamp_says_what_to_do(tmp_path):
    chain(tmp_path / "x")
    (tmp_path / "x/plan/stamp.json").write_text("{")
    with pytest.raises(BuildError, match=r"stamp\.json: not JSON .* delete"):
        read_build(tmp_path / "x").stamp("plan")
