"""The verb `espalier run`: a user's frames through a board, or through a simulation of all of it."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...boards.bitstream import TOP, WEIGHTS
from ...boards.board import find_board
from ...errors import LinkError
from ...hw.contents import make_image_of
from ...hw.design import Design
from ...ir.execute import dequantize_outputs, execute
from ...ir.graph import Graph, Ints
from ..data import accuracy, archive, check_classes, load_frames, load_labels
from ..execute import check_output
from ..folder import BuildFolder, read_build, read_entry, write_atomic
from ..mismatch import Mismatch
from ..progress import bar, say
from ..steps import design_of, graph_of
from ..table import pairs
from .bitstream import RESULT
from .connect import connect_design
from .flags import RunOptions

MOST_DAMAGE = 0.05
"""Above, hardly a packet comes through."""


def run_verb(build: Path, options: RunOptions, as_json: bool) -> None:
    """Print rate, what the link had to repeat, and how good the answers are; Mismatch if --check finds a wrong one."""
    _check(options)
    folder = read_build(build)
    folder.need("bitstream")
    design = design_of(folder)
    other = graph_of(read_build(options.weights)) if options.weights else None
    graph = make_image_of(design, other)[1] if other else design.graph
    if options.output:
        check_output(options.output, options.inputs, options.labels)
    frames = load_frames(graph, options.inputs, codes=options.codes)
    labels = load_labels(options.labels, count_frames(frames)) if options.labels else None
    if options.labels and labels is not None:
        check_classes(graph, options.labels, labels)
    outputs, result = _stream(folder, design, frames, options, other)
    if labels is not None:
        result["accuracy"] = accuracy(graph, outputs, labels)
    if options.output:
        reals = dequantize_outputs(graph, outputs)
        write_atomic(options.output, archive(outputs | {f"{name}.real": values for name, values in reals.items()}))
    if options.is_checked:
        _compare(graph, frames, outputs)
        result["values_exact"] = True
    print(json.dumps(result, indent=2) if as_json else pairs(result))


def count_frames(arrays: Mapping[str, Ints]) -> int:
    return len(next(iter(arrays.values())))


def _stream(
    folder: BuildFolder, design: Design, frames: Mapping[str, Ints], options: RunOptions, other: Graph | None
) -> tuple[dict[str, Ints], dict[str, Any]]:
    """The outputs of ``frames``, and figures of the session; other: whose weights are loaded first."""
    count = count_frames(frames)
    with (
        nullcontext(options.port) if options.port else _simulate(folder, options.damage) as port,
        connect_design(folder, design, port) as accelerator,
    ):
        if other:
            say("run: load the weights")
            accelerator.load_weights(other)
        start = time.monotonic()
        with bar() as show:
            outputs = accelerator.run(frames, lambda done: show(done / count, f"{done} of {count} frames", False))
        seconds = time.monotonic() - start
    rate = {"frames": count, "frames_per_second": round(count / seconds, 1)}
    return outputs, rate | asdict(accelerator.counts)


def _check(options: RunOptions) -> None:
    if options.is_simulated == (options.port is not None):
        raise LinkError("run: needs the port of a board, --port /dev/ttyUSB0, or else --simulated")
    if options.damage and not options.is_simulated:
        raise LinkError(f"--damage {options.damage:g}: only a simulated line can be damaged; add --simulated")
    if not 0 <= options.damage <= MOST_DAMAGE:
        raise LinkError(f"--damage {options.damage:g}: must be a probability from 0 to {MOST_DAMAGE:g}")


@contextmanager
def _simulate(folder: BuildFolder, damage: float) -> Iterator[str]:
    """The port of the board in simulation."""
    from ...boards.simulated.board import simulate_board
    from ...sim.simulate import USER_CACHE

    say("run: compile the simulation of the board")
    made, cache = folder.step("bitstream"), USER_CACHE.expanduser()
    top, board = (made / TOP).read_text(), find_board(read_entry(made / RESULT, "board"))
    baud, place = (read_entry(made / RESULT, key) for key in ("baud", "weights_at"))
    flash = b"" if place is None else b"\xff" * place + (made / WEIGHTS).read_bytes()
    with (
        tempfile.TemporaryDirectory(prefix="espalier-") as scratch,
        simulate_board(top, board, baud, Path(scratch), damage=damage, flash=flash, cache=cache) as simulated,
    ):
        yield simulated.port


def _compare(graph: Graph, frames: Mapping[str, Ints], outputs: Mapping[str, Ints]) -> None:
    """Raise Mismatch with the first frame that differs from the integer reference."""
    for name, expected in execute(graph, frames).items():
        wrong = np.argwhere(outputs[name] != expected)
        if len(wrong):
            frame, *place = wrong[0].tolist()
            raise Mismatch(
                f"{name}: {len(set(wrong[:, 0].tolist()))} frames differ from the reference; frame {frame}, place "
                f"{place}: expected {expected[tuple(wrong[0])]}, got {outputs[name][tuple(wrong[0])]}"
            )
