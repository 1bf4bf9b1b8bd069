"""Memory words of named fields, without the bits that are the same in every word."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value
from numpy.typing import NDArray

from .arithmetic import Bits

Columns = Mapping[str, NDArray[Any]]


class Fields:
    """Words of ``columns``, each (words, bits) of zeros and ones, bit 0 first; ``split`` takes a word apart again.

    words, width: what a memory has to hold; a single word where all are alike.
    """

    def __init__(self, columns: Columns):
        self._sizes = {name: bits.shape[1] for name, bits in columns.items()}
        every = np.concatenate([np.asarray(bits, np.uint8) for bits in columns.values()], axis=1)
        self._first = every[0].tolist()
        varying = np.flatnonzero((every != every[0]).any(axis=0))
        self._places = {int(bit): place for place, bit in enumerate(varying)}
        packed = np.packbits(every[:, varying], axis=1, bitorder="little")
        self.words = [int.from_bytes(row.tobytes(), "little") for row in packed]
        self.width = len(varying)
        if not self.width:
            self.words, self.width = [0], 1

    def split(self, m: Module, word: Value) -> dict[str, Signal]:
        """The fields of a word by name; constants where nothing is stored. They are signals, for a field may have
        thousands of bits, and whoever takes one of an expression goes through all of it."""
        found, start = {}, 0
        for name, size in self._sizes.items():
            found[name] = field = Signal(size, name=name)
            m.d.comb += field.eq(Cat(*(self._bit(word, bit) for bit in range(start, start + size))))
            start += size
        return found

    def _bit(self, word: Value, bit: int) -> Bits:
        place = self._places.get(bit)
        return Const(self._first[bit], 1) if place is None else word[place]
