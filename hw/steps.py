"""The walk of an issue controller through any static order of slots: a table whose blocks repeat."""

from collections.abc import Iterable, Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .counters import is_power_of_two
from .moves import Block


class Steps(wiring.Component):
    """Goes on by a slot in each cycle with ``step``: through the blocks in order, each as often as it repeats.

    ``flag`` says whether the present slot is one of some slots of the table; it may be called until elaboration.
    """

    def __init__(self, blocks: Sequence[Block]):
        self._slots = sum(block.length for block in blocks)
        self._loops = {block.start + block.length - 1: block for block in blocks if block.repeats > 1}
        self._flags: dict[frozenset[int], Signal] = {}
        super().__init__({"step": In(1)})

    def flag(self, slots: Iterable[int]) -> Value:
        chosen = frozenset(slots)
        others = frozenset(range(self._slots)) - chosen
        if not chosen or not others:
            return Const(int(not others), 1)
        if others in self._flags:
            return ~self._flags[others]
        if chosen not in self._flags:
            self._flags[chosen] = Signal(name=f"flag_{len(self._flags)}", init=int(0 in chosen))
        return self._flags[chosen]

    def elaborate(self, platform):
        m = Module()
        if self._slots == 1:
            return m
        slot = Signal(range(self._slots))
        returns = self._returns(m, slot) if self._loops else Const(0, 1)
        following = (slot + 1)[: len(slot)]
        ends = {end: block.start for end, block in self._loops.items()}
        targets = Signal.like(slot, name="following")
        with m.Switch(slot):
            for end, start in ends.items():
                with m.Case(end):
                    m.d.comb += targets.eq(Mux(returns, start, (end + 1) % self._slots))
            if not is_power_of_two(self._slots) and self._slots - 1 not in ends:
                with m.Case(self._slots - 1):
                    m.d.comb += targets.eq(0)
            with m.Default():
                m.d.comb += targets.eq(following)
        with m.If(self.step):
            m.d.sync += slot.eq(targets)
            for index, (chosen, flag) in enumerate(self._flags.items()):
                m.d.sync += flag.eq(self._ahead(m, slot, returns, chosen, f"flag_{index}_next"))
        return m

    def _ahead(self, m: Module, slot: Signal, returns: Value, chosen: frozenset[int], name: str) -> Signal:
        """Whether the slot after the present one is among those chosen."""
        found = Signal(name=name)
        plain = [s for s in range(self._slots) if (s + 1) % self._slots in chosen and s not in self._loops]
        with m.Switch(slot):
            for end, block in self._loops.items():
                with m.Case(end):
                    m.d.comb += found.eq(Mux(returns, block.start in chosen, (end + 1) % self._slots in chosen))
            if plain:
                with m.Case(*plain):
                    m.d.comb += found.eq(1)
            with m.Default():
                m.d.comb += found.eq(0)
        return found

    def _returns(self, m: Module, slot: Signal) -> Value:
        """Whether the block, at its end, starts again: passes are counted, and the last is known one pass ahead."""
        most = max(block.repeats for block in self._loops.values())
        passes, is_last, at_end = Signal(range(most)), Signal(), self.flag(self._loops)
        before_last = Signal()
        with m.Switch(slot):
            for end, block in self._loops.items():
                with m.Case(end):
                    m.d.comb += before_last.eq(passes == block.repeats - 2)
            with m.Default():
                m.d.comb += before_last.eq(0)
        with m.If(self.step & at_end):
            m.d.sync += [passes.eq(Mux(is_last, 0, passes + 1)), is_last.eq(~is_last & before_last)]
        return ~is_last
