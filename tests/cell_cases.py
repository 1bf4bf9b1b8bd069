"""The hard cells of which we have models: each as Verilog, and its documented behaviour in Python."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

UNITS = 2048
HELD, NEW, OLD = range(3)  # what a write leaves at the output of its port


@dataclass
class Memory:
    """Words of ``widths`` bits: port A writes and reads, port B reads; of units of 9 bits, or 8 if ``plain``.

    mode: what a write leaves at port A. registers: at the outputs. resets: port B has a reset. sides: of the outputs.
    """

    widths: tuple[int, int]
    plain: bool = False
    mode: int = HELD
    registers: tuple[int, int] = (0, 0)
    resets: bool = True
    sides: str = "ab"
    units: list[int] = field(default_factory=list)

    def __post_init__(self):
        unit = 256 if self.plain else 512
        self.units = [int(value) for value in np.random.default_rng(0).integers(0, unit, UNITS)]

    @property
    def bits(self):
        return 8 if self.plain else 9

    def places(self, width, address):
        count = max(1, width // self.bits)
        first = (address >> 3) // count * count
        return range(first, first + count)

    def part(self, width, address):
        """The lowest bit of a word within its unit."""
        return address % 8 // width * width if width < 8 else 0

    def read(self, width, address):
        places = self.places(width, address)
        word = sum(self.units[place] << self.bits * index for index, place in enumerate(places))
        return word >> self.part(width, address) & (1 << width) - 1

    def write(self, width, address, data, enables):
        if width < 8:
            place, low = address >> 3, self.part(width, address)
            mask = (1 << width) - 1 << low
            self.units[place] = self.units[place] & ~mask | data << low & mask
            return
        for index, place in enumerate(self.places(width, address)):
            if width < 16 or enables >> index & 1:
                self.units[place] = data >> self.bits * index & (1 << self.bits) - 1

    def run(self, inputs):
        latch, register, seen = [0, 0], [0, 0], []
        for now in inputs:
            before = [self.read(width, now[f"address_{port}"]) for width, port in zip(self.widths, "ab")]
            register = list(latch)
            if now["on_a"]:
                written = now["data_a"] & (1 << self.widths[0]) - 1
                shown = (latch[0], written, before[0])[self.mode] if now["write_a"] else before[0]
                latch[0] = shown
            if now["on_b"]:
                latch[1] = before[1]
            if now["reset_b"] and self.resets:
                latch[1] = register[1] = 0
            if now["on_a"] and now["write_a"]:
                self.write(self.widths[0], now["address_a"], now["data_a"], now["enables"])
            seen.append([(register if held else latch)[port] for port, held in enumerate(self.registers)])
        return seen


def product(width, registers, is_signed):
    """Outputs of a multiplier with so many registers before, within and behind it, always enabled."""

    def run(inputs):
        rows, delay = [], sum(registers)
        for now in inputs:
            operands = [now[f"data_{port}"] & (1 << width) - 1 for port in "ab"]
            if is_signed:
                operands = [value - (1 << width) if value >> width - 1 else value for value in operands]
            rows.append([operands[0] * operands[1] & (1 << 2 * width) - 1])
        # The cycle's own inputs are seen behind one register, for outputs are looked at after the edge.
        lag = max(delay - 1, 0)
        return [[0]] * lag + rows[: len(rows) - lag]

    return run


def cell(kind, name, parameters, ports):
    given = [", ".join(f".{key}({value})" for key, value in found.items()) for found in (parameters, ports)]
    return f"  {kind} #({given[0]}) {name} ({given[1]});\n"


def rows(memory, per_row, step, count):
    """The initial content as ``count`` numbers of ``per_row`` units, ``step`` bits apart."""
    parts = [memory.units[per_row * row : per_row * (row + 1)] for row in range(count)]
    return [sum(unit << step * place for place, unit in enumerate(part)) for part in parts]


def enabled(width, vector="address_a"):
    """An address with the byte enables of a wide word in its lowest bits."""
    if width < 16:
        return vector
    return f"{{{vector}[13:5], 1'b0, enables}}" if width >= 32 else f"{{{vector}[13:4], 2'b0, enables[1:0]}}"


def dp16kd(memory, name):
    """A wide word takes the data pins of both sides, and where it is read, side B rules them."""
    a, b = memory.widths
    pairs = rows(memory, 2, 9, 1024)
    words = [sum(word << 20 * place for place, word in enumerate(pairs[16 * row :][:16])) for row in range(64)]
    parameters = {f"INITVAL_{row:02X}": f"320'h{word:x}" for row, word in enumerate(words)}
    modes = ['"OUTREG"' if register else '"NOREG"' for register in memory.registers]
    parameters |= {"DATA_WIDTH_A": a, "DATA_WIDTH_B": b, "REGMODE_A": modes[b == 36], "REGMODE_B": modes[1]}
    ports = {f"AD{side}{bit}": f"{name}_ad{side}[{bit}]" for side in "AB" for bit in range(14)}
    ports |= {f"DI{side}{bit}": f"data_a[{bit + 18 * (side == 'B')}]" for side in "AB" for bit in range(18)}
    for bit in range(18):
        ports[f"DOA{bit}"] = f"{name}_b[{bit}]" if b == 36 else f"{name}_a[{bit}]"
        ports[f"DOB{bit}"] = f"{name}_b[{bit + 18 * (b == 36)}]"
    for side, on, write, reset in (("A", "on_a", "write_a", "1'b0"), ("B", "on_b", "1'b0", "reset_b")):
        ports |= {f"CE{side}": on, f"OCE{side}": "1'b1", f"CLK{side}": "clk", f"WE{side}": write, f"RST{side}": reset}
        ports |= {f"CS{side}{bit}": "1'b0" for bit in range(3)}
    wires = f"  wire [13:0] {name}_adA = {enabled(a)}, {name}_adB = address_b;\n"
    return wires + cell("DP16KD", name, parameters, ports)


def gowin(kind):
    def write(memory, name):
        unit, (a, b) = memory.bits, memory.widths
        words = rows(memory, 32, unit, 64)
        parameters = {f"INIT_RAM_{row:02X}": f"{32 * unit}'h{word:x}" for row, word in enumerate(words)}
        first, second = memory.registers
        if kind.startswith("SP"):
            parameters |= {"READ_MODE": first, "WRITE_MODE": memory.mode, "BIT_WIDTH": a}
            ports = {"CLK": "clk", "CE": "on_a", "WRE": "write_a", "OCE": "1'b1", "RESET": "1'b0", "BLKSEL": "3'd0"}
            return cell(kind, name, parameters, ports | {"AD": enabled(a), "DI": "data_a", "DO": f"{name}_a"})
        parameters |= {"BIT_WIDTH_0": a, "BIT_WIDTH_1": b}
        ports = {"CLKA": "clk", "CLKB": "clk", "RESETA": "1'b0", "RESETB": "reset_b", "BLKSELA": "3'd0"}
        ports |= {"BLKSELB": "3'd0", "CEB": "on_b", "ADA": enabled(a), "ADB": "address_b"}
        if kind.startswith("SDP"):  # side A does nothing but write
            ports |= {"CEA": "on_a & write_a", "OCE": "1'b1", "DI": "data_a", "DO": f"{name}_b"}
            return cell(kind, name, parameters | {"READ_MODE": second}, ports)
        parameters |= {"READ_MODE0": first, "READ_MODE1": second, "WRITE_MODE0": memory.mode}
        ports |= {"CEA": "on_a", "WREA": "write_a", "WREB": "1'b0", "OCEA": "1'b1", "OCEB": "1'b1"}
        ports |= {"DIA": "data_a", "DIB": "18'd0", "DOA": f"{name}_a", "DOB": f"{name}_b"}
        return cell(kind, name, parameters, ports)

    return write


def split(vector, units):
    """The data and the parity bits of some units of nine bits."""
    data = ", ".join(f"{vector}[{9 * unit + 7}:{9 * unit}]" for unit in reversed(units))
    return f"{{{data}}}", f"{{{', '.join(f'{vector}[{9 * unit + 8}]' for unit in reversed(units))}}}"


def xilinx(size):
    """A wide word takes the data pins of both sides, of which A then reads and B writes."""

    def write(memory, name):
        a, b = memory.widths
        side, is_wide = size // 9, a == 36 and size == 18
        first, second = range(side), range(side, 2 * side)
        data = [
            sum((unit & 255) << 8 * at for at, unit in enumerate(memory.units[32 * row :][:32])) for row in range(64)
        ]
        parity = [sum((unit >> 8) << at for at, unit in enumerate(memory.units[256 * row :][:256])) for row in range(8)]
        parameters = {f"INIT_{row:02X}": f"256'h{word:x}" for row, word in enumerate(data)}
        parameters |= {f"INITP_{row:02X}": f"256'h{word:x}" for row, word in enumerate(parity)}
        ports = dict.fromkeys(("CLKARDCLK", "CLKBWRCLK"), "clk")
        ports |= dict.fromkeys(
            ("REGCEAREGCE", "REGCEB", "RSTRAMB", "RSTRAMARSTRAM", "RSTREGARSTREG", "RSTREGB"), "1'b0"
        )
        ports["DIADI"], ports["DIPADIP"] = split("data_a", first)
        ports["DOADO"], ports["DOPADOP"] = split(f"{name}_b" if is_wide else f"{name}_a", first)
        ports["DOBDO"], ports["DOPBDOP"] = split(f"{name}_b", second if is_wide else first)
        top = "1'b1, 1'b0, " if size == 36 else ""
        sides, wires = ("BWR", "ARD") if is_wide else ("ARD", "BWR"), "ab"
        for wire, pin in zip(wires, sides, strict=True):
            ports |= {
                f"ADDR{pin}ADDR": f"{{{top}address_{wire}}}",
                "EN" + {"ARD": "ARDEN", "BWR": "BWREN"}[pin]: f"on_{wire}",
            }
        enables = "write_a ? enables : 4'd0"
        if is_wide:
            ports["DIBDI"], ports["DIPBDIP"] = split("data_a", second)
            parameters |= {"RAM_MODE": '"SDP"', "READ_WIDTH_A": b, "WRITE_WIDTH_B": a}
            ports |= {"WEA": "2'd0", "WEBWE": enables}
        else:
            mode = ("NO_CHANGE", "WRITE_FIRST", "READ_FIRST")[memory.mode]
            parameters |= {"READ_WIDTH_A": a, "READ_WIDTH_B": b, "WRITE_WIDTH_A": a, "WRITE_MODE_A": f'"{mode}"'}
            ports |= {"WEA": "{4{write_a}}" if a < 18 else enables, "WEBWE": "0", "DIBDI": "0", "DIPBDIP": "0"}
        return cell(f"RAMB{size}E1", name, parameters, ports)

    return write


def mult18x18d(name):
    stages = [f"REG_{stage}_CLK" for stage in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")]
    ports = {f"{side}{bit}": f"data_{side.lower()}[{bit}]" for side in "AB" for bit in range(18)}
    ports |= {f"C{bit}": "1'b0" for bit in range(18)} | {f"P{bit}": f"{name}_a[{bit}]" for bit in range(36)}
    ports |= {
        "SIGNEDA": "1",
        "SIGNEDB": "1",
        "SOURCEA": "0",
        "SOURCEB": "0",
        "CLK0": "clk",
        "CE0": "1",
        "RST0": "0",
    }
    return cell("MULT18X18D", name, dict.fromkeys(stages, '"CLK0"'), ports)


def gowin_product(width, registers, is_signed):
    def write(name):
        parameters = dict(zip(("AREG", "PIPE_REG", "OUT_REG"), registers)) | {"BREG": registers[0]}
        ports = {"A": "data_a", "B": "data_b", "CE": "1'b1", "CLK": "clk", "DOUT": f"{name}_a"}
        ports |= dict.fromkeys(("ASIGN", "BSIGN"), f"1'd{is_signed:d}")
        ports |= dict.fromkeys(("SIA", "SIB", "ASEL", "BSEL", "RESET"), "1'b0")
        return cell(f"MULT{width}X{width}", name, parameters, ports)

    return write


MEMORIES = {
    "dp16kd.v": [
        (dp16kd, Memory((36, 36), registers=(0, 1), sides="b")),
        (dp16kd, Memory((18, 9), registers=(1, 0))),
        (dp16kd, Memory((9, 18), registers=(0, 1))),
        (dp16kd, Memory((4, 2))),
    ],
    "gowin_memory.v": [
        (gowin("SDPX9B"), Memory((36, 36), registers=(0, 1), sides="b")),
        (gowin("SDPX9B"), Memory((9, 18), sides="b")),
        (gowin("DPX9B"), Memory((18, 9), mode=NEW, registers=(1, 0))),
        (gowin("SPX9"), Memory((36, 36), mode=OLD, sides="a")),
        (gowin("SDPB"), Memory((4, 32), plain=True, sides="b")),
        (gowin("DPB"), Memory((2, 1), plain=True, mode=NEW)),
        (gowin("SP"), Memory((16, 16), plain=True, sides="a")),
    ],
    "xilinx_memory.v": [
        (xilinx(18), Memory((36, 36), resets=False, sides="b")),
        (xilinx(18), Memory((18, 9), mode=OLD, resets=False)),
        (xilinx(36), Memory((9, 36), mode=NEW, resets=False)),
        (xilinx(36), Memory((4, 2), resets=False)),
    ],
}
PRODUCTS = {
    "mult18x18d.v": [(mult18x18d, product(18, (1, 1, 1), True))],
    "gowin_multiplier.v": [
        (gowin_product(*how), product(*how))
        for how in ((9, (1, 1, 1), True), (18, (0, 0, 0), False), (18, (1, 0, 1), True))
    ],
}

CASES = [
    (f"{Path(file).stem}_{place}", *case)
    for file, cases in (MEMORIES | PRODUCTS).items()
    for place, case in enumerate(cases)
]
"""Name, what writes the cell as Verilog, and what tells its outputs."""
