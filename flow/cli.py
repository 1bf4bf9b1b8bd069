"""The command line: one function per verb; nothing heavy is imported before a verb is at work."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from ..errors import EspalierError
from ..quant.recipes import RECIPES
from . import explore_flags as e
from . import options as o
from . import pruning_flags as p
from . import swis_flags as s
from .board.commands import COMMANDS
from .board.flags import BitstreamOptions, BuildBoard
from .mismatch import Mismatch

INTERRUPTED = 130  # as the shell numbers an end by Ctrl-C

app = typer.Typer(
    help="Exact FPGA accelerators for pruned, quantized networks: train, import, plan, generate, simulate, synthesize.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command()
def train(
    recipe: Annotated[
        str,
        Argument(
            help=f"One of {', '.join(RECIPES)}; or FILE.py:NAME, a PyTorch module or what returns one: the file is "
            "executed, so give only your own."
        ),
    ],
    output: Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Run folder; a killed run continues.")],
    data: Annotated[
        Path | None,
        Option(metavar="FILE", help="The recipe's data set such as mnist.npz, its folder, or digits: scikit-learn's."),
    ] = None,
    dataset: Annotated[
        str | None, Option(help="Of one's own network: digits, mnist, cifar10, fsdd or superres.")
    ] = None,
    task: Annotated[
        str | None, Option(help="Of one's own network: classify, copy, segment or enlarge; classify if left out.")
    ] = None,
    weights_from: Annotated[
        Path | None,
        Option(metavar="FILE", help="Of one's own network: .safetensors with its state_dict, to begin with."),
    ] = None,
    hidden: Annotated[str | None, Option(metavar="LIST", help="Channels of a perceptron's layers, as 64,48.")] = None,
    weight_bits: Annotated[str | None, Option(metavar="LIST", help="1 to 8: one for all layers, or 4,4,2.")] = None,
    activation_bits: Annotated[str | None, Option(metavar="LIST", help="1 to 8, one or one per activation.")] = None,
    input_bits: Annotated[int | None, Option(help="1 to 8 bits of the input's quantizer.")] = None,
    per_channel: Annotated[
        bool | None,
        Option("--per-channel/--per-tensor", help="One weight scale per output channel, or one per layer."),
    ] = None,
    prune: Annotated[
        str | None,
        Option(metavar="LIST", help="Per group of channels the share to remove (0.5), or how many to keep (37)."),
    ] = None,
    images: Annotated[int | None, Option(help="Samples of the training set, from its start.")] = None,
    epochs: Annotated[
        int | None, Option(help="Passes over the training set; 0 leaves one's own network as it is.")
    ] = None,
    batch_size: Annotated[int | None, Option(help="Samples per step.")] = None,
    learning_rate: Annotated[float | None, Option(help="Highest step size; it rises, then falls to 0.")] = None,
    seed: Annotated[int | None, Option(help="Seed of the weights and of the order of samples.")] = None,
    quantizer: o.Quantizer = None,
    delays: o.Delays = None,
    scale_groups: o.ScaleGroups = None,
    threads: Annotated[int, Option(help="CPU threads; results depend on their number.")] = 1,
    json: o.Json = False,
) -> None:
    """Train, prune and quantize a network into a run folder; options left out are the recipe's."""
    from .training import OwnOptions, train_verb

    changes = {
        "hidden": hidden, "weight_bits": weight_bits, "activation_bits": activation_bits, "input_bits": input_bits,
        "per_channel": per_channel, "prune": prune, "images": images, "epochs": epochs, "batch_size": batch_size,
        "learning_rate": learning_rate, "seed": seed, "quantizer": quantizer, "delays": delays,
        "scale_groups": scale_groups,
    }  # fmt: skip
    train_verb(recipe, output, data, changes, threads, json, OwnOptions(dataset, task, weights_from))


@app.command()
def prune(
    run: p.Run, output: p.Output, method: p.Method = "joint", sparsity: p.Sparsity = None, max_drop: p.MaxDrop = None,
    energy: p.Energy = None, round_to: p.RoundTo = 1, exclude: p.Exclude = None, weights: p.Weights = None,
    activations: p.Activations = None, criterion: p.Criterion = None, schedule: p.Schedule = None,
    epochs: p.Epochs = None, quantize_epochs: p.QuantizeEpochs = None, learning_rate: p.LearningRate = None,
    calib: p.Calib = 256, data: p.Data = None, seed: p.Seed = 0, threads: p.Threads = 1, device: p.Device = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Prune and quantize a finished run into a new run folder; print accuracy, memory and hardware before and after."""
    from .pruning import prune_verb

    changes = {
        "method": method, "sparsity": sparsity, "max_drop": max_drop, "energy": energy, "round_to": round_to,
        "excluded": exclude, "weight_bits": weights, "activation_bits": activations, "criterion": criterion,
        "schedule": schedule, "epochs": epochs, "quantize_epochs": quantize_epochs, "learning_rate": learning_rate,
        "calib": calib, "seed": seed,
    }  # fmt: skip
    prune_verb(run, output, changes, data, threads, device, json)


@app.command()
def quantize(
    run: Annotated[Path, Argument(metavar="RUN", help="Folder of a finished run, of real numbers or quantized.")],
    output: Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Run folder; a killed run continues.")],
    weights: Annotated[
        str | None,
        Option(metavar="LIST", help="Bits of weights, 1 to 8: one for all, or 4,4,2; the run's if left out."),
    ] = None,
    activations: Annotated[
        str | None, Option(metavar="LIST", help="Bits of activations: one for all, or one each; the run's if left out.")
    ] = None,
    budget: Annotated[
        float | None,
        Option(metavar="MBIT", help="Choose bits from 8 to 2 so that weights and features fit so many Mbit."),
    ] = None,
    method: Annotated[
        str,
        Option(
            help="train: calibrate, then train further. calibrate: by training samples alone. swis: calibrate, then "
            "decompose the weights into few shifts that groups of them share; with --epochs, train further so."
        ),
    ] = "train",
    epochs: Annotated[
        int | None,
        Option(help="Passes over the training set; if left out, a quarter of the run's, with swis none."),
    ] = None,
    learning_rate: Annotated[float | None, Option(help="Highest step size; 0.3 of the run's if left out.")] = None,
    calib: Annotated[int, Option(help="Training samples to calibrate by.")] = 256,
    shifts: s.Shifts = None,
    group: s.Group = None,
    consecutive: s.Consecutive = None,
    filters_at_once: s.FiltersAtOnce = None,
    joint: s.Joint = None,
    double_shift: s.DoubleShift = None,
    even: s.Even = None,
    alpha: s.Alpha = None,
    quantizer: o.Quantizer = None,
    delays: o.Delays = None,
    scale_groups: o.ScaleGroups = None,
    data: Annotated[
        Path | None, Option(metavar="FILE", help="What the run was trained with: an .npz, its folder, or digits.")
    ] = None,
    seed: Annotated[int | None, Option(help="Seed of the order of samples.")] = None,
    threads: Annotated[int, Option(help="CPU threads; results depend on their number.")] = 1,
    json: o.Json = False,
) -> None:
    """Quantize a finished run into another one, to given bits or to those that fit a memory."""
    from .quantizing import quantize_verb

    changes = {
        "weight_bits": weights, "activation_bits": activations, "epochs": epochs, "learning_rate": learning_rate,
        "quantizer": quantizer, "delays": delays, "scale_groups": scale_groups, "seed": seed,
    }  # fmt: skip
    swis = {
        "shifts": shifts, "group": group, "consecutive": consecutive, "filters_at_once": filters_at_once,
        "joint": joint, "double_shift": double_shift, "even": even, "alpha": alpha,
    }  # fmt: skip
    how = {"method": method, "calibration": calib, "budget_mbit": budget}
    quantize_verb(run, output, changes, how, swis, data, threads, json)


@app.command()
def explore(
    run: e.Run, output: e.Output, sparsity: e.Sparsity = "0,0.25,0.5,0.75", weights: e.Weights = "2,3,4",
    activations: e.Activations = "2,3,4", fps: e.Fps = None, multipliers: e.Multipliers = None,
    clock_mhz: e.ClockMhz = None, device: e.Device = None, synth: e.Synth = False, sampler: e.Sampler = "grid",
    trials: e.Trials = None, objectives: e.Objectives = None, method: e.Method = "joint", epochs: e.Epochs = None,
    quantize_epochs: e.QuantizeEpochs = None, learning_rate: e.LearningRate = None, calib: e.Calib = 256,
    data: e.Data = None, seed: e.Seed = 0, threads: e.Threads = 1, workers: e.Workers = None,
    cluster: e.Cluster = None, storage: e.Storage = None, json: o.Json = False,
) -> None:  # fmt: skip
    """Prune and quantize a run in many ways, plan each network for each target; print what no other one beats."""
    from .exploring import verb as v

    v.explore_verb(
        v.Place(run, data, output),
        v.Lists(sparsity, weights, activations, fps, multipliers),
        v.Wishes(method, epochs, quantize_epochs, learning_rate, calib, seed, threads),
        v.Hardware(clock_mhz, device or ("ecp5-25k" if synth else None), synth),
        v.Search(sampler, trials, objectives),
        v.Where(workers, cluster, storage),
        json,
    )


@app.command("import")
def import_(
    model: o.ModelPath, output: o.Output, input_type: o.InputType = None, argmax: o.ArgMax = False,
    force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Read a model as an exact integer graph, and compare it with the model on the run folder's test set."""
    from . import verbs

    verbs.import_verb(model, output, o.ImportOptions(input_type, argmax), force, json)


@app.command()
def check(model: o.ModelPath, input_type: o.InputType = None, json: o.Json = False) -> None:
    """Say what keeps a model from being imported, all at once. Status 1 if anything does."""
    from .check import check_verb

    if not check_verb(model, input_type, json):
        raise typer.Exit(1)


@app.command()
def plan(
    build: o.BuildPath, fps: o.Fps = None, clock_mhz: o.ClockMhz = None, multipliers: o.Multipliers = None,
    folding: o.Folding = None, interface: o.Interface = None, device: o.PlanDevice = None, fill: o.Fill = None,
    budget_lut: o.BudgetLut = None, budget_bram: o.BudgetBram = None, budget_dsp: o.BudgetDsp = None,
    pareto: o.Pareto = False, force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Choose engine, pe, simd and queue depths of each layer, and predict every cycle and the area."""
    from . import verbs

    options = o.PlanOptions(
        fps, clock_mhz, multipliers, folding, interface, device, fill, budget_lut, budget_bram, budget_dsp
    )
    if pareto:
        verbs.pareto_verb(build, options, json)
    else:
        verbs.plan_verb(build, options, force, json)


@app.command()
def generate(build: o.BuildPath, force: o.Force = False, json: o.Json = False) -> None:
    """Write the Verilog of the plan, one file."""
    from . import verbs

    verbs.generate_verb(build, force, json)


@app.command()
def simulate(
    build: o.BuildPath, frames: o.Frames = None, inputs: o.Inputs = None, stall: o.Stall = 0.3, seed: o.Seed = 0,
    layers: o.Layers = None, waves: o.Waves = None, force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Run the Verilog under cocotb and Verilator; check each beat's value and cycle. Status 1 if one differs."""
    from . import verbs

    verbs.simulate_verb(build, o.SimulateOptions(frames, inputs, stall, seed, waves, layers), force, json)


@app.command()
def synth(
    build: o.BuildPath, device: o.Device = "ecp5-25k", seeds: o.Seeds = 1, place: o.Place = True,
    check: o.Check = 0, force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Synthesize out of context with yosys, place with nextpnr; count resources per layer, and Fmax.

    With --check the netlist is simulated too. Status 1 if a beat's value or cycle differs.
    """
    from . import verbs

    verbs.synth_verb(build, o.SynthOptions(device, seeds, place, check), force, json)


@app.command()
def build(
    model: o.ModelPath, output: o.Output, input_type: o.InputType = None, argmax: o.ArgMax = False,
    fps: o.Fps = None, clock_mhz: o.ClockMhz = None, multipliers: o.Multipliers = None,
    folding: o.Folding = None, interface: o.Interface = None, fill: o.Fill = None,
    budget_lut: o.BudgetLut = None, budget_bram: o.BudgetBram = None, budget_dsp: o.BudgetDsp = None,
    frames: o.Frames = None, inputs: o.Inputs = None, stall: o.Stall = 0.3, seed: o.Seed = 0, waves: o.Waves = None,
    device: o.Device = "ecp5-25k", seeds: o.Seeds = 1, place: o.Place = True, check: o.Check = 0,
    board: BuildBoard = None, force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Import, plan, generate, simulate and synth in one go; verbs that finished with the same inputs are skipped.

    With --fill or a --budget the plan has to fit in --device. With --board a bitstream is made instead of synth.
    """
    from . import verbs

    if board is not None:
        device = verbs.device_of(board)
    budgets = (budget_lut, budget_bram, budget_dsp)
    within = device if any(given is not None for given in (fill, *budgets)) else None
    verbs.build_verb(
        model,
        output,
        o.ImportOptions(input_type, argmax),
        o.PlanOptions(fps, clock_mhz, multipliers, folding, interface, within, fill, *budgets),
        o.SimulateOptions(frames, inputs, stall, seed, waves),
        BitstreamOptions(board, clock_mhz, seeds=seeds) if board else o.SynthOptions(device, seeds, place, check),
        force,
        json,
    )


@app.command()
def execute(
    build: o.BuildPath,
    inputs: Annotated[Path, Option(metavar="FILE", help=".npy: what the model takes, (frames, ...), or --codes.")],
    codes: Annotated[bool, Option("--codes", help="The inputs are the integers that the hardware takes.")] = False,
    labels: Annotated[Path | None, Option(metavar="FILE", help=".npy: class per frame; gives the accuracy.")] = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help=".npz: integers as NAME, what the model returns as NAME.real."),
    ] = None,
    json: o.Json = False,
) -> None:
    """Run the exact integer reference on one's own data."""
    from .execute import execute_verb

    execute_verb(build, inputs, codes, labels, output, json)


@app.command()
def report(builds: o.BuildPaths, html: o.Html = None, json: o.Json = False) -> None:
    """Print what a build folder holds: layers, cycles, resources, exactness, accuracy; or draw it as a page."""
    from .report import report_verb

    report_verb(builds, html, json)


for command in COMMANDS:
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with status 0, 1 (something does not match) or 2 (a user's mistake)."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """The exit status of one command line; errors are printed as one line on stderr."""
    try:
        status = typer.main.get_command(app).main(list(arguments), prog_name="espalier", standalone_mode=False) or 0
    except Mismatch as mismatch:
        print(f"espalier: mismatch: {mismatch}", file=sys.stderr)
        return 1
    except (EspalierError, typer.TyperException) as error:
        return fail(str(error) if isinstance(error, EspalierError) else error.format_message())
    except OSError as error:
        return fail(explain(error))
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        print("espalier: interrupted; the same command continues where this one stopped", file=sys.stderr)
    return status


def explain(error: OSError) -> str:
    """What the system refused and where."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; free the disk, change its permissions or choose another -o"


def fail(message: str) -> int:
    print(f"espalier: error: {message}", file=sys.stderr)
    return 2
