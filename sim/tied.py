"""Commands that end when the process that started them ends, however that ends: no tool works on for nobody."""

import os
import sys
from collections.abc import Sequence

# Linux kills the process (signal 9) when its parent is gone (prctl 1); this holds for the program it then becomes.
_TIE = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or os._exit(1); os.execvp(sys.argv[2], sys.argv[2:])"
)


def tied(command: Sequence[str]) -> list[str]:
    """``command``, to be started by the present process, tied to the thread that starts it."""
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *command]
