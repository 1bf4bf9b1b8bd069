# amaranth: UnusedElaboratable=no
"""The order in which the slots of a matrix-vector product go over its inputs and its outputs."""

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .counters import Walk
from .plan import Order
from .timing import Schedule


class Scan(wiring.Component):
    """Walks over ``blocks`` products of ``beats`` input beats and ``groups`` of outputs, a slot for each ``step``.

    order: "output": every group scans all beats; "input": every beat goes to all groups. is_repeated: the stream brings
    the beats again for each group. address: counts all slots; beat: which of those kept is in use; group: whose sums;
    takes: the slot takes a beat; first, last: of the slots that add to the sums of a group.
    """

    def __init__(self, order: Order, beats: int, groups: int, blocks: int, *, is_repeated: bool):
        self.order, self.beats, self.groups, self.blocks = order, beats, groups, blocks
        self._takes_all = is_repeated or groups == 1
        super().__init__(
            {
                "step": In(1),
                "address": Out(range(max(2, beats * groups * blocks))),
                "beat": Out(range(max(2, self.kept_beats))),
                "group": Out(range(max(2, self.kept_groups))),
                "takes": Out(1),
                "first": Out(1),
                "last": Out(1),
            }
        )

    @property
    def is_kept(self) -> bool:
        """Whether beats are used again."""
        return not self._takes_all

    @property
    def kept_beats(self) -> int:
        """How many beats there are to use again."""
        return self.beats if self.order == "output" else 1

    @property
    def kept_groups(self) -> int:
        """How many groups have sums that wait to be continued."""
        return 1 if self.order == "output" else self.groups

    def schedule(self, pixels: int) -> Schedule:
        """Of ``pixels`` times all of that."""
        slots = np.arange(self.beats * self.groups)
        if self.order == "output":
            takes, starts = slots < self.beats, slots % self.beats == self.beats - 1
        else:
            takes, starts = slots % self.groups == 0, slots >= self.groups * (self.beats - 1)
        repeats = pixels * self.blocks
        return Schedule(takes={"x": np.tile(takes | self._takes_all, repeats)}, starts={"y": np.tile(starts, repeats)})

    def elaborate(self, platform):
        m = Module()
        if self.order == "output":
            m.submodules.walk = walk = Walk(self.beats, self.groups * self.blocks)
            m.d.comb += [
                self.beat.eq(walk.beat),
                self.takes.eq(1 if self._takes_all else walk.first_group),
                self.first.eq(walk.first_beat),
                self.last.eq(walk.last_beat),
            ]
        else:
            m.submodules.walk = walk = Walk(self.groups, self.beats)
            m.d.comb += [
                self.group.eq(walk.beat),
                self.takes.eq(walk.first_beat),
                self.first.eq(walk.first_group),
                self.last.eq(walk.last_group),
            ]
        m.d.comb += walk.step.eq(self.step)
        if self.order == "input" and self.blocks > 1:
            m.submodules.all = slots = Walk(self.beats * self.groups * self.blocks)
            m.d.comb += slots.step.eq(self.step)
            m.d.comb += self.address.eq(slots.address)
        else:
            m.d.comb += self.address.eq(walk.address)
        return m
