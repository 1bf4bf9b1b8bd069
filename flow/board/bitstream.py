"""The verb `espalier bitstream`."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...boards.board import find_board
from ...boards.gateware.top import choose_clock
from ...hw.link.uart import cycles_per_bit
from ..folder import BuildFolder, open_build
from ..report import show
from ..steps import design_of, generated_verilog, step
from ..verbs import positive
from .flags import BitstreamOptions

RESULT = "bitstream.json"


def bitstream_verb(build: Path, options: BitstreamOptions, force: bool, as_json: bool) -> None:
    check_bitstream(options)
    with open_build(build) as folder:
        bitstream_step(folder, options, force)
        show(folder, "bitstream", as_json)


def check_bitstream(options: BitstreamOptions) -> None:
    """Raise for options that are wrong whatever the network."""
    positive("--clock-mhz", options.clock_mhz)
    positive("--baud", options.baud)
    positive("--seeds", options.seeds)
    cycles_per_bit(choose_clock(find_board(options.board), options.clock_mhz).mhz, options.baud)


def bitstream_step(folder: BuildFolder, options: BitstreamOptions, force: bool) -> None:
    step(folder, "bitstream", asdict(options), lambda partial, at: _make(folder, options, partial, at), force)


def _make(folder: BuildFolder, options: BitstreamOptions, partial: Path, at: Callable[[str], None]) -> dict[str, Any]:
    from ...boards.bitstream import make_bitstream

    report = make_bitstream(
        design_of(folder), generated_verilog(folder), find_board(options.board), partial,
        clock_mhz=options.clock_mhz, baud=options.baud, weights_at=options.weights_at,
        seeds=range(1, options.seeds + 1), progress=at,
    )  # fmt: skip
    return {"board": report.board, "board_clock_mhz": report.clock_mhz}
