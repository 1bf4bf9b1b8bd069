"""What differs between families of devices: how yosys maps to one, what its cells take, and which tools go on."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import ToolError
from .area import Area
from .devices import Device
from .netlist import Absorbed, Module

if TYPE_CHECKING:
    from ..hw.resources import Cells


@dataclass(frozen=True)
class Tool:
    """A tool in a Python package from pip; ``start`` is a program that runs it with the arguments of a shell."""

    name: str
    package: str
    install: str
    start: str

    def command(self, arguments: Sequence[str]) -> list[str]:
        if find_spec(self.package) is None:
            raise ToolError(f"{self.name} not found; run `pip install {self.install}`")
        return [sys.executable, "-c", self.start, *arguments]


def yowasp(name: str, package: str) -> Tool:
    """A tool that YoWASP packs."""
    start = f"import sys, {package} as tools; sys.exit(tools.run_{name.replace('-', '_')}(sys.argv[1:]))"
    return Tool(name, package, package.replace("_", "-"), start)


@dataclass(frozen=True)
class Pin:
    """A port of one bit of the top module, the pin it is on, and the attributes of its buffer."""

    port: str
    pin: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Files:
    """What a placement reads and writes, all in one folder: netlist, constraints, and the placed design."""

    netlist: str
    constraints: str
    placed: str


@dataclass(frozen=True)
class Placer:
    """How a family's designs are placed, routed and made into bitstreams.

    constraints, placed, bitstream: suffixes of these files. arguments: those of ``tool`` that name device and files.
    constrain: text of the constraints for pins, and for the clock in MHz on port ``clk``. luts: lookup tables of the
    device that placed cells take, of a number for each type. pack: arguments of ``packer`` for the placed design and
    the bitstream. renamed: pattern of what nextpnr adds to the name of a cell.
    """

    tool: Tool
    packer: Tool
    constraints: str
    placed: str
    bitstream: str
    arguments: Callable[[Device, Files], list[str]]
    constrain: Callable[[Sequence[Pin], float], str]
    luts: Callable[[Mapping[str, int]], int]
    pack: Callable[[Device, str, str], list[str]]
    renamed: str = "$^"


def leave(module: Module) -> tuple[Module, Absorbed]:
    """The netlist as it is."""
    return module, Absorbed(0, 0, {})


@dataclass(frozen=True)
class Family:
    """map: passes of yosys that map module ``top``, flattened, to cells, and write ``file``; dsp: products may go to
    DSP blocks; is_whole: the ports are pins of the device. measure: the area of a flattened netlist. cells: how
    many lookup tables others take, before placing. edit: improves a netlist without changing what it does.
    register: how types of flip-flops begin. block_kbit: of a block RAM. placer: where one from pip exists.
    """

    map: Callable[[Device, str, str, bool, bool], str]
    measure: Callable[[Module], Area]
    cells: "Cells"
    register: str
    edit: Callable[[Module], tuple[Module, Absorbed]] = leave
    block_kbit: int = 18
    placer: Placer | None = None
