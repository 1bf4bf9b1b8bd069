"""The command line: one function per verb; nothing heavy is imported before a verb is at work."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from ..errors import EspalierError
from . import options as o

app = typer.Typer(
    help="Exact FPGA accelerators for pruned, quantized networks: train, import, plan, generate, simulate, synthesize.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command()
def train(
    recipe: Annotated[str, Argument(help="digits-mlp, tfc-w1a1, tfc-w1a2 or tfc-w2a2.")],
    output: Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Run folder; an unfinished run continues.")],
    data: Annotated[Path | None, Option(metavar="FILE", help="mnist.npz for the tfc recipes. Default: bundled digits.")] = None,
    epochs: Annotated[int | None, Option(help="Passes over the training set. Default: the recipe's.")] = None,
    seed: Annotated[int, Option(help="Seed of weights and order of samples.")] = 0,
    weight_bits: Annotated[str | None, Option(metavar="LIST", help="Bits, 1 to 8: one for all layers or 4,4,8.")] = None,
    activation_bits: Annotated[str | None, Option(metavar="LIST", help="Bits, 1 to 8, as for --weight-bits.")] = None,
    prune: Annotated[float | None, Option(help="Share of hidden channels to prune, 0 to below 1.")] = None,
    json: o.Json = False,
) -> None:
    """Train, prune and quantize a network; writes a run folder with model.onnx."""
    from .training import train_verb

    changes = {"epochs": epochs, "seed": seed, "weight_bits": weight_bits, "activation_bits": activation_bits, "prune": prune}
    train_verb(recipe, output, data, changes, json)


@app.command("import")
def import_(
    model: o.ModelPath, output: o.Output, input_type: o.InputType = None, argmax: o.ArgMax = False,
    force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Read a model as an exact integer graph, and compare it with the model on the run folder's test set."""
    from . import verbs

    verbs.import_verb(model, output, o.ImportOptions(input_type, argmax), force, json)


@app.command()
def plan(
    build: o.BuildPath, fps: o.Fps = None, clock_mhz: o.ClockMhz = 100.0, multipliers: o.Multipliers = None,
    folding: o.Folding = None, interface: o.Interface = "stream", force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Choose engine, pe, simd and queue depths of each layer, and predict every cycle."""
    from . import verbs

    verbs.plan_verb(build, o.PlanOptions(fps, clock_mhz, multipliers, folding, interface), force, json)


@app.command()
def generate(build: o.BuildPath, force: o.Force = False, json: o.Json = False) -> None:
    """Write the Verilog of the plan, one file."""
    from . import verbs

    verbs.generate_verb(build, force, json)


@app.command()
def simulate(
    build: o.BuildPath, frames: o.Frames = 100, inputs: o.Inputs = None, stall: o.Stall = 0.3, seed: o.Seed = 0,
    waves: o.Waves = None, force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Run the Verilog under cocotb and Verilator; check each beat's value and cycle. Status 1 if one differs."""
    from . import verbs

    verbs.simulate_verb(build, o.SimulateOptions(frames, inputs, stall, seed, waves), force, json)


@app.command()
def synth(
    build: o.BuildPath, device: o.Device = "ecp5-25k", seeds: o.Seeds = 1, place: o.Place = True,
    force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Synthesize out of context with yosys, place with nextpnr; count resources per layer, and Fmax."""
    from . import verbs

    verbs.synth_verb(build, o.SynthOptions(device, seeds, place), force, json)


@app.command()
def build(
    model: o.ModelPath, output: o.Output, input_type: o.InputType = None, argmax: o.ArgMax = False,
    fps: o.Fps = None, clock_mhz: o.ClockMhz = 100.0, multipliers: o.Multipliers = None,
    folding: o.Folding = None, interface: o.Interface = "stream",
    frames: o.Frames = 100, inputs: o.Inputs = None, stall: o.Stall = 0.3, seed: o.Seed = 0, waves: o.Waves = None,
    device: o.Device = "ecp5-25k", seeds: o.Seeds = 1, place: o.Place = True,
    force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Import, plan, generate, simulate and synth in one go; verbs that finished with the same inputs are skipped."""
    from . import verbs

    verbs.build_verb(
        model,
        output,
        o.ImportOptions(input_type, argmax),
        o.PlanOptions(fps, clock_mhz, multipliers, folding, interface),
        o.SimulateOptions(frames, inputs, stall, seed, waves),
        o.SynthOptions(device, seeds, place),
        force,
        json,
    )


@app.command()
def execute(
    build: o.BuildPath,
    inputs: Annotated[Path, Option(metavar="FILE", help=".npy: what the model takes, shape (frames, ...), or --codes.")],
    codes: Annotated[bool, Option("--codes", help="The inputs are the integers that the hardware takes.")] = False,
    labels: Annotated[Path | None, Option(metavar="FILE", help=".npy: class per frame; gives the accuracy.")] = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help=".npz: per output NAME its integers, NAME.real what the model returns."),
    ] = None,
    json: o.Json = False,
) -> None:
    """Run the exact integer reference on one's own data."""
    from .execute import execute_verb

    execute_verb(build, inputs, codes, labels, output, json)


@app.command()
def report(build: o.BuildPath, json: o.Json = False) -> None:
    """Print what a build folder holds: layers, cycles, resources, exactness, accuracy."""
    from .report import report_verb

    report_verb(build, json)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with status 0, 1 (something does not match) or 2 (a user's mistake)."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """The exit status of one command line; errors are printed as one line on stderr."""
    try:
        return typer.main.get_command(app).main(list(arguments), prog_name="espalier", standalone_mode=False) or 0
    except (EspalierError, typer.TyperException) as error:
        return fail(str(error) if isinstance(error, EspalierError) else error.format_message())
    except OSError as error:
        return fail(explain(error))
    except (KeyboardInterrupt, typer.Abort):
        print("espalier: interrupted; the same command continues after the last verb that finished", file=sys.stderr)
        return 130


def explain(error: OSError) -> str:
    """What the system refused and where."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; free the disk, change its permissions or choose another -o"


def fail(message: str) -> int:
    print(f"espalier: error: {message}", file=sys.stderr)
    return 2
