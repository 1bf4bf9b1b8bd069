"""``espalier report --html``: reads build folders, and writes the page when it is whole."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from ...errors import BuildError
from ..exploring.results import is_exploration
from ..folder import read_build, write_atomic
from ..progress import progress


def html_verb(builds: Sequence[Path], file: Path, as_json: bool) -> None:
    check(builds, file, as_json)
    from amaranth.hdl import UnusedElaboratable

    from .figures import read_figures
    from .page import page

    # The hardware is described for its timing alone; Amaranth would warn that it is never written out.
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    with progress("report") as at:
        found = []
        for build, name in zip(builds, names(builds)):
            at(f"read {build}")
            found.append(read_figures(build, name))
        write_atomic(file, page(found).encode())


def check(builds: Sequence[Path], file: Path, as_json: bool) -> None:
    """Raise for what is wrong with the command line, before any work is done."""
    if as_json:
        raise BuildError("--html and --json: the report is either a page or JSON; leave out one of the two")
    if file.is_dir():
        raise BuildError(f"--html {file}: is a folder; name a file in it such as {file / 'report.html'}")
    if not file.parent.is_dir():
        raise BuildError(f"--html {file}: there is no folder {file.parent}; make it, or choose another file")
    places = [build.resolve() for build in builds]
    for place, build in zip(places, builds):
        if is_exploration(build):
            raise BuildError(f"{build}: holds an exploration, which is plotted in its pareto.svg; --html takes builds")
        if places.count(place) > 1:
            raise BuildError(f"{build}: is given twice; give each build once")
        read_build(build).need("plan")


def names(builds: Sequence[Path]) -> list[str]:
    """What each build is called: its folder's name, or where several have the same, the path as it was given."""
    short = [build.resolve().name for build in builds]
    return [name if short.count(name) == 1 else str(build) for name, build in zip(short, builds)]
