"""The commands for boards, as Typer reads them."""

from ...boards.board import BAUD
from .. import options as o
from . import flags as f


def boards(json: o.Json = False) -> None:
    """List the boards: device, what it holds, clock, and how the serial line is connected."""
    from .listing import boards_verb

    boards_verb(json)


def bitstream(
    build: o.BuildPath, board: f.BoardName, clock_mhz: f.ClockMhz = None, baud: f.Baud = BAUD,
    seeds: f.Seeds = 1, weights_at: f.WeightsAt = None, force: o.Force = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Make a bitstream with clock, reset, serial link and accelerator; an error if the clock is not reached."""
    from .bitstream import bitstream_verb

    bitstream_verb(build, f.BitstreamOptions(board, clock_mhz, baud, seeds, weights_at), force, json)


def program(build: o.BuildPath, flash: f.Flash = False) -> None:
    """Load the bitstream into the board with openFPGALoader."""
    from .program import program_verb

    program_verb(build, flash)


def run(
    build: o.BuildPath, inputs: f.Inputs, port: f.Port = None, simulated: f.Simulated = False, damage: f.Damage = 0.0,
    codes: f.Codes = False, labels: f.Labels = None, output: f.RunOutput = None, check: f.Check = False,
    weights: f.Weights = None, json: o.Json = False,
) -> None:  # fmt: skip
    """Stream frames through the board, and report rate, repeated packets and, with labels, the accuracy."""
    from .run import run_verb

    run_verb(build, f.RunOptions(inputs, port, simulated, damage, codes, labels, output, check, weights), json)


def wrap(
    build: o.BuildPath, bus: f.Bus, output: f.WrapOutput, baud: f.Baud = 1_000_000, clock_mhz: f.UartClockMhz = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Write the accelerator for a bus of one's own: Verilog, FuseSoC file, instance, LiteX example, C header."""
    from .wrap import wrap_verb

    wrap_verb(build, f.WrapOptions(bus, output, baud, clock_mhz), json)


COMMANDS = (boards, bitstream, program, run, wrap)
