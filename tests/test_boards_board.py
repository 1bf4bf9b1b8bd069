"""Boards are found by name, with device, clock and pins."""

import pytest

from espalier.boards.board import ENTRIES, find_board
from espalier.boards.families import family_of
from espalier.errors import PlanError


@pytest.mark.parametrize("name", ENTRIES)
def test_every_board_has_a_device_that_can_be_placed_and_three_pins(name):
    board = find_board(name)
    assert board.device.can_place and family_of(board.device).placer
    assert [pin.port for pin in board.pins] == ["clk", "rx", "tx"]
    assert len({pin.pin for pin in board.pins}) == 3
    assert 10 <= board.clock_mhz <= 100


def test_pins_are_those_of_amaranth_boards():
    pins = {pin.port: (pin.pin, pin.attributes) for pin in find_board("ULX3S-85F").pins}
    voltage = {"IO_TYPE": "LVCMOS33"}
    assert pins == {"clk": ("G2", voltage), "rx": ("M1", voltage), "tx": ("L4", voltage)}


def test_a_board_without_serial_port_says_where_the_adapter_goes():
    assert "IO0" in find_board("orangecrab-25f").note
    assert [pin.pin for pin in find_board("orangecrab-25f").pins][1:] == ["N17", "M18"]


def test_unknown_board_lists_the_known():
    with pytest.raises(PlanError, match="board 'ulx3s' is unknown; known: ulx3s-12f, .*tang-nano-20k"):
        find_board("ulx3s")
