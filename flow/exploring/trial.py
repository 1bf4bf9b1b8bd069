"""One trial: train the network of a point, plan it for the target, and say what it achieves, or why it cannot be."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import PlanError
from ..folder import digest_of, read_json, tool_digest, write_json
from .networks import Network, make_network
from .settings import AREA, Hardware, Point, Training

Outcome = dict[str, Any]
"""network: its name; figures: by name; or infeasible: the reason."""


@dataclass(frozen=True)
class Task:
    """What a process needs to do a trial; paths are absolute, for processes elsewhere."""

    run: Path
    data: Path | None
    folder: Path
    training: Training
    hardware: Hardware
    point: Point


def evaluate(task: Task, at: Callable[[str], None] = lambda what: None) -> Outcome:
    """The figures of a point; the same task gives the same, and costs nothing the second time.

    A target that no hardware reaches, and a device that is too small, are results like others: ``infeasible`` says why.
    """
    network = make_network(task.run, task.data, task.folder, task.training, task.point, at)
    key = digest_of([network.name, tool_digest(), asdict(task.hardware), dict(task.point)])
    path = task.folder / "points" / f"{key[:24]}.json"
    if path.exists():
        return read_json(path)
    at("plan and map" if task.hardware.synth else "plan")
    outcome: Outcome = {"network": network.name}
    try:
        outcome["figures"] = network.scores | build(network, task.hardware, task.point)
    except PlanError as error:
        outcome["infeasible"] = str(error)
    path.parent.mkdir(exist_ok=True)
    write_json(path, outcome)
    return outcome


def build(network: Network, hardware: Hardware, point: Point) -> dict[str, float]:
    """Rate, cycles, work and area, predicted or by yosys, of the planned network; raises PlanError."""
    from ...hw.design import generate
    from ...hw.folding_file import read_plan
    from ..hardware import figures_of
    from ..options import PlanOptions
    from ..steps import FOLDING, graph_of, plan_network

    most = _whole(point.get("most_multipliers"))
    options = PlanOptions(point.get("target_fps"), hardware.clock_mhz, most, device=hardware.device)
    with tempfile.TemporaryDirectory() as scratch:
        plan_network(network.build, options, Path(scratch), lambda what: None)
        planned = read_json(Path(scratch) / "plan.json")
        graph = graph_of(network.build)
        design = generate(graph, read_plan(Path(scratch) / FOLDING))
    timing = {name: planned[name] for name in ("fps", "ii_cycles", "latency_cycles")}
    predicted = {name: planned["area"][name] for name in AREA}
    return timing | predicted | figures_of(graph, design, hardware.device if hardware.synth else None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
