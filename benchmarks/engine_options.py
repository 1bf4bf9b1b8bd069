"""Options of every benchmark that synthesizes, and places, the stages of an engine."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path


def add_options(parser: ArgumentParser, device: str | None, clock_mhz: float, seeds: Sequence[int]) -> None:
    """device: None where each row of the benchmark has its own."""
    parser.add_argument("--device", default=device, help=None if device else "default: as in the tables")
    parser.add_argument("--clock-mhz", type=float, default=clock_mhz, help="what the placer aims at")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--area-only", action="store_true", help="do not place")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for logs and netlists")
