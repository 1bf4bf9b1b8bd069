"""Bitstreams of one build folder for all boards: what each takes of its device, and how fast it can be clocked.

python benchmarks/boards.py build/digits -o build/boards
"""

import argparse
from pathlib import Path

from espalier.boards.bitstream import make_bitstream
from espalier.boards.board import ENTRIES, find_board
from espalier.errors import EspalierError
from espalier.flow.folder import read_build
from espalier.flow.steps import design_of, generated_verilog

COLUMNS = ("board", "device", "clock MHz", "Fmax MHz", "LUT", "FF", "block RAM", "bitstream kB")


def measure(name: str, options: argparse.Namespace) -> None:
    board, folder = find_board(name), read_build(options.build)
    try:
        report = make_bitstream(
            design_of(folder), generated_verilog(folder), board, options.output / name, clock_mhz=options.clock_mhz,
            seeds=range(1, options.seeds + 1),
        )  # fmt: skip
    except EspalierError as error:
        print(row(name, board.device.name, str(error)), flush=True)
        return
    size = (options.output / name / report.file).stat().st_size / 1000
    share = f"{report.luts:,} ({report.luts / board.device.lut:.0%})"
    cells = (report.clock_mhz, f"{report.fmax_mhz:.1f}", share, f"{report.area.ff:,}", report.area.bram)
    print(row(name, report.device, *cells, f"{size:,.0f}"), flush=True)


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the bitstreams")
    parser.add_argument("--board", nargs="+", choices=list(ENTRIES), default=list(ENTRIES))
    parser.add_argument("--clock-mhz", type=float, help="default: each board's own clock")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print(row(*COLUMNS), row(*["---"] * len(COLUMNS)), sep="\n", flush=True)
    for name in options.board:
        measure(name, options)


if __name__ == "__main__":
    main()
