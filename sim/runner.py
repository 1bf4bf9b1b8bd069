"""Compiles a bench with Verilator, once for each content, and runs it under cocotb with limits on time."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from cocotb_tools import runner
from cocotb_tools.check_results import get_results

from ..errors import BuildError, ToolError
from .tied import tied
from .tools import Tools
from .waves import check_fst

KEPT_BUILDS = 64
BUILD_ARGUMENTS = ["--timing", "-CFLAGS", "-std=c++20", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE"]
# The wheel's make files mistake g++ for clang and name a Python that only its builders have.
MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include PYTHON3=python3 OPT_GLOBAL=-O2"


class VerilatorRunner(runner.Verilator):
    """cocotb's runner with time limits, without ``--public-flat-rw``, and with tools by path instead of environment.

    runtime: folder with the objects of Verilator's own library, most of the compiler's work, which no design changes.
    level: of the C++ compiler's optimization of the design.
    """

    def __init__(
        self, tools: Tools, timeout_s: float, traced: bool = False, runtime: Path | None = None, level: int = 2
    ) -> None:
        super().__init__()
        self.tools, self.timeout_s, self.traced, self.runtime, self.level = tools, timeout_s, traced, runtime, level
        self.program: Path | None = None
        self.python_path: Path | None = None

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(self.build_dir / "verilator" / "bin" / "verilator")

    def _set_env_common(self) -> None:
        super()._set_env_common()
        self.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), self.env["PATH"]])
        self.env["VERILATOR_ROOT"] = str(self.build_dir / "verilator")
        self.env["MAKEFLAGS"] = f"{MAKE_FLAGS} OPT_FAST=-O{self.level}"
        libraries = [str(cocotb_tools.config.libs_dir), self.env.get("LD_LIBRARY_PATH", "")]
        self.env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
        if self.python_path is not None:
            self.env["PYTHONPATH"] = os.pathsep.join([str(self.python_path), self.env["PYTHONPATH"]])

    def _build_command(self) -> list[list[str]]:
        self.waves = self.traced  # the runner lets the environment decide
        verilate, make = super()._build_command()
        # Make cannot handle spaces in paths, which a home folder may well have; links in the build folder have none.
        # The run finds cocotb's libraries by LD_LIBRARY_PATH: links that are gone then must not stay in the program.
        libraries, share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
        places = {
            f"-Wl,-rpath,{libraries} ": "", str(libraries): str(self.build_dir / "cocotb_libs"),
            str(share): str(self.build_dir / "cocotb_share"),
        }  # fmt: skip
        for place, link in places.items():
            verilate = [argument.replace(place, link) for argument in verilate]
        return [[argument for argument in verilate if argument != "--public-flat-rw"], make]

    def _test_command(self) -> list[list[str]]:
        return [[str(self.program), *self.plusargs]]

    def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
        for command in cmds:
            if command[0] == "make" and self.runtime is not None:
                # Now, so that they are newer than the make files and make leaves them alone.
                for compiled in self.runtime.glob("*.o"):
                    shutil.copyfile(compiled, self.build_dir / compiled.name)
            code = run_limited(command, cwd=Path(cwd), env=self.env, stdout=stdout, timeout_s=self.timeout_s)
            if code:
                raise RuntimeError(f"{Path(command[0]).name} ended with status {code}")


def run_limited(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdout, timeout_s: float) -> int:
    """The exit status; whatever ends the wait early (time, Ctrl-C), ends the command's whole process group too."""
    streams = {"stdout": stdout, "stderr": subprocess.STDOUT if stdout else None}
    with subprocess.Popen(tied(command), cwd=cwd, env=env, start_new_session=True, **streams) as process:
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            name = Path(command[0]).name
            raise ToolError(
                f"{name} took more than {timeout_s:g} s and was stopped; give it more time, or fewer frames"
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def build(
    sources: Mapping[str, str],
    tools: Tools,
    *,
    cache: Path | None,
    folder: Path,
    waves: str = "",
    level: int = 2,
    timeout_s: float = 600,
) -> tuple[Path, bool]:
    """The simulation program of ``sources`` (file name to text, top module ``tb``), and whether the cache had it.

    cache: folder of earlier builds by content, shared by any number of processes; None builds into ``folder`` always.
    waves: ``vcd`` or ``fst``; the program can then write them. level: of the C++ compiler's optimization.
    """
    arguments = [*BUILD_ARGUMENTS, *([f"--trace-{waves}", f'-DWAVES="{waves}"'] if waves else [])]
    if waves == "fst":
        check_fst()
    target, runtime = folder / "tb", None
    if cache is not None:
        settings = [*arguments, MAKE_FLAGS, tools.version, version("cocotb")]
        target = cache / digest([*settings, f"-O{level}", *sources.values()])
        runtime = cache / f"runtime-{digest(settings)}"
        if target.is_file():
            with contextlib.suppress(OSError):
                os.utime(target)  # the oldest are dropped first
            return target, True
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        compile_program(sources, arguments, VerilatorRunner(tools, timeout_s, bool(waves), runtime, level), target)
        if cache is not None:
            forget_oldest(cache)
    except OSError as error:
        raise BuildError(
            f"{target.parent}: cannot keep the simulation there ({error}); choose another cache folder"
        ) from None
    return target, False


def digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def compile_program(sources: Mapping[str, str], arguments: list[str], builder: VerilatorRunner, target: Path) -> None:
    """Compile in a folder of its own; ``target`` appears at once and whole, or not at all."""
    with tempfile.TemporaryDirectory(prefix="espalier-") as name:
        work = Path(name).resolve()
        if any(character.isspace() for character in str(work)):
            raise BuildError(f"{work}: make cannot work in a path with spaces; set TMPDIR to one without")
        (work / "verilator").symlink_to(builder.tools.verilator, target_is_directory=True)
        (work / "cocotb_libs").symlink_to(cocotb_tools.config.libs_dir, target_is_directory=True)
        (work / "cocotb_share").symlink_to(cocotb_tools.config.share_dir, target_is_directory=True)
        for file_name, text in sources.items():
            (work / file_name).write_text(text)
        log = work / "build.log"
        try:
            builder.build(
                sources=[work / file_name for file_name in sources], hdl_toplevel="tb", build_dir=work,
                build_args=arguments, timescale=("1ns", "1ps"), log_file=log,
            )  # fmt: skip
        except RuntimeError as error:
            raise ToolError(f"Verilator could not compile the bench: {error}\n{last_lines(log)}") from None
        put(work / "tb", target)
        if builder.runtime is not None:
            builder.runtime.mkdir(exist_ok=True)
            for compiled in work.glob("verilated*.o"):
                put(compiled, builder.runtime / compiled.name)


def put(file: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.{time.time_ns()}")
    shutil.copy2(file, partial)
    partial.replace(target)


def forget_oldest(cache: Path) -> None:
    """Keep the KEPT_BUILDS last used; partial files of killed processes age away with the others."""
    files = sorted((path for path in cache.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT_BUILDS]:
        path.unlink(missing_ok=True)


def run(
    program: Path, tools: Tools, module: str, folder: Path, log: Path, plusargs: Sequence[str], timeout_s: float
) -> bool:
    """Whether all cocotb tests of ``module`` pass, run in ``folder``, where it is; what they print goes to ``log``."""
    tester = VerilatorRunner(tools, timeout_s)
    tester.program, tester.python_path = program.resolve(), folder.resolve()
    results = log.resolve().with_name("results.xml")
    options = {"build_dir": folder, "results_xml": str(results), "log_file": log, "plusargs": plusargs}
    try:
        with contextlib.suppress(SystemExit):  # under pytest the runner ends the process where a test fails
            tester.test(module, "tb", hdl_toplevel_lang="verilog", **options)
        total, failed = get_results(results)
    except RuntimeError as error:
        raise ToolError(f"the simulation broke off: {error}\n{last_lines(log)}") from None
    if not total:
        raise ToolError(f"cocotb ran no test\n{last_lines(log)}")
    return not failed


def last_lines(log: Path, lines: int = 20) -> str:
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
