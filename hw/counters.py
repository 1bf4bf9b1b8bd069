"""The walk of an issue controller: beats within groups, with its flags in registers, one slot ahead."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def is_power_of_two(value: int) -> bool:
    return value & (value - 1) == 0


class Walk(wiring.Component):
    """Counts beats 0 .. beats-1 within groups 0 .. groups-1, one slot for each cycle with ``step``, and starts again.

    ``address`` counts all slots. First and last flags are registers: no comparison stands in the cycle that uses them.
    """

    def __init__(self, beats: int, groups: int = 1):
        self._beats, self._groups = beats, groups
        super().__init__(
            {
                "step": In(1),
                "address": Out(range(max(2, beats * groups))),
                "beat": Out(range(max(2, beats))),
                "group": Out(range(max(2, groups))),
                "first_beat": Out(1, init=1),
                "last_beat": Out(1, init=int(beats == 1)),
                "first_group": Out(1, init=1),
                "last_group": Out(1, init=int(groups == 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        turn = Signal()
        m.d.comb += turn.eq(self.step & self.last_beat)
        self._flags(m, self.step, self._beats, self.beat, self.first_beat, self.last_beat)
        self._flags(m, turn, self._groups, self.group, self.first_group, self.last_group)
        if is_power_of_two(self._beats):  # one counter serves all three: one carry chain instead of two or three
            self._count(m, self.step, self._beats * self._groups, self.address, turn & self.last_group)
            low = self._beats.bit_length() - 1
            m.d.comb += Cat(self.beat[:low], self.group).eq(self.address)
            return m
        self._count(m, self.step, self._beats, self.beat, self.last_beat)
        if self._groups == 1:
            m.d.comb += self.address.eq(self.beat)
            return m
        self._count(m, turn, self._groups, self.group, self.last_group)
        self._count(m, self.step, self._beats * self._groups, self.address, turn & self.last_group)
        return m

    @staticmethod
    def _count(m, step, size, value, wraps):
        if size == 1:
            return
        following = (value + 1)[: len(value)]
        with m.If(step):
            m.d.sync += value.eq(following if is_power_of_two(size) else Mux(wraps, 0, following))

    @staticmethod
    def _flags(m, step, size, value, first, last):
        if size == 1:
            return
        following = Walk._is_before_last(m, size, value) if size > 2 else ~last
        with m.If(step):
            m.d.sync += [first.eq(last), last.eq(following)]

    @staticmethod
    def _is_before_last(m, size, value):
        """Of a long counter the upper bits are compared a cycle ahead: they stay as they are while the lower ones count
        from 0 up to what they are compared with."""
        target = size - 2
        lower = max(3, (target & -target).bit_length())
        if len(value) - lower <= 2:
            return value == target
        is_near = Signal(name=f"{value.name}_is_near", reset_less=True)
        m.d.sync += is_near.eq(value[lower:] == target >> lower)
        return is_near & (value[:lower] == target & ((1 << lower) - 1))
