"""The flags of `espalier prune`, each with its unit and default."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Run = Annotated[Path, Argument(metavar="RUN", help="A finished run folder of `espalier train` or `espalier prune`.")]
Output = Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Run folder; a killed run continues.")]
Method = Annotated[
    str,
    Option(
        help="joint: channels go while it trains, by criterion and schedule. cap: chosen and made up for by data, "
        "without training. dcp: by gradients of auxiliary losses. str: as joint, each layer as far as learned "
        "thresholds say. trp: layers of low rank instead of fewer channels."
    ),
]
Sparsity = Annotated[
    str | None,
    Option(
        metavar="SHARE",
        help="Share of the channels to remove, 0 to below 1, or by layer: conv1=0.5,fc2=0.25. Default: 0.5, but with "
        "cap as many as --max-drop allows.",
    ),
]
MaxDrop = Annotated[
    float | None, Option(help="Of cap: how many points of percent, or dB, it may cost on training samples; 1.0.")
]
Energy = Annotated[
    float | None, Option(help="Of trp: share of the squared singular values that each layer keeps; 0.95.")
]
RoundTo = Annotated[int, Option(help="Pruned widths, or ranks, are multiples of so many channels.")]
Exclude = Annotated[str | None, Option(metavar="LIST", help="Layers that keep all channels, as conv1,conv3.")]
Weights = Annotated[
    str | None,
    Option(
        "--weights",
        "--weight-bits",
        metavar="LIST",
        help="Bits of weights: 1 to 8, or 32 for real numbers; one, or one per layer. Default: RUN's.",
    ),
]
Activations = Annotated[
    str | None,
    Option(
        "--activations",
        "--activation-bits",
        metavar="LIST",
        help="Bits of activations, in the same way; one, or one per activation.",
    ),
]
Criterion = Annotated[
    str | None,
    Option(
        help="Of joint and str, which channels stay: activation-l1, activation-l0, weight-l1, bn-gamma, spread or "
        "random. Default: activation-l1."
    ),
]
Schedule = Annotated[
    str | None,
    Option(help="Of joint and str, when channels go: layerwise, one-shot or stepwise. Default: layerwise."),
]
Epochs = Annotated[
    int | None, Option(help="Epochs of training while and after channels go. Default: 0.4 of RUN's; with cap 0.")
]
QuantizeEpochs = Annotated[
    int | None, Option(help="Epochs of training once quantized; 0 only sets quantizers. Default: 0.4 of RUN's.")
]
LearningRate = Annotated[float | None, Option(help="Highest step size of both trainings. Default: RUN's.")]
Calib = Annotated[int, Option(help="Training samples that quantizers are set, and cap's channels chosen by.")]
Data = Annotated[Path | None, Option(metavar="FILE", help="The data set of RUN, as for `espalier train`.")]
Seed = Annotated[int, Option(help="Seed of the order of samples and of random choices.")]
Threads = Annotated[int, Option(help="CPU threads; results depend on their number.")]
Device = Annotated[
    str | None,
    Option(
        help="Also show the area that yosys makes of the networks for ecp5-25k, xc7a35t...; minutes for large ones."
    ),
]
