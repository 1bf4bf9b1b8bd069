# amaranth: UnusedElaboratable=no
"""The ``mac`` engine: a matrix-vector product, simd inputs times pe outputs in each slot."""

from amaranth.hdl import Module, Signal, Value

from ..ir.graph import IntType
from .arithmetic import delay
from .buffer import InputBuffer
from .counters import Walk
from .double_ram import DoubleRam
from .finish import Finish, begin, begin_loaded, channels_of_lanes
from .function import table_ram, table_rom
from .kept_sums import KeptSums, Totals
from .mac_array import make_array
from .memory import Rom, choose_style
from .plan import LayerPlan
from .product import Product
from .scan import Scan
from .stage import Stage
from .stream import Beats, split
from .weights import store


class MacStage(Stage):
    """In every slot ``simd`` channels of the input add to the sums of ``pe`` outputs, in the order of the fold; the
    last slot that adds to a group of outputs starts a beat."""

    def __init__(self, product: Product, fold: LayerPlan):
        x_type = product.x_type
        outputs, positions, channels = product.weights.shape
        own = outputs // product.blocks
        self._scan = scan = Scan(
            fold.order, positions * -(-channels // fold.simd), -(-own // fold.pe), product.blocks,
            is_repeated=product.is_repeated or product.is_lanewise,
        )  # fmt: skip
        self._is_long = scan.beats > 1
        is_loaded = product.is_loaded
        bits = fold.weight_bits if is_loaded else None
        stored = store(product.weights, x_type, fold.pe, fold.simd, product.blocks, fold.order, bits)
        if is_loaded:
            start, function, sums, limits = begin_loaded(product, stored)
        else:
            start, function, sums = begin(product.function, stored.offsets, product.sums)
            limits = int(start.min()), int(start.max())
        self._finish = Finish(function, fold.pe, sums, product.result, blocks=product.blocks, is_loaded=is_loaded)
        starts = start[channels_of_lanes(own, fold.pe, product.blocks)].reshape(-1, fold.pe)
        self._start_type = IntType.of_range(*limits)
        table = table_ram if is_loaded else table_rom
        self._starts = table(starts, self._start_type, "lut") if any(limits) else None

        ends = self._finish.x_type, self._start_type
        total = IntType.of_range(min(dtype.low for dtype in ends), max(dtype.high for dtype in ends))
        self._array, words, width = make_array(product, fold, stored, total if self._is_long else None)
        self._rom = self._make_memory(words, width, fold)
        memories = {"weights": self._rom, "starts": self._starts, **self._finish.loaded}
        self.loaded = {name: memory for name, memory in memories.items() if isinstance(memory, DoubleRam)}
        lanes = fold.pe * fold.simd if product.is_lanewise else fold.simd
        self._buffer = InputBuffer(scan.kept_beats, lanes * x_type.bits, scan.is_kept)
        packing = self._array.packing
        whole = packing if packing and packing.is_whole else None
        self._totals = Totals(total if whole else self._finish.x_type, fold.pe, whole)
        self._kept = KeptSums(scan.kept_groups, self._totals.bits)
        self._set_cycles()
        self.schedule = scan.schedule(product.pixels)
        super().__init__({"x": Beats(lanes, x_type)}, Beats(fold.pe, self._finish.y_type))

    @staticmethod
    def _make_memory(words: list[int], width: int, fold: LayerPlan) -> Rom | DoubleRam:
        if fold.is_loaded:
            return DoubleRam(words, width, "spram" if fold.memory == "spram" else "auto")
        style = choose_style(len(words), width) if fold.memory == "auto" else fold.memory
        return Rom(words if len(set(words)) > 1 else words[:1], width, style)

    def _set_cycles(self) -> None:
        """Cycles from the issue of a slot: until its input and its weights are there, and until it is summed up."""
        # A multiplier takes in its operand's register, if that is a plain one.
        self._waiting = int(self._array.uses_dsp and not self._rom.is_plain)
        read = self._rom.latency + self._waiting
        fetched = max(read, self._buffer.latency, self._kept.cycles - self._array.cycles)
        # An unregistered sum, what it starts from and a carry that is left need an adder, and a register.
        needs_adder = self._is_long or self._array.cycles == 0 or self._starts is not None or self._array.has_carry
        summed = fetched + self._array.cycles + int(needs_adder)
        self._is_added = needs_adder
        self._fetched = fetched + max(0, self._finish.lead - summed)
        self._summed = max(summed, self._finish.lead)
        # One cycle more: the queue's own.
        self.latency = self._summed + self._finish.cycles + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.scan = scan = self._scan
        m.submodules.weights, m.submodules.inputs = self._rom, self._buffer
        fire = self.issue(m, takes=scan.takes, starts=scan.last)
        m.d.comb += [
            scan.step.eq(fire),
            self._rom.address.eq(delay(m, scan.address, self._fetched - self._rom.latency - self._waiting, "address")),
            self._buffer.fresh.eq(self.x.payload),
            self._buffer.taken.eq(self.x.valid & self.x.ready),
            self._buffer.first.eq(scan.takes),
            self._buffer.beat.eq(scan.beat),
        ]
        # done[c]: the last slot of a group's sums was issued c cycles ago.
        done = [Value.cast(fire & scan.last)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))

        inputs = delay(m, self._buffer.input, self._fetched - self._buffer.latency, "waiting")
        totals = self._sum_up(m, inputs, fire, done)
        values = self._finish.build(m, self._totals.split(totals), done[self._summed - self._finish.lead :])
        self.emit(m, done[-1], values)
        return m

    def _sum_up(self, m: Module, inputs: Value, fire: Value, done: list[Value]) -> Value:
        """The totals of the group that is done, or in the making."""
        totals = Signal(self._totals.bits, reset_less=True)
        sums = self._array.build(m, inputs, delay(m, self._rom.word, self._waiting, "operands"))
        ahead = self._summed - int(self._is_added)
        starts = self._totals.join(self._find_starts(m, fire, done, ahead))
        if not self._is_long:
            domain = m.d.sync if self._is_added else m.d.comb
            domain += totals.eq(self._totals.add(sums, starts))
            return totals
        group = delay(m, self._scan.group, ahead - self._kept.cycles, "group")
        first, arrived = delay(m, self._scan.first, ahead, "first"), delay(m, fire, ahead, "arrived", reset=True)
        kept = self._kept.find(m, totals, group, arrived)
        self._kept.keep(m, totals, self._totals.add(sums, starts, kept, first), arrived)
        return totals

    def _find_starts(self, m: Module, fire: Value, done: list[Value], ahead: int) -> list[Value]:
        """What the sum of each output starts from, ``ahead`` cycles after the first slot that adds to it."""
        if self._starts is None:
            return [Value.cast(0)] * self._finish.lanes
        m.submodules.starts = rom = self._starts
        m.submodules.starts_group = walk = Walk(1, self._scan.groups * self._scan.blocks)
        if self._scan.order == "output":
            step = done[ahead - rom.latency]
        else:
            step = delay(m, fire & self._scan.first, ahead - rom.latency, "started", reset=True)
        m.d.comb += [walk.step.eq(step), rom.address.eq(walk.group)]
        return split(rom.word, self._finish.lanes, self._start_type)
