"""The input of a Dense, kept while all groups of outputs scan it."""

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .arithmetic import delay

# Deeper buffers go to block RAM: LUT RAM comes in rows of 16 places.
DEEPEST_LUT_RAM = 64


class Form(NamedTuple):
    """Where beats are kept (none, register, lut or block), whether all come from there, and after how many cycles."""

    kind: str
    is_late: bool
    latency: int


def choose_form(beats: int, is_kept: bool, is_late: bool) -> Form:
    """Of an `InputBuffer` with these arguments."""
    kind = "none" if not is_kept else "register" if beats == 1 else "lut" if beats <= DEEPEST_LUT_RAM else "block"
    is_late = is_late and kind in ("register", "lut")
    return Form(kind, is_late, {"none": 1, "register": 2, "lut": 2, "block": 3}[kind] + is_late)


class InputBuffer(wiring.Component):
    """Gives each slot, ``latency`` cycles later, the beat that came with it (``first``) or that an earlier one kept.

    fresh: the beat on the stream in the slot's cycle; taken: it is taken; beat: its place, 0 .. beats-1.
    With ``is_kept`` false (one group of outputs) nothing is stored. With ``is_held`` the beat stays until the next slot
    that has ``asked`` for one. is_late: every beat comes out of the registers or the LUT RAM that keep it, a cycle
    later, so that nothing has to choose.
    """

    def __init__(self, beats: int, width: int, is_kept: bool, *, is_held: bool = False, is_late: bool = False):
        self._beats, self._width, self._is_held = beats, width, is_held
        self._form, self._is_late, self.latency = choose_form(beats, is_kept, is_late)
        super().__init__(
            {
                "fresh": In(width),
                "taken": In(1),
                "first": In(1),
                "asked": In(1),
                "beat": In(range(max(2, beats))),
                "input": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self._form == "none":
            m.d.comb += self.input.eq(self._hold(m, self.fresh, self.asked))
            return m
        fresh = delay(m, self.fresh, 1, "fresh")
        asked = delay(m, self.asked, 1, "asked", reset=True)
        first, taken = delay(m, self.first, 1, "first"), delay(m, self.taken, 1, "taken", reset=True)
        if self._form == "register":
            held = Signal(self._width, reset_less=True)
            with m.If(taken):
                m.d.sync += held.eq(fresh)
        elif self._form == "lut":
            held = self._lut_ram(m, fresh, taken)
        else:
            held = self._block_ram(m, fresh, taken)
            fresh, first = delay(m, fresh, 1, "fresher"), delay(m, first, 1, "still_first")
            asked = delay(m, asked, 1, "still_asked", reset=True)
        if self._is_late:
            m.d.comb += self.input.eq(self._hold(m, held, delay(m, asked, 1, "late_asked", reset=True)))
            return m
        m.d.comb += self.input.eq(self._hold(m, Mux(first, fresh, held), asked))
        return m

    def _hold(self, m, beat, asked):
        """The register that hands the beat out."""
        found = Signal(self._width, name="found_input", reset_less=True)
        with m.If(asked if self._is_held else 1):
            m.d.sync += found.eq(beat)
        return found

    def _lut_ram(self, m, fresh, taken):
        attrs = {"ram_style": "distributed"}
        m.submodules.places = memory = Memory(shape=self._width, depth=self._beats, init=[], attrs=attrs)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        beat = delay(m, self.beat, 1, "beat")
        late = delay(m, beat, int(self._is_late), "late_beat")
        m.d.comb += [write.addr.eq(beat), write.data.eq(fresh), write.en.eq(taken), read.addr.eq(late)]
        return read.data

    def _block_ram(self, m, fresh, taken):
        """A beat is never read in the cycle of its writing: its next use is a whole scan later."""
        attrs = {"ram_style": "block", "no_rw_check": 1}
        m.submodules.places = memory = Memory(shape=self._width, depth=self._beats, init=[], attrs=attrs)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        found = Signal(self._width, reset_less=True)
        m.d.comb += [write.addr.eq(delay(m, self.beat, 1, "beat")), write.data.eq(fresh), write.en.eq(taken)]
        m.d.comb += read.addr.eq(self.beat)
        m.d.sync += found.eq(read.data)
        return delay(m, found, 1, "held")
