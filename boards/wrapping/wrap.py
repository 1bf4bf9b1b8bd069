"""Writes a design for people who integrate it themselves: its Verilog as it was simulated, and what a bus needs."""

from pathlib import Path
from typing import Any

from amaranth.back import verilog

from ...errors import PlanError
from ...hw.design import Design
from ...hw.generated_core import GeneratedCore
from ...hw.link.linked import LinkedCore, digest_of
from ...hw.link.spi import Spi
from ...hw.link.uart import Uart, cycles_per_bit
from ...hw.link.wishbone import WishboneCore
from ...hw.verilog import AxiStream
from ..host.c_header import c_header, registers_header
from .files import core_file, instance_template, litex_example
from .ports import ports_of

BUSES = ("uart", "spi", "wishbone", "axi-stream")


def write_wrapped(design: Design, core: str, bus: str, folder: Path, *, baud: int, clock_mhz: float) -> list[str]:
    """Write the files of ``design``, whose Verilog is ``core``, wrapped for ``bus`` to ``folder``; return their names.

    baud, clock_mhz: of a UART. A design that has AXI streams already gets no wrapper for them.
    """
    if design.memories:
        raise PlanError(
            f"--bus {bus}: weights are loaded on boards only yet; choose other memories than ram and spram for "
            f"{', '.join(sorted({name.partition('.')[0] for name in design.memories}))}"
        )
    wrapper, sources = _wrapper(design, core, bus, baud, clock_mhz), [f"{design.top}.v"]
    module = design.top
    texts = {sources[0]: core}
    if wrapper is not None:
        module = f"{design.top}_{bus.replace('-', '_')}"
        sources.append(f"{module}.v")
        texts[sources[1]] = verilog.convert(wrapper, name=module, emit_src=False, strip_internal_attrs=True)
    ports, header = ports_of(design, bus), c_header(design, digest_of(core))
    texts[f"{module}.core"] = core_file(module, sources, f"Network {design.top} behind {bus}, by Espalier")
    texts[f"{module}_instance.v"] = instance_template(module, ports)
    if bus == "wishbone":
        texts[f"{module}_litex.py"] = litex_example(module, sources, ports)
        header += "\n" + registers_header()
    texts[f"{design.top}.h"] = header
    for name, text in texts.items():
        (folder / name).write_text(text)
    return list(texts)


def _wrapper(design: Design, core: str, bus: str, baud: int, clock_mhz: float) -> Any:
    digest = digest_of(core)
    if bus == "uart":
        return LinkedCore(design, digest, Uart(cycles_per_bit(clock_mhz, baud)))
    if bus == "spi":
        return LinkedCore(design, digest, Spi())
    if bus == "wishbone":
        return WishboneCore(design, digest)
    if bus == "axi-stream":
        return None if design.plan.interface == "axi-stream" else AxiStream(design, GeneratedCore(design))
    raise PlanError(f"--bus {bus!r} is unknown; known: {', '.join(BUSES)}")
