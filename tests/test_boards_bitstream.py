"""A bitstream of a small network for a board of each family; what cannot be reached is an error that names layers."""

import json
import re

import pytest

from espalier.boards.bitstream import make_bitstream
from espalier.boards.board import find_board
from espalier.boards.gateware.top import choose_clock
from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.link.linked import digest_of
from espalier.hw.planner import plan
from graphs import mlp

pytestmark = pytest.mark.synth

STARTS = {"bit": b"\xff\x00", "bin": b"\xff\x00\x00\xff", "fs": b"1" * 64}


@pytest.fixture(scope="module")
def design():
    return generate(graph := mlp((6, 5, 3)), plan(graph, multipliers=2))


@pytest.mark.parametrize("name, clock_mhz", [("ulx3s-25f", 50), ("icebreaker", None), ("tang-nano-9k", 54)])
def test_bitstream_of_each_family(name, clock_mhz, design, tmp_path):
    board, core = find_board(name), design.verilog()
    report = make_bitstream(design, core, board, tmp_path, clock_mhz=clock_mhz, seeds=(1,))
    suffix = report.file.rpartition(".")[2]
    assert (tmp_path / report.file).read_bytes().startswith(STARTS[suffix])
    assert report.fmax_mhz >= report.clock_mhz == (clock_mhz or board.clock_mhz)
    assert report.digest == digest_of(core).hex()
    assert {"link", *design.stages} >= set(report.fmax_by_layer) >= set(design.stages)
    assert json.loads((tmp_path / "bitstream.json").read_text())["luts"] == report.luts > 500


def test_a_clock_that_is_not_reached_names_the_slowest_path(design, tmp_path):
    board = find_board("icebreaker")
    text = r"needs 96 MHz, reached [\d.]+ MHz; the slowest path of [\d.]+ ns goes from \w+ to \w+; lower"
    with pytest.raises(PlanError, match=text) as caught:
        make_bitstream(design, design.verilog(), board, tmp_path, clock_mhz=96, seeds=(1,))
    ends = re.search(r"from (\w+) to (\w+)", str(caught.value))
    assert ends and {*ends.groups()} <= {"link", *design.stages}
    assert not list(tmp_path.glob("*.bin")) + list(tmp_path.glob("bitstream.json"))


def test_a_rate_of_the_line_that_the_clock_cannot_make_is_an_error(design, tmp_path):
    with pytest.raises(PlanError, match=r"--baud 5000000: a bit takes 2.40 cycles of 12 MHz, .* choose 1000000"):
        make_bitstream(design, design.verilog(), find_board("icebreaker"), tmp_path, baud=5_000_000)


def test_the_boards_own_clock_needs_no_pll():
    assert choose_clock(find_board("icebreaker"), 12).pll is None
    assert choose_clock(find_board("icebreaker"), None).mhz == 12
