"""The digits network on a whole board in simulation, over its serial line: every answer is right, or there is none."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import espalier
from espalier.boards.board import find_board
from espalier.boards.gateware.top import choose_clock, write_top
from espalier.boards.host.accelerator import Accelerator
from espalier.boards.host.serial_port import SerialPort
from espalier.boards.simulated.board import simulate_board
from espalier.errors import LinkError
from espalier.hw.link.linked import digest_of
from espalier.ir.execute import execute
from espalier.sim.simulate import USER_CACHE

pytestmark = pytest.mark.verilator

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "digits.onnx"
BOARD, BAUD = "icebreaker", 1_500_000  # 12 MHz, 8 cycles for a bit


@pytest.fixture(scope="module")
def design():
    graph = espalier.simplify(espalier.import_onnx(EXAMPLE).graph)
    return espalier.generate(graph, espalier.plan(graph, multipliers=6))


@pytest.fixture(scope="module")
def core(design):
    return design.verilog()


def codes_of(design, frames, seed=0):
    return {"inputs": np.random.default_rng(seed).integers(0, 16, (frames, 64))}


def board_top(design, core, clock_mhz=None):
    board = find_board(BOARD)
    return write_top(design, core, board, choose_clock(board, clock_mhz), BAUD)


def simulated(top, folder, **options):
    return simulate_board(top, find_board(BOARD), BAUD, folder, cache=USER_CACHE.expanduser(), **options)


def answers(top, design, digest, codes, folder, **options):
    """The outputs of a simulated board, what the session counted, and what went over the line."""
    with simulated(top, folder, **options) as board:
        port = SerialPort(board.port, BAUD)
        accelerator = Accelerator(design, digest, port)
        found = accelerator.run(codes)
        port.close()
    return found, accelerator.counts, board.line


def test_every_frame_is_right_while_one_byte_in_a_hundred_is_damaged(design, core, tmp_path):
    codes = codes_of(design, 100)
    top = board_top(design, core)
    found, counts, line = answers(top, design, digest_of(core), codes, tmp_path, damage=0.01, seed=1)
    np.testing.assert_array_equal(found["outputs"], execute(design.graph, codes)["outputs"])
    assert line["damaged"] > 20 and counts.repeated > 0
