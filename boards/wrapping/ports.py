"""The ports of a wrapped design, with a comment for each: what templates and examples are written from."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...hw.design import Channel, Design
from ...hw.link.registers import WORDS
from ...hw.link.spi import CYCLES_PER_BIT
from ...hw.verilog import borders


@dataclass(frozen=True)
class Port:
    """A port of the wrapper's module; width in bits."""

    name: str
    is_input: bool
    width: int
    text: str


CLOCK = (
    Port("clk", True, 1, "everything happens at its rising edge"),
    Port("rst", True, 1, "synchronous, high for a cycle or more at the start"),
)
UART = (
    Port("rx", True, 1, "the design receives"),
    Port("tx", False, 1, "the design sends"),
)
SPI = (
    Port("sck", True, 1, f"of the master, mode 0; a period takes {CYCLES_PER_BIT} cycles of clk at least"),
    Port("cs", True, 1, "low while the design is selected"),
    Port("copi", True, 1, "the design receives"),
    Port("cipo", False, 1, "the design sends; driven always, so put a tri-state buffer by cs where others share it"),
)
WISHBONE = (
    Port("wb_cyc", True, 1, "Wishbone B4, classic cycles"),
    Port("wb_stb", True, 1, ""),
    Port("wb_we", True, 1, ""),
    Port("wb_sel", True, 4, "data is written where all four are high"),
    Port("wb_adr", True, (WORDS - 1).bit_length(), "counts words of 32 bits"),
    Port("wb_dat_i", True, 32, "to the design"),
    Port("wb_dat_o", False, 32, "from the design"),
    Port("wb_ack", False, 1, "one cycle after stb"),
)


def ports_of(design: Design, bus: str) -> list[Port]:
    """Ports of ``design`` wrapped for ``bus``: uart, spi, wishbone or axi-stream."""
    fixed: dict[str, Sequence[Port]] = {"uart": UART, "spi": SPI, "wishbone": WISHBONE}
    if bus in fixed:
        return [*CLOCK, *fixed[bus]]
    return [*CLOCK, *(port for channel in borders(design) for port in _axi_stream(channel))]


def _axi_stream(channel: Channel) -> list[Port]:
    is_input, name = channel.is_input, channel.port
    return [
        Port(f"{name}_tdata", is_input, -(-channel.width // 8) * 8, describe_stream(channel)),
        Port(f"{name}_tvalid", is_input, 1, ""),
        Port(f"{name}_tready", not is_input, 1, ""),
        Port(f"{name}_tlast", is_input, 1, "not looked at" if is_input else "the last beat of a frame"),
    ]


def describe_stream(channel: Channel) -> str:
    """Shape, type, lanes and beats."""
    shape = " x ".join(map(str, channel.type.shape))
    lanes = f"{channel.lanes} lane{'s' * (channel.lanes != 1)}"
    return f"{shape} of {channel.type.dtype}; {lanes}, the first one lowest; {channel.beats} beats per frame"
