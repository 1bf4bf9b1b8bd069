"""The flags of the verbs, each with its unit and default, and what they hold once read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

ModelPath = Annotated[Path, Argument(metavar="MODEL", help="An ONNX (QONNX) file or a run folder of `espalier train`.")]
BuildPath = Annotated[Path, Argument(metavar="BUILD", help="A build folder of `espalier import` or `espalier build`.")]
BuildPaths = Annotated[
    list[Path], Argument(metavar="BUILD...", help="A build folder; several are compared with --html.")
]
Html = Annotated[
    Path | None, Option(metavar="FILE", help="Write one page with drawings, self-contained; builds need a plan.")
]
Output = Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Build folder to write; made if absent.")]
Json = Annotated[bool, Option("--json", help="Results as JSON instead of a table.")]
Force = Annotated[bool, Option("--force", help="Run even if nothing changed; replace another model's results.")]

Quantizer = Annotated[
    str | None,
    Option(help="learned scales, running statistics, or statistics-po2: statistics rounded to powers of two."),
]
Delays = Annotated[
    str | None,
    Option(
        metavar="LIST", help="Of statistics: steps before weights, activations are quantized in training, as 200,20."
    ),
]
ScaleGroups = Annotated[
    int | None, Option(help="Of statistics per channel: so many weight scales are left to a layer; 0 for all.")
]

InputType = Annotated[
    str | None,
    Option(
        metavar="TYPE",
        help="Integers that the hardware takes: uint8, int4, bipolar (-1 and +1), or with a scale, int16:0.0009765625. "
        "Default: the codes of the quantizer at the model's input; required where it has none.",
    ),
]
ArgMax = Annotated[bool, Option("--argmax", help="End with the index of the largest output, in hardware.")]

Fps = Annotated[
    float | None,
    Option(help="Target in frames per second at --clock-mhz. Default: as many as --device or --multipliers allow."),
]
ClockMhz = Annotated[
    float | None,
    Option(help="Clock in MHz, that frames per second are counted at. Default: the folding file's, else 100."),
]
Multipliers = Annotated[
    int | None,
    Option(help="Budget: products per cycle (pe x simd) of all layers. Default: 64 if no --fps, no --device."),
]
PlanDevice = Annotated[
    str | None,
    Option("--device", help="Plan within this device: ecp5-25k, xc7a35t...; as fast as it allows if no --fps."),
]
Fill = Annotated[
    float | None, Option(help="Share, to 1, of the device's lookup tables and flip-flops to use. Default: 0.8.")
]
BudgetLut = Annotated[
    int | None, Option(help="Lookup tables to use at most. Default: the share of the device that --fill says.")
]
BudgetBram = Annotated[
    int | None, Option(help="Block RAMs to use at most, of 18 kbit (iCE40: 4 kbit). Default: the device's.")
]
BudgetDsp = Annotated[int | None, Option(help="DSP blocks to use at most. Default: the device's.")]
Pareto = Annotated[
    bool, Option("--pareto", help="Print and plot rates against area instead of choosing; writes BUILD/pareto.svg.")
]
Folding = Annotated[
    Path | None, Option(metavar="FILE", help="JSON folding file: per layer engine, pe, simd...; overrides the planner.")
]
Interface = Annotated[
    str | None,
    Option(help="Ports of the top: stream (valid/ready) or axi-stream. Default: the folding file's, else stream."),
]

Frames = Annotated[
    int | None,
    Option(
        help="Frames to simulate: the first of the test set, else random ones. Default: 100, fewer if they are long."
    ),
]
Inputs = Annotated[
    Path | None,
    Option(metavar="FILE", help="Frames to simulate instead, as the model takes them: .npy, shape (frames, ...)."),
]
Stall = Annotated[
    float,
    Option(help="Probability per cycle, 0 to below 1, that source and sink pause in the second run; 0: no second run."),
]
Seed = Annotated[int, Option(help="Seed of the stalls and of random frames.")]
Layers = Annotated[
    str | None,
    Option(
        metavar="A:B",
        help="Simulate the layers from A to B alone, by name or by number from 0 on; an end may be left open. The "
        "integer reference feeds them. Default: all.",
    ),
]
Waves = Annotated[
    str | None,
    Option(metavar="FORMAT", help="Record waves: vcd, fst, or with a window of cycles, vcd:2000:2500. Default: none."),
]

Device = Annotated[str, Option(help="ecp5-25k, ecp5-85k-8, xc7a35t, xczu3eg...; an unknown name lists all.")]
Seeds = Annotated[int, Option(help="Placements to try; the fastest counts.")]
Check = Annotated[
    int, Option(metavar="FRAMES", help="Frames to simulate again, on the netlist that nextpnr gets; 0: none.")
]
Place = Annotated[bool, Option("--place/--no-place", help="Place and route for Fmax in MHz, or only count resources.")]


@dataclass(frozen=True)
class ImportOptions:
    input_type: str | None = None
    argmax: bool = False


@dataclass(frozen=True)
class PlanOptions:
    fps: float | None = None
    clock_mhz: float | None = None
    multipliers: int | None = None
    folding: Path | None = None
    interface: str | None = None
    device: str | None = None
    fill: float | None = None
    budget_lut: int | None = None
    budget_bram: int | None = None
    budget_dsp: int | None = None


@dataclass(frozen=True)
class SimulateOptions:
    frames: int | None = None
    inputs: Path | None = None
    stall: float = 0.3
    seed: int = 0
    waves: str | None = None
    layers: str | None = None


@dataclass(frozen=True)
class SynthOptions:
    device: str = "ecp5-25k"
    seeds: int = 1
    place: bool = True
    check: int = 0
