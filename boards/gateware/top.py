"""The top of a bitstream: a board's clock, a PLL where the accelerator has another one, reset, link and accelerator."""

from dataclasses import dataclass

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In

from ...hw.design import Design
from ...hw.image import image_length
from ...hw.link.linked import LinkedCore, digest_of
from ...hw.link.pins import lead_out
from ...hw.link.uart import Uart, cycles_per_bit
from ..board import Board
from ..pll import Pll, choose_pll
from .flash import FlashReader
from .pll_cell import pll_cell

NAME = "espalier_board"
LINKED = "linked"
PLACE = f"{LINKED}.core.generated"
"""Instance path of the accelerator."""

RESET_US = 20
"""Block RAMs of iCE40 give wrong words for some microseconds after configuration (Amaranth's platform waits 15)."""


@dataclass(frozen=True)
class Clocking:
    """The accelerator's clock, and the PLL that makes it of the board's; None where they are the same."""

    mhz: float
    pll: Pll | None


def choose_clock(board: Board, wanted_mhz: float | None) -> Clocking:
    """The fastest clock that is not above the wanted one; without a wish, the board's own."""
    if wanted_mhz is None or abs(wanted_mhz / board.clock_mhz - 1) < 1e-9:
        return Clocking(board.clock_mhz, None)
    kind = board.device.die or board.device.family
    pll = choose_pll(kind, board.clock_mhz, wanted_mhz)
    return Clocking(pll.mhz, pll)


class BoardTop(wiring.Component):
    """Ports are the pin ``clk`` and those of ``linked``: ``rx`` (the board receives), ``tx``, and of a flash."""

    def __init__(self, linked: LinkedCore, board: Board, clocking: Clocking):
        self._linked, self._board, self._clocking = linked, board, clocking
        super().__init__({"clk": In(1), **linked.signature.members})

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = domain = ClockDomain("sync")
        locked = Signal()
        if self._clocking.pll:
            m.submodules.pll = pll_cell(self._board, self._clocking.pll, self.clk, domain.clk, locked)
        else:
            m.d.comb += [domain.clk.eq(self.clk), locked.eq(1)]
        self._reset(m, domain, locked)
        m.submodules[LINKED] = linked = self._linked
        lead_out(m, linked, self, linked.signature.members)
        return m

    def _reset(self, m: Module, domain: ClockDomain, locked: Signal) -> None:
        """Reset until the clock has been stable for RESET_US."""
        m.domains.start = start = ClockDomain("start", reset_less=True)
        m.d.comb += start.clk.eq(domain.clk)
        cycles = round(RESET_US * self._clocking.mhz)
        waited, is_stable, is_ready = Signal(range(cycles + 1)), Signal(), Signal()
        m.submodules.stable = FFSynchronizer(locked, is_stable, o_domain="start")
        m.d.comb += is_ready.eq(waited == cycles)
        m.d.start += waited.eq(Mux(is_stable, waited + ~is_ready, Const(0)))
        reset = Signal(init=1)
        m.d.start += reset.eq(~is_ready)
        m.d.comb += domain.rst.eq(reset)


def write_top(
    design: Design, core: str, board: Board, clocking: Clocking, baud: int, weights_at: int | None = None
) -> str:
    """Verilog of module ``NAME`` for a bitstream; ``core`` is that of the design, which is part of it as it is.

    weights_at: where in the board's flash the image is that is loaded at the start.
    """
    starter = None
    if weights_at is not None:
        starter = FlashReader(weights_at, image_length(design.layout), clocking.mhz)
    linked = LinkedCore(design, digest_of(core), Uart(cycles_per_bit(clocking.mhz, baud)), starter=starter)
    top = BoardTop(linked, board, clocking)
    return verilog.convert(top, name=NAME, emit_src=False, strip_internal_attrs=True) + "\n" + core
