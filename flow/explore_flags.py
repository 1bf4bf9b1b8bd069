"""The flags of `espalier explore`, each with its unit and default."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Run = Annotated[Path, Argument(metavar="RUN", help="A finished run folder, of real numbers or quantized.")]
Output = Annotated[
    Path,
    Option(
        "--output", "-o", metavar="FOLDER",
        help="Folder of the exploration; a killed one continues, and the same command once more joins in.",
    ),
]  # fmt: skip
Sparsity = Annotated[
    str, Option(metavar="LIST", help="Shares of channels to remove, 0 (not pruned) to below 1, as 0,0.25,0.5.")
]
Weights = Annotated[str, Option(metavar="LIST", help="Bits of weights to try, 1 to 8, each for all layers: 2,3,4.")]
Activations = Annotated[str, Option(metavar="LIST", help="Bits of activations to try, in the same way.")]
Fps = Annotated[
    str | None,
    Option(metavar="LIST", help="Targets in frames per second at --clock-mhz, as 1e5,1e6. Default: none."),
]
Multipliers = Annotated[
    str | None,
    Option(metavar="LIST", help="Budgets of products per cycle, as 32,64. Default: 64 without --fps and --device."),
]
ClockMhz = Annotated[float | None, Option(help="Clock in MHz, that frames per second are counted at. Default: 100.")]
Device = Annotated[
    str | None,
    Option(help="What designs have to fit into: ecp5-25k, xc7a35t... Default: of --synth ecp5-25k, else none."),
]
Synth = Annotated[
    bool,
    Option(
        "--synth", help="Let yosys map every design for its area, instead of predicting it; adds minutes to a trial."
    ),
]
Sampler = Annotated[
    str, Option(help="grid: every point. tpe, nsga2: Optuna chooses --trials of them by the objectives.")
]
Trials = Annotated[
    int | None, Option(help="Of tpe and nsga2: how many in all; more go on with the search. Default: 40.")
]
Objectives = Annotated[
    str | None,
    Option(
        metavar="LIST",
        help="Figures that count, the first for the plots' upright: accuracy, density, lut, fps, bram, dsp, "
        "latency_cycles... Default: accuracy (or what RUN is scored by), density, lut, fps.",
    ),
]
Method = Annotated[str, Option(help="Of pruning, as for `espalier prune`: joint, cap, dcp or str.")]
Epochs = Annotated[int | None, Option(help="Epochs while and after channels go. Default: 0.4 of RUN's; with cap 0.")]
QuantizeEpochs = Annotated[
    int | None,
    Option(help="Epochs once quantized. Default: 0.4 of RUN's. Networks that are not pruned train for both together."),
]
LearningRate = Annotated[float | None, Option(help="Highest step size of all trainings. Default: RUN's.")]
Calib = Annotated[int, Option(help="Training samples that quantizers are set, and cap's channels chosen by.")]
Data = Annotated[Path | None, Option(metavar="FILE", help="The data set of RUN, as for `espalier train`.")]
Seed = Annotated[int, Option(help="Seed of the trainings and of the sampler.")]
Threads = Annotated[int, Option(help="CPU threads of a trial; results depend on their number.")]
Workers = Annotated[
    int | None, Option(help="Processes of this machine that do trials at the same time. Default: 1, without Dask.")
]
Cluster = Annotated[
    str | None,
    Option(metavar="ADDRESS", help="Dask scheduler whose workers do the trials instead, as tcp://10.0.0.1:8786."),
]
Storage = Annotated[
    str | None,
    Option(
        metavar="URL",
        help="Optuna's storage: sqlite:///FILE, postgresql+psycopg://... or mysql+pymysql://... Default: SQLite in "
        "FOLDER.",
    ),
]
