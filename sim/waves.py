"""Waves on request: a window of cycles, as VCD, or as FST where its libraries are installed."""

import subprocess
from dataclasses import dataclass

from ..errors import BuildError, ToolError


@dataclass(frozen=True)
class Waves:
    """Record all signals from cycle ``first`` to cycle ``last`` as ``vcd`` or ``fst``; whole runs are huge and slow."""

    format: str = "vcd"
    first: int = 0
    last: int = 2**31 - 1

    def __post_init__(self) -> None:
        if self.format not in ("vcd", "fst"):
            raise BuildError(f"waves: format {self.format!r} is unknown; known are vcd and fst")
        if not 0 <= self.first <= self.last < 2**31:
            raise BuildError(f"waves: cycles {self.first} to {self.last} are no window; choose 0 <= first <= last")

    @classmethod
    def parse(cls, text: str) -> "Waves":
        """``vcd``, ``fst``, or with a window of cycles ``fst:2000:2500``; ``2000:2500`` is VCD."""
        parts = text.split(":")
        name = "vcd" if parts[0].isdigit() else parts.pop(0)
        if len(parts) > 2 or not all(part.isdigit() for part in parts):
            raise BuildError(f"waves: {text!r} is not understood; write for example vcd, fst, or fst:2000:2500")
        return cls(name, *map(int, parts))


def check_fst() -> None:
    """Raises ToolError unless a trace writer for FST would compile and link."""
    source = "#include <lz4.h>\n#include <zlib.h>\nint main() { return LZ4_versionNumber() + (zlibVersion() == 0); }\n"
    command = ["g++", "-x", "c++", "-", "-o", "/dev/null", "-llz4", "-lz"]
    result = subprocess.run(command, input=source, capture_output=True, text=True, timeout=60)
    if result.returncode == 0:
        return
    absent = [name for name in ("lz4.h", "zlib.h", "-llz4", "-lz") if name in result.stderr]
    raise ToolError(
        f"waves in FST need lz4.h and zlib.h; g++ does not find {absent[0] if absent else 'them'}; "
        "run `apt install liblz4-dev zlib1g-dev`, or choose VCD"
    )
