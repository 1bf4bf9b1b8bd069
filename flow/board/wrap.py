"""The verb `espalier wrap`."""

import json
import shutil
import tempfile
from pathlib import Path

from ...errors import BuildError
from ..folder import read_build
from ..steps import design_of, generated_verilog
from ..table import pairs
from ..verbs import positive
from .flags import WrapOptions


def wrap_verb(build: Path, options: WrapOptions, as_json: bool) -> None:
    """Write the files and print their names; raises BuildError where something else is in their place."""
    from ...boards.wrapping.wrap import write_wrapped

    positive("--baud", options.baud)
    positive("--clock-mhz", options.clock_mhz)
    folder = read_build(build)
    design, core = design_of(folder), generated_verilog(folder)
    clock_mhz = options.clock_mhz or design.plan.clock_mhz
    _check(options.output)
    with tempfile.TemporaryDirectory(prefix="espalier-") as made:
        names = write_wrapped(design, core, options.bus, Path(made), baud=options.baud, clock_mhz=clock_mhz)
        options.output.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(Path(made) / name, options.output / name)
    found = {"bus": options.bus, "folder": str(options.output), "files": names}
    print(json.dumps(found, indent=2) if as_json else pairs(found | {"files": ", ".join(names)}))


def _check(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise BuildError(f"{output}: is a file, need a folder to write to; choose another --output")
