"""The accelerator of a build folder on a board, from Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...boards.host.accelerator import Accelerator
from ...boards.host.serial_port import SerialPort
from ...hw.design import Design
from ..folder import BuildFolder, read_build, read_entry
from ..steps import design_of
from .bitstream import RESULT


@contextmanager
def connect(build: Path, port: str) -> Iterator[Accelerator]:
    """The board on serial port ``port``, which has to run the bitstream of the folder ``build``, else LinkError."""
    folder = read_build(build)
    folder.need("bitstream")
    with connect_design(folder, design_of(folder), port) as accelerator:
        yield accelerator


@contextmanager
def connect_design(folder: BuildFolder, design: Design, path: str) -> Iterator[Accelerator]:
    """The same of a folder with its ``design`` at hand."""
    made = folder.step("bitstream") / RESULT
    port = SerialPort(path, read_entry(made, "baud"))
    try:
        yield Accelerator(design, bytes.fromhex(read_entry(made, "digest")), port)
    finally:
        port.close()
