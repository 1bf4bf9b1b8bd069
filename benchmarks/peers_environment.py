"""A virtual environment for the peers, and nothing of ours: both are LGPL, so they stay programs."""

import shutil
import sys
from pathlib import Path

from espalier.boards.yosys import run_tool

PINS = ("da4ml==0.6.0", "alkaid==0.8.2", "quantizers==1.2.2", "numpy==2.4.6")
MARK = "espalier-peers.txt"


def make_environment(folder: Path, timeout_s: float = 900.0) -> Path:
    """The Python of the environment ``folder``, which is made, or made anew where it is of other versions or half."""
    mark, pins = folder / MARK, "\n".join(PINS) + "\n"
    python = folder.absolute() / "bin" / "python"
    if mark.exists() and mark.read_text() == pins:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run_tool("venv", [sys.executable, "-m", "venv", "."], folder, "venv.log", timeout_s)
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *PINS]
    run_tool("pip", install, folder, "pip.log", timeout_s)
    mark.write_text(pins)  # last: without it the environment is not taken for whole
    return python
