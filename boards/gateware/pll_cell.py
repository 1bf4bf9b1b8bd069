"""The cell of each family's PLL, with the settings that were chosen (boards/pll.py)."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Const, Instance, Signal, Value

from ..board import Board
from ..pll import Pll

_PADS = {("up5k", "35")}
"""Pins of iCE40 that feed the PLL directly, and that it takes for itself."""


def pll_cell(board: Board, pll: Pll, source: Value, clock: Signal, locked: Signal) -> Instance:
    """The cell that makes ``clock`` of ``source``, the board's; ``locked`` once it is stable."""
    return _CELLS[board.device.family](board, pll, source, clock, locked)


def _ecp5(board: Board, pll: Pll, source: Value, clock: Signal, locked: Signal) -> Instance:
    feedback = Signal(name="pll_feedback")
    zeros = ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP", "ENCLKOS")
    ones = ("PHASEDIR", "PHASESTEP", "PHASELOADREG")
    # What Project Trellis' ecppll sets for the loop's filter.
    attributes = {"ICP_CURRENT": 12, "LPF_RESISTOR": 8, "MFG_ENABLE_FILTEROPAMP": 1, "MFG_GMCREF_SEL": 2}
    return Instance(
        "EHXPLLL", *(("a", name, str(value)) for name, value in attributes.items()),
        p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED", p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB", p_CLKOP_ENABLE="ENABLED", p_CLKOS_ENABLE="ENABLED",
        p_CLKOP_FPHASE=0, p_CLKOS_FPHASE=0, p_FEEDBK_PATH="CLKOP", **_parameters(pll),
        **{f"i_{name}": Const(0, 1) for name in zeros}, **{f"i_{name}": Const(1, 1) for name in ones},
        i_CLKI=source, i_CLKFB=feedback, o_CLKOP=feedback, o_CLKOS=clock, o_LOCK=locked,
    )  # fmt: skip


def _ice40(board: Board, pll: Pll, source: Value, clock: Signal, locked: Signal) -> Instance:
    is_pad = (board.device.part, board.pins[0].pin) in _PADS
    widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
    settings = {f"p_{name}": Const(value, widths[name]) for name, value in pll.parameters.items()}
    return Instance(
        "SB_PLL40_PAD" if is_pad else "SB_PLL40_CORE", p_FEEDBACK_PATH="SIMPLE", **settings,
        **{"i_PACKAGEPIN" if is_pad else "i_REFERENCECLK": source}, o_PLLOUTGLOBAL=clock, o_LOCK=locked,
        i_RESETB=Const(1, 1), i_BYPASS=Const(0, 1),
    )  # fmt: skip


def _gowin(board: Board, pll: Pll, source: Value, clock: Signal, locked: Signal) -> Instance:
    widths = {
        "RESET": 1, "RESET_P": 1, "CLKFB": 1, "FBDSEL": 6, "IDSEL": 6, "ODSEL": 6, "PSDA": 4, "DUTYDA": 4, "FDLY": 4,
    }  # fmt: skip
    series, _, _ = board.device.part.partition("-")
    return Instance(
        "rPLL", p_FCLKIN=f"{board.clock_mhz:g}", p_DEVICE=f"{series}-{board.device.die.partition('-')[2]}",
        p_CLKFB_SEL="internal", p_CLKOUT_BYPASS="false", p_DYN_IDIV_SEL="false", p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false", p_DYN_DA_EN="false", p_PSDA_SEL="0000", p_DUTYDA_SEL="1000", p_CLKOUTD_SRC="CLKOUT",
        p_DYN_SDIV_SEL=2, **_parameters(pll), **{f"i_{name}": Const(0, bits) for name, bits in widths.items()},
        i_CLKIN=source, o_CLKOUT=clock, o_LOCK=locked,
    )  # fmt: skip


def _parameters(pll: Pll) -> dict[str, Any]:
    return {f"p_{name}": value for name, value in pll.parameters.items()}


_CELLS: dict[str, Callable[[Board, Pll, Value, Signal, Signal], Instance]] = {
    "ecp5": _ecp5, "ice40": _ice40, "gowin": _gowin,
}  # fmt: skip
