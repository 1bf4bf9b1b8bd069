"""Memories of weights and thresholds that can be written: two banks, one of which is in use."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .arithmetic import delay
from .memory import BLOCK_SHAPES, choose_style, read_cycles

COLUMN = 36
"""Bits that are written at once: the widest word of a block RAM."""

SPRAM, SPRAM_BITS, SPRAM_WORDS = "espalier_spram", 16, 1 << 14
"""How the names of memories begin that become SPRAM, and the size of one."""

COLUMN_BYTES = -(-COLUMN // 8)


class DoubleRam(wiring.Component):
    """``words[address]`` of the bank in use, ``width`` bits, ``latency`` cycles after address and bank, like `Rom`.

    A word is written in columns of ``COLUMN`` bits, 16 in SPRAM: ``write`` puts the upper bytes of ``data`` into a
    column of the bank that is not in use. At first ``words`` are in bank 0.

    style: "block", "lut", or "spram": memories of one port, of which each bank has its own.
    """

    def __init__(self, words: Sequence[int], width: int, style: str = "auto"):
        self.words = list(words)
        self._half = 1 << (len(self.words) - 1).bit_length()
        self._style = choose_style(self._depth, width) if style == "auto" else style
        self.latency = read_cycles(self._depth, self._style)
        self._most = SPRAM_BITS if style == "spram" else COLUMN
        self.columns = [min(self._most, width - low) for low in range(0, width, self._most)]
        address = range(max(2, len(self.words)))
        super().__init__(
            {
                "bank": In(1),
                "address": In(address),
                "word": Out(width),
                "write_address": In(address),
                "data": In(8 * COLUMN_BYTES),
                "write": In(len(self.columns)),
            }
        )

    @property
    def _depth(self) -> int:
        """Of both banks."""
        return 2 * self._half

    @property
    def is_plain(self) -> bool:
        """Whether no logic stands before the register with the word."""
        return self._style == "block" and self._depth <= BLOCK_SHAPES[-1][1]

    def column_words(self, column: int) -> list[int]:
        """What a column holds at first."""
        mask = (1 << self.columns[column]) - 1
        return [word >> self._most * column & mask for word in self.words]

    def elaborate(self, platform):
        m = Module()
        found = Signal(len(self.word), reset_less=True)
        read = self._single_ports if self._style == "spram" else self._column
        parts = [part for column in range(len(self.columns)) for part in read(m, column)]
        m.d.sync += found.eq(delay(m, Cat(*parts), max(0, self.latency - 2), "read"))
        m.d.comb += self.word.eq(found)
        return m

    @property
    def _is_block(self) -> bool:
        return self._style == "block"

    def _column(self, m: Module, column: int) -> list[Value]:
        """What is read of a column; in block RAM it lies in memories as wide as a block is at this depth."""
        bits, words = self.columns[column], self.column_words(column)
        deep = min(self._depth, BLOCK_SHAPES[-1][1])
        most = next(wide for wide, depth in BLOCK_SHAPES if depth >= deep) if self._is_block else bits
        above = len(self.data) - 8 * -(-bits // 8)
        parts = []
        for low in range(0, bits, most):
            width = min(most, bits - low)
            fields = [word >> low & ((1 << width) - 1) for word in words]
            data = self.data[above + low : above + low + width]
            parts.append(self._memory(m, f"column_{column}_{low}", fields, width, self.write[column], data))
        return parts

    def _single_ports(self, m: Module, column: int) -> list[Value]:
        """What is read of a column that has a memory of one port for each bank. yosys makes SPRAM of it, without what
        it holds at first (boards/ice40.py)."""
        bits, found = self.columns[column], []
        data = self.data[len(self.data) - 8 * -(-bits // 8) :][:bits]
        for bank in range(2):
            words = [] if bank else self.column_words(column)
            memory = Memory(shape=bits, depth=max(2, self._half), init=words, attrs={"ram_style": "huge"})
            m.submodules[f"{SPRAM}_{column}_{bank}"] = memory
            port, read = memory.write_port(), memory.read_port()
            address = Signal(range(memory.depth), name=f"address_{column}_{bank}")
            m.d.comb += [
                address.eq(Mux(self.bank == bank, self.address, self.write_address)),
                port.addr.eq(address),
                read.addr.eq(address),
                port.data.eq(data),
                port.en.eq(self.write[column] & (self.bank != bank)),
                read.en.eq(~port.en),
            ]
            found.append(read.data)
        return [Value.cast(Mux(delay(m, self.bank, 1, f"bank_{column}"), found[1], found[0]))]

    def _memory(self, m: Module, name: str, words: Sequence[int], width: int, write: Value, data: Value) -> Value:
        style = "block" if self._is_block else "distributed"
        # What is read is never what is written: that is the other bank.
        attrs = {"ram_style": style, "no_rw_check": 1}
        m.submodules[name] = memory = Memory(shape=width, depth=self._depth, init=words, attrs=attrs)
        port, read = memory.write_port(), memory.read_port(domain="sync" if self._is_block else "comb")
        m.d.comb += [
            port.en.eq(write),
            port.addr.eq(self._place(self.write_address, ~self.bank)),
            port.data.eq(data),
            read.addr.eq(self._place(self.address, self.bank)),
        ]
        return read.data

    def _place(self, address: Value, bank: Value) -> Value:
        return Value.cast(Cat(address[: self._half.bit_length() - 1], bank))
