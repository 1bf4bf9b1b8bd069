import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espalier.sim.tied import tied

STARTS = """
import subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from espalier.sim.tied import tied
tool = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
with ThreadPoolExecutor(1) as pool:
    pool.submit(subprocess.run, tied([sys.executable, "-c", tool])).result()
"""


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_tool_ends_with_the_process_that_runs_it(number):
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE) as process:
        assert process.stdout
        tool = int(process.stdout.readline())
        assert is_running(tool)
        process.send_signal(number)
        process.wait(10)
        deadline = time.monotonic() + 5
        while is_running(tool) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(tool)


def test_command_and_its_status_are_kept():
    run = subprocess.run(tied(["sh", "-c", 'echo "$0 $1"; exit 7', "a b", "c"]), capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (7, "a b c\n")
