"""The files around a wrapped design that are not hardware: FuseSoC's, a Verilog instance, an example for LiteX."""

from collections.abc import Sequence

from ...hw.link.registers import WORDS
from .ports import Port

LINT = ("-Wno-WIDTH", "-Wno-CASEINCOMPLETE", "-Wno-DECLFILENAME")
"""What Verilator says of all Verilog of Amaranth."""


def core_file(module: str, sources: Sequence[str], text: str) -> str:
    """FuseSoC's description, CAPI=2, with a target that has Verilator look at the files."""
    files = "".join(f"      - {name}\n" for name in sources)
    return f"""CAPI=2:

name: espalier:accelerators:{module}:0
description: {text}

filesets:
  rtl:
    files:
{files}    file_type: verilogSource

targets:
  default:
    filesets: [rtl]
    toplevel: {module}
  lint:
    filesets: [rtl]
    toplevel: {module}
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [{", ".join(LINT)}]
"""


def instance_template(module: str, ports: Sequence[Port]) -> str:
    """Wires and an instance, to be copied into a module."""
    lines = [f"// Instance of {module}, written by Espalier: copy it, connect the wires.\n"]
    for port in ports:
        width = f"[{port.width - 1}:0] " if port.width > 1 else ""
        comment = f" // {'input' if port.is_input else 'output'}{': ' * bool(port.text)}{port.text}"
        lines.append(f"wire {width}{port.name};{comment}\n")
    connections = ",\n".join(f"  .{port.name}({port.name})" for port in ports)
    return "".join([*lines, f"\n{module} accelerator (\n{connections}\n);\n"])


def litex_example(module: str, sources: Sequence[str], ports: Sequence[Port]) -> str:
    """A LiteX module around the Wishbone wrapper, and a function that puts it into a SoC."""
    bus = [port for port in ports if port.name.startswith("wb_")]
    of_bus = {"wb_dat_i": "dat_w", "wb_dat_o": "dat_r"}
    connections = "".join(
        f"            {'i' if port.is_input else 'o'}_{port.name}=self.bus."
        f"{of_bus.get(port.name, port.name.removeprefix('wb_'))}{f'[:{port.width}]' * (port.name == 'wb_adr')},\n"
        for port in bus
    )
    return f'''"""{module} in a LiteX SoC, written by Espalier; the C header has its registers."""

from pathlib import Path

from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import wishbone
from migen import ClockSignal, Instance, ResetSignal

SOURCES = {tuple(sources)!r}


class Accelerator(LiteXModule):
    def __init__(self, platform):
        self.bus = wishbone.Interface(data_width=32, addressing="word")
        self.specials += Instance(
            "{module}",
            i_clk=ClockSignal("sys"),
            i_rst=ResetSignal("sys"),
{connections}        )
        for name in SOURCES:
            platform.add_source(str(Path(__file__).with_name(name)))


def add_accelerator(soc, origin=0x9000_0000):
    """Put it on the bus of ``soc``; the header's addresses count from ``origin``."""
    soc.accelerator = Accelerator(soc.platform)
    region = SoCRegion(origin=origin, size={4 * WORDS:#x}, cached=False)
    soc.bus.add_slave("accelerator", soc.accelerator.bus, region)
'''
