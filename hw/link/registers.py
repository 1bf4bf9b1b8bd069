"""The registers behind a Wishbone bus: one table that gateware, C header, documentation and example are made from."""

from dataclasses import dataclass

from .protocol import DIGEST, MAGIC, VERSION

WORDS = 128
"""Of the address space."""


@dataclass(frozen=True)
class Register:
    """address: in words of 32 bits. access: r, w or rw, of the bus."""

    name: str
    address: int
    access: str
    text: str


IDENTITY = (
    Register("MAGIC", 0, "r", f"0x{int.from_bytes(MAGIC, 'little'):08X}, the letters {MAGIC.decode()}"),
    Register("VERSION", 1, "r", f"{VERSION} in bits 0-7, inputs in 8-15, outputs in 16-23"),
    *(
        Register(f"DIGEST_{word}", 2 + word, "r", f"bytes {4 * word} to {4 * word + 3} of the digest, the first lowest")
        for word in range(DIGEST // 4)
    ),
)
CONTROL = Register("CONTROL", 6, "w", "bit 0: reset design, queues and STATUS")
STATUS = Register(
    "STATUS", 7, "r",
    "bit 0: a word was written to a full input, or not whole, and is lost; bit 1: an empty output was read",
)  # fmt: skip
IN_DATA = Register("IN_DATA", 16, "w", "the next word for input n; a beat is whole words, the lowest first")
OUT_DATA = Register("OUT_DATA", 32, "r", "the next word of output n, which is taken by reading it")
IN_FREE = Register("IN_FREE", 48, "r", "words that may be written to input n now")
OUT_COUNT = Register("OUT_COUNT", 64, "r", "words that may be read from output n now")
OF_STREAMS = (IN_DATA, OUT_DATA, IN_FREE, OUT_COUNT)
"""One for each input or output n, at address + n."""

REGISTERS = (*IDENTITY, CONTROL, STATUS, *OF_STREAMS)
