"""The flags of the verbs for boards, and what they hold once read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ...boards.board import BAUD

BoardName = Annotated[str, Option("--board", help="The board: `espalier boards` lists them.")]
BuildBoard = Annotated[
    str | None, Option("--board", help="End with a bitstream for this board, whose device then counts for --device.")
]
ClockMhz = Annotated[
    float | None,
    Option(
        help="Clock of the accelerator in MHz: the fastest that the PLL makes and that is not above it. Default: the "
        "board's own."
    ),
]
Baud = Annotated[int, Option(help="Rate of the serial line in bits per second.")]
WeightsAt = Annotated[
    int | None,
    Option(
        metavar="BYTES",
        help="Place in the board's flash of an image with the weights of layers in memory ram or spram, which the "
        "hardware loads at its start.",
    ),
]
Seeds = Annotated[int, Option(help="Placements to try, one for each core at a time; the fastest is packed.")]
Flash = Annotated[bool, Option("--flash", help="Write it to the flash, where it stays, instead of the FPGA.")]
Inputs = Annotated[
    Path,
    Argument(metavar="INPUTS", help="Frames as the model takes them: .npy, or .npz with one array per input."),
]
Codes = Annotated[bool, Option("--codes", help="The inputs are the integers that the hardware takes.")]
Labels = Annotated[Path | None, Option(metavar="FILE", help=".npy: class per frame; gives the accuracy.")]
RunOutput = Annotated[
    Path | None,
    Option("--output", "-o", metavar="FILE", help=".npz: integers as NAME, what the model returns as NAME.real."),
]
Port = Annotated[str | None, Option(metavar="PATH", help="Serial port of the board, such as /dev/ttyUSB0.")]
Simulated = Annotated[
    bool, Option("--simulated", help="No board: the whole of it runs under Verilator, its port is a pseudo-terminal.")
]
Damage = Annotated[
    float, Option(help="With --simulated: probability, 0 to 0.05, that a byte is lost, changed or repeated.")
]
Check = Annotated[
    bool, Option("--check", help="Compare every output with the integer reference; status 1 if one differs.")
]
Bus = Annotated[str, Option("--bus", help="What the accelerator is reached by: uart, spi, wishbone or axi-stream.")]
WrapOutput = Annotated[
    Path, Option("--output", "-o", metavar="FOLDER", help="Folder to write to; made if absent, files are replaced.")
]
UartClockMhz = Annotated[
    float | None, Option(help="Clock in MHz that the rate of a UART is divided from. Default: the plan's.")
]


@dataclass(frozen=True)
class WrapOptions:
    bus: str
    output: Path
    baud: int
    clock_mhz: float | None


Weights = Annotated[
    Path | None,
    Option(
        metavar="BUILD",
        help="Build folder of another training of the same network: its weights replace those of layers in memory ram.",
    ),
]


@dataclass(frozen=True)
class BitstreamOptions:
    board: str
    clock_mhz: float | None
    baud: int = BAUD
    seeds: int = 1
    weights_at: int | None = None


@dataclass(frozen=True)
class RunOptions:
    """Where the board is, what it gets, and what is asked of it."""

    inputs: Path
    port: str | None
    is_simulated: bool
    damage: float
    codes: bool
    labels: Path | None
    output: Path | None
    is_checked: bool
    weights: Path | None
