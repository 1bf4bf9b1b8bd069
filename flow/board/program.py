"""The verb `espalier program`."""

import shutil
import subprocess
from pathlib import Path

from ...boards.bitstream import WEIGHTS
from ...boards.board import find_board
from ...errors import ToolError
from ..folder import read_build, read_entry, read_json
from ..progress import say
from .bitstream import RESULT

LOADER = "openFPGALoader"


def program_verb(build: Path, flash: bool) -> None:
    """Load what `espalier bitstream` made; raises ToolError where the loader is missing or fails."""
    folder = read_build(build)
    folder.need("bitstream")
    made = folder.step("bitstream")
    board = find_board(read_entry(made / RESULT, "board"))
    file = made / read_entry(made / RESULT, "file")
    loader = shutil.which(LOADER)
    if loader is None:
        raise ToolError(
            f"{LOADER} not found; on Debian or Ubuntu: apt install openfpgaloader. Or load {file} with another tool"
        )
    say(f"program: {board.name}, {'flash' if flash else 'until power goes off'}")
    if (weights_at := read_json(made / RESULT).get("weights_at")) is not None:
        say(f"program: weights at {weights_at} of the flash")
        _load([loader, "-b", board.loader, "-f", "-o", str(weights_at), str(made / WEIGHTS)])
    _load([loader, "-b", board.loader, *(["-f"] if flash else []), str(file)])


def _load(command: list[str]) -> None:
    status = subprocess.run(command).returncode
    if status:
        raise ToolError(f"{LOADER} ended with status {status}; check cable, power and the rights on the USB device")
