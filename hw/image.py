"""Images of weights: the bytes that replace what all memories of a design hold, and how hardware knows them as its own.

An image is a header (a magic number, how many bytes of contents follow, the digest of their layout), the contents, and
a CRC-32 over all that, little-endian. The contents are the columns of all memories, one after the other, each its words
in the order of their addresses, each word in whole bytes.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from ..errors import LinkError
from ..ir.graph import Graph
from ..ir.store import digest
from .double_ram import DoubleRam
from .plan import Plan

MAGIC, LENGTH, DIGEST, CRC = b"ESPW", 4, 16, 4
"""The parts of a header, and what comes last, in bytes."""

VERSION = 1


@dataclass(frozen=True)
class Column:
    """Bits of all words of a memory that are written at once."""

    memory: str
    words: int
    bits: int

    @property
    def bytes_each(self) -> int:
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Layout:
    """What stands where in an image."""

    columns: tuple[Column, ...]
    digest: bytes

    @property
    def length(self) -> int:
        """Bytes of contents."""
        return sum(column.words * column.bytes_each for column in self.columns)

    @property
    def header(self) -> bytes:
        return MAGIC + self.length.to_bytes(LENGTH, "little") + self.digest


def layout_of(memories: Mapping[str, DoubleRam], graph: Graph, plan: Plan) -> Layout:
    """graph: what the hardware is built for, without contents that can be replaced."""
    columns = tuple(
        Column(name, len(memory.words), bits) for name, memory in memories.items() for bits in memory.columns
    )
    known = [VERSION, digest(graph), asdict(plan), [asdict(column) for column in columns]]
    return Layout(columns, sha256(json.dumps(known).encode()).digest()[:DIGEST])


def image_length(layout: Layout) -> int:
    """Bytes of a whole image."""
    return len(layout.header) + layout.length + CRC


def make_image(memories: Mapping[str, DoubleRam], layout: Layout) -> bytes:
    """The image of what the memories hold at first."""
    places = [(memory, column) for memory in memories.values() for column in range(len(memory.columns))]
    parts = [layout.header]
    for (memory, place), column in zip(places, layout.columns, strict=True):
        parts += [word.to_bytes(column.bytes_each, "little") for word in memory.column_words(place)]
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(CRC, "little")


def check_image(image: bytes, layout: Layout) -> None:
    """Raise LinkError unless it is a whole image of this layout; the hardware checks the same."""
    header, expected = image[: len(layout.header)], image_length(layout)
    if header[: len(MAGIC)] != MAGIC:
        raise LinkError("weights: no image of Espalier; `espalier bitstream --weights-at` writes one")
    if header[-DIGEST:] != layout.digest:
        raise LinkError(
            f"weights: the image is of layout {header[-DIGEST:].hex()}, the design has {layout.digest.hex()}; make it "
            "for the plan and the network of this design"
        )
    if len(image) != expected or header != layout.header:
        raise LinkError(f"weights: the image has {len(image)} bytes, needs {expected}; make it again")
    if zlib.crc32(image[:-CRC]).to_bytes(CRC, "little") != image[-CRC:]:
        raise LinkError("weights: the image is damaged: its CRC is wrong; make it again")
