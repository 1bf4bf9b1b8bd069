"""The digits network on a whole board in simulation, over its serial line: every answer is right, or there is none."""

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


def test_the_accelerator_may_have_a_clock_of_its_own_from_a_pll(design, core, tmp_path):
    codes, top = codes_of(design, 5, seed=2), board_top(design, core, clock_mhz=24)
    assert "SB_PLL40" in top
    found, counts, _ = answers(top, design, digest_of(core), codes, tmp_path)
    np.testing.assert_array_equal(found["outputs"], execute(design.graph, codes)["outputs"])
    assert (counts.repeated, counts.dropped, counts.polls) == (0, 0, 0)


def test_another_design_on_the_board_is_an_error_that_names_both(design, core, tmp_path):
    other, here = digest_of(core + "// another one\n"), digest_of(core)
    with pytest.raises(LinkError, match=f"runs design {here.hex()}, the build folder holds {other.hex()}; load its"):
        answers(board_top(design, core), design, other, codes_of(design, 1), tmp_path)


@pytest.mark.slow  # tests/test_flow_board.py has such a one by default
def test_a_wrong_bit_in_the_hardware_is_seen(design, core, tmp_path):
    """That the answers above are compared with something."""
    broken = core.replace(".y__payload(outputs__payload)", ".y__payload(right)").replace(
        "  wire [11:0] outputs__payload;", "  wire [11:0] right;\n  wire [11:0] outputs__payload = right ^ 12'd1;"
    )
    assert broken.count("right") == 3
    codes, top = codes_of(design, 3), board_top(design, broken)
    found, _, _ = answers(top, design, digest_of(broken), codes, tmp_path)
    expected = execute(design.graph, codes)["outputs"]
    np.testing.assert_array_equal((found["outputs"] != expected).any(axis=1), [True] * 3)


def test_a_port_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(LinkError, match="nowhere: cannot open it at 115200 baud .*; see which port the board has"):
        SerialPort(str(tmp_path / "nowhere"), 115_200)
