"""What each verb of the command line does with the build folder, and what it prints."""

from math import isfinite
from pathlib import Path

from ..boards.devices import find_device
from ..errors import BuildError, PlanError
from .board.flags import BitstreamOptions
from .budgets import check_budget
from .folder import open_build
from .options import ImportOptions, PlanOptions, SimulateOptions, SynthOptions
from .report import check, show
from .steps import generate_step, plan_step, simulate_step, synth_step


def import_verb(model: Path, output: Path, options: ImportOptions, force: bool, as_json: bool) -> None:
    from .importing import import_step  # the other verbs need no ONNX
    from .model import find_model

    check_import(options)
    found = find_model(model)
    with open_build(output, create=True) as folder:
        import_step(folder, found, options, force)
        show(folder, "import", as_json)
        check(folder, "import")


def plan_verb(build: Path, options: PlanOptions, force: bool, as_json: bool) -> None:
    check_plan(options)
    with open_build(build) as folder:
        plan_step(folder, options, force)
        show(folder, "plan", as_json)


def pareto_verb(build: Path, options: PlanOptions, as_json: bool) -> None:
    """Print the front of rates and areas, and plot it; chooses nothing."""
    from .fronts import show_front

    check_plan(options)
    if options.fps is not None:
        raise PlanError(f"--fps {options.fps:g}: --pareto shows all rates; leave out one of the two")
    with open_build(build) as folder:
        show_front(folder, options, as_json)


def generate_verb(build: Path, force: bool, as_json: bool) -> None:
    with open_build(build) as folder:
        generate_step(folder, force)
        show(folder, "generate", as_json)


def simulate_verb(build: Path, options: SimulateOptions, force: bool, as_json: bool) -> None:
    check_simulate(options)
    with open_build(build) as folder:
        simulate_step(folder, options, force)
        show(folder, "simulate", as_json)
        check(folder, "simulate")


def synth_verb(build: Path, options: SynthOptions, force: bool, as_json: bool) -> None:
    check_synth(options)
    with open_build(build) as folder:
        synth_step(folder, options, force)
        show(folder, "synth", as_json)
        check(folder, "synth")


def build_verb(
    model: Path, output: Path, importing: ImportOptions, planning: PlanOptions, simulating: SimulateOptions,
    last: SynthOptions | BitstreamOptions, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """All verbs in order, ``last`` to end with; what can be wrong with the options is said before the first one
    starts."""
    from .board.bitstream import bitstream_step, check_bitstream
    from .importing import import_step
    from .model import find_model

    check_import(importing)
    found = find_model(model)
    check_plan(planning)
    check_simulate(simulating)
    if isinstance(last, BitstreamOptions):
        check_bitstream(last)
    else:
        check_synth(last)
    with open_build(output, create=True) as folder:
        import_step(folder, found, importing, force)
        check(folder, "import")
        plan_step(folder, planning, force)
        generate_step(folder, force)
        simulate_step(folder, simulating, force)
        check(folder, "simulate")
        if isinstance(last, BitstreamOptions):
            bitstream_step(folder, last, force)
            show(folder, None, as_json)
            return
        synth_step(folder, last, force)
        show(folder, None, as_json)
        check(folder, "synth")


def check_import(options: ImportOptions) -> None:
    if options.input_type == "":
        raise BuildError("--input-type '': names no integers; write for example uint8, or leave it out")


def check_plan(options: PlanOptions) -> None:
    """Raise for options that are wrong whatever the network."""
    positive("--fps", options.fps)
    positive("--clock-mhz", options.clock_mhz)
    positive("--multipliers", options.multipliers)
    if options.interface not in (None, "stream", "axi-stream"):
        raise PlanError(f"--interface {options.interface!r} is unknown; choose stream or axi-stream")
    if options.device is not None:
        find_device(options.device)
    check_budget(options)
    if options.folding and not options.folding.is_file():
        raise BuildError(f"{options.folding}: no such file; --folding is JSON such as BUILD/plan/folding.json")


def check_simulate(options: SimulateOptions) -> None:
    """Raise for wrong options and missing tools."""
    from ..sim.tools import find_tools
    from ..sim.waves import Waves

    positive("--frames", options.frames)
    if not 0 <= options.stall < 1:
        raise BuildError(f"--stall {options.stall:g}: must be a probability from 0 to below 1")
    if options.seed < 0:
        raise BuildError(f"--seed {options.seed}: must be an integer of at least 0")
    if options.waves:
        Waves.parse(options.waves)
    if options.inputs and not options.inputs.is_file():
        raise BuildError(f"{options.inputs}: no such file; --inputs is a .npy file of frames")
    find_tools()


def check_synth(options: SynthOptions) -> None:
    """Raise for wrong options, unknown devices, and missing models and tools of a check."""
    from ..boards.netlist_check import find_models
    from ..sim.tools import find_tools

    positive("--seeds", options.seeds)
    device = find_device(options.device)
    if options.check:
        positive("--check", options.check)
        find_models(device.family)
        find_tools()


def positive(option: str, value: float | None) -> None:
    if value is not None and not (isfinite(value) and value > 0):
        raise PlanError(f"{option} {value:g}: must be a number above 0")


def device_of(board: str) -> str:
    """The name of a board's device."""
    from ..boards.board import find_board

    return find_board(board).device.name
