"""The walk of an issue controller through slots of any static order, as runs whose lengths stand in a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .arithmetic import Bits
from .counters import is_power_of_two
from .fields import Fields
from .moves import shortest_period
from .timing import Bools


class Run(NamedTuple):
    """``length`` slots. takes: all of them take a beat, or only the first, as the walk says; starts: the last one
    starts a beat."""

    length: int
    takes: bool
    starts: bool


def find_runs(takes: Bools, starts: Bools) -> tuple[list[Run], bool]:
    """The fewest runs that make up the slots, shortened to a period; and whether ``takes`` is of all their slots."""
    forms = [(_split(takes, starts, takes_all), takes_all) for takes_all in (False, True)]
    return min(forms, key=lambda form: len(form[0]))


def _split(takes: Bools, starts: Bools, takes_all: bool) -> list[Run]:
    is_first = np.zeros(len(takes), np.bool_)
    is_first[1:] = starts[:-1]
    if takes_all:
        is_first[1:] |= takes[1:] != takes[:-1]
    else:
        is_first |= takes
    is_first[0] = True
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(takes)) - 1
    runs = [Run(*run) for run in zip((last - first + 1).tolist(), takes[first].tolist(), starts[last].tolist())]
    numbers = {run: number for number, run in enumerate(dict.fromkeys(runs))}
    return runs[: shortest_period([numbers[run] for run in runs])]


def fields_of(runs: Sequence[Run]) -> Fields:
    """What a table of ``runs`` holds. rest: slots beyond the first of a run."""
    lengths = np.array([run.length - 1 for run in runs])
    rest = lengths[:, None] >> np.arange(max(1, int(lengths.max()).bit_length())) & 1
    flags = {flag: np.array([[getattr(run, flag)] for run in runs]) for flag in ("takes", "starts")}
    return Fields({"rest": rest} | flags)


class RunWalk(wiring.Component):
    """Goes on by a slot in each cycle with ``step``; ``takes`` and ``starts`` are registers, of the present slot."""

    def __init__(self, takes: Bools, starts: Bools):
        self._runs, self._takes_all = find_runs(takes, starts)
        first = self._runs[0]
        super().__init__(
            {
                "step": In(1),
                "takes": Out(1, init=int(first.takes)),
                "starts": Out(1, init=int(first.starts and first.length == 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        first = self._runs[0]
        rest, takes, starts = self._next_run(m)
        longest = max(run.length for run in self._runs)
        if longest == 1:
            with m.If(self.step):
                m.d.sync += [self.takes.eq(takes), self.starts.eq(starts)]
            m.d.comb += self._turns.eq(self.step)
            return m
        left = Signal(range(longest), init=first.length - 1)
        at_end, is_starting = Signal(init=int(first.length == 1)), Signal(init=int(first.starts))
        ends_next = left == 1
        m.d.comb += self._turns.eq(self.step & at_end)
        with m.If(self.step):
            with m.If(at_end):
                m.d.sync += [left.eq(rest), at_end.eq(rest == 0), is_starting.eq(starts)]
                m.d.sync += [self.takes.eq(takes), self.starts.eq(starts & (rest == 0))]
            with m.Else():
                m.d.sync += [left.eq(left - 1), at_end.eq(ends_next), self.starts.eq(is_starting & ends_next)]
                m.d.sync += self.takes.eq(self.takes if self._takes_all else 0)
        return m

    def _next_run(self, m: Module) -> tuple[Bits, Bits, Bits]:
        """The slots of the run after the present one beyond its first, and its flags: out of registers."""
        self._turns = Signal()
        fields, count = fields_of(self._runs), len(self._runs)
        word = Signal(fields.width, init=fields.words[1 % count])
        if count > 1:
            # One run further still: its word is on its way to the register.
            address = Signal(range(count), init=2 % count)
            following = (address + 1)[: len(address)]
            m.submodules.runs = memory = Memory(
                shape=fields.width, depth=count, init=fields.words, attrs={"ram_style": "logic"}
            )
            read = memory.read_port(domain="comb")
            m.d.comb += read.addr.eq(address)
            with m.If(self._turns):
                m.d.sync += [
                    word.eq(read.data),
                    address.eq(following if is_power_of_two(count) else Mux(address == count - 1, 0, following)),
                ]
        found = fields.split(m, word)
        return found["rest"], found["takes"], found["starts"]
