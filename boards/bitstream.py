"""Makes a bitstream of a design for a board: top, mapping, placements with several seeds, the best one packed."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import PlanError
from ..hw.design import Design
from ..hw.image import image_length, make_image
from ..hw.link.linked import digest_of
from .area import Area
from .board import BAUD, ENTRIES, Board, find_board
from .family import Pin
from .gateware.top import LINKED, NAME, PLACE, choose_clock, write_top
from .host.c_header import c_header
from .layers import find_layer_rates
from .mapping import NETLIST, Job, map_design, write_design
from .paths import CriticalPath, describe_path
from .place import Clocks, Placement, fastest, place, placed_file, placer_of
from .work_folder import work_folder
from .yosys import run_tool

REPORT, TOP, WEIGHTS = "bitstream.json", f"{NAME}.v", "weights.bin"

SECTOR, MOST_FLASH = 1 << 16, 1 << 24
"""Bytes: what loaders erase at once, and what an address of three bytes reaches."""

CLOSE = 0.005
"""nextpnr rounds the periods that it works out for a PLL."""


@dataclass(frozen=True)
class BitstreamReport:
    """file: the bitstream. digest: of the design in it, hexadecimal. clock_mhz: of the accelerator. baud: of the serial
    line. area: cells of the whole; luts: lookup tables of the device that they took once placed. fmax_mhz: of the
    placement in the file, the fastest of ``fmax_by_seed``. weights_at: place in the flash for the file ``WEIGHTS``."""

    file: str
    board: str
    device: str
    digest: str
    clock_mhz: float
    baud: int
    area: Area
    luts: int
    fmax_mhz: float
    fmax_by_seed: dict[int, float]
    fmax_by_layer: dict[str, float]
    critical_path: CriticalPath
    weights_at: int | None = None

    def to_json(self) -> str:
        """One JSON object, keys in a fixed order."""
        return json.dumps(asdict(self), indent=2) + "\n"


def make_bitstream(
    design: Design,
    core: str,
    board: Board,
    folder: Path,
    *,
    clock_mhz: float | None = None,
    baud: int = BAUD,
    weights_at: int | None = None,
    seeds: Sequence[int] = (1,),
    jobs: int | None = None,
    timeout_s: float = 3600.0,
    progress: Callable[[str], None] = lambda what: None,
) -> BitstreamReport:
    """Put ``design``, whose Verilog is ``core``, with its link on ``board``; all files go to ``folder``.

    clock_mhz: of the accelerator: the fastest that the PLL makes and that is not above it; without it the board's own
    clock. weights_at: where in the board's flash an image of the weights shall be, which the hardware loads at its
    start; it is written, too. seeds: of placements, ``jobs`` at a time, one for each core by default; the fastest
    counts. Raises PlanError where the design does not fit, or where no placement is as fast as the clock, naming the
    layers of the slowest path.
    """
    clocking = choose_clock(board, clock_mhz)
    if weights_at is not None:
        _check_flash(design, board, weights_at)
    text = write_top(design, core, board, clocking, baud, weights_at)
    with work_folder(folder, "bitstream", REPORT) as work:
        (work / TOP).write_text(text)
        job = Job(
            text, NAME, board.device, work, tuple(design.paths.values()), is_whole=True, design=design.top,
            place=PLACE, timeout_s=timeout_s,
        )  # fmt: skip
        write_design(job)
        progress(f"map for {board.name}")
        mapped = map_design(job)
        progress(f"place and route with {len(seeds)} seed{'s' * (len(seeds) != 1)}")
        placements = place(
            NETLIST, NAME, board.device, work, clocks=Clocks(board.clock_mhz, clocking.mhz),
            pins=_pins(board, weights_at), seeds=seeds, jobs=jobs or os.cpu_count() or 1, timeout_s=timeout_s,
        )  # fmt: skip
        best = fastest(placements)
        belongs = {cell: "link" for cell in mapped.module["cells"] if cell.startswith(f"{LINKED}.")} | mapped.belongs
        report = BitstreamReport(
            bitstream_file(board), board.name, board.device.name, digest_of(core).hex(), clocking.mhz, baud,
            mapped.area, best.luts, best.fmax_mhz, {one.seed: one.fmax_mhz for one in placements},
            find_layer_rates(best.arrivals, belongs), describe_path(best.path, belongs, ""),
            weights_at,
        )  # fmt: skip
        _check_clock(report, best)
        _pack(board, work, best.seed, timeout_s)
        if not design.memories:
            (work / f"{design.top}.h").write_text(c_header(design, digest_of(core)))
        if weights_at is not None:
            _check_place(board, weights_at, (work / report.file).stat().st_size)
            (work / WEIGHTS).write_bytes(make_image(design.memories, design.layout))
        (work / REPORT).write_text(report.to_json())
    return report


def _pins(board: Board, weights_at: int | None) -> tuple[Pin, ...]:
    return board.pins if weights_at is None else (*board.pins, *board.flash)


def _check_flash(design: Design, board: Board, weights_at: int) -> None:
    if not design.memories:
        raise PlanError("--weights-at: no layer has its weights in memory ram or spram; the bitstream holds them all")
    if not board.flash:
        able = ", ".join(name for name in ENTRIES if find_board(name).flash)
        raise PlanError(
            f"{board.name}: its flash cannot be read by a design; leave --weights-at out, block RAM is filled by the "
            f"bitstream; boards that can: {able}"
        )
    if not 0 <= weights_at <= MOST_FLASH - image_length(design.layout):
        raise PlanError(f"--weights-at {weights_at}: an image must lie in the first {MOST_FLASH} bytes of the flash")


def _check_place(board: Board, weights_at: int, size: int) -> None:
    if weights_at < size:
        raise PlanError(
            f"--weights-at {weights_at}: the first {size} bytes of {board.name}'s flash hold the bitstream; choose "
            f"{-(-size // SECTOR) * SECTOR} or more"
        )


def bitstream_file(board: Board) -> str:
    return f"{board.name}.{placer_of(board.device).bitstream}"


def _check_clock(report: BitstreamReport, best: Placement) -> None:
    """Raise unless nextpnr aimed at the accelerator's clock, as it works it out from the PLL's cell, and reached it."""
    assert abs(best.aim_mhz / report.clock_mhz - 1) < CLOSE, (best.aim_mhz, report.clock_mhz)
    if best.fmax_mhz < report.clock_mhz:
        path = report.critical_path
        tried = ", ".join(f"{fmax:.1f}" for fmax in report.fmax_by_seed.values())
        raise PlanError(
            f"{report.board}: needs {report.clock_mhz:g} MHz, reached {tried} MHz; the slowest path of "
            f"{path.delay_ns:.1f} ns goes from {path.start} to {path.end}; lower --clock-mhz or try more --seeds"
        )


def _pack(board: Board, work: Path, seed: int, timeout_s: float) -> None:
    placer = placer_of(board.device)
    arguments = placer.pack(board.device, placed_file(board.device, seed), bitstream_file(board))
    run_tool(placer.packer.name, placer.packer.command(arguments), work, "pack.log", timeout_s)
