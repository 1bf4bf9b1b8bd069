"""The skip queues of ResNet-8 and the U-Net: as deep as endless ones need, and what one place less costs."""

from dataclasses import replace

import pytest

from espalier.errors import PlanError
from espalier.flow import cli
from espalier.hw.design import generate
from espalier.hw.fork import ForkStage
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.hw.steady import find_rate
from espalier.hw.timing import connect
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.sim.simulate import simulate
from graphs import random_inputs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")]


@pytest.fixture(params=["resnet8", "unet"], scope="module")
def design(request, tmp_path_factory):
    if request.param == "resnet8":
        path = request.getfixturevalue("models_folder") / "resnet8_a4w4b32.onnx"
    else:
        pytest.importorskip("brevitas", reason="needs the train extra")
        run = tmp_path_factory.mktemp("skips") / "run"
        training = ["train", "unet", "-o", str(run), "--data", "digits", "--images", "64", "--epochs", "1"]
        assert cli.run(training) == 0
        path = run / "model.onnx"
    graph = simplify(import_onnx(path).graph)
    return generate(graph, plan(graph, multipliers=256))


def skips(design) -> dict[str, int]:
    """Depths of the queues behind forks and before joins that hold more than a beat."""
    forks = {name for name, stage in design.stages.items() if isinstance(stage, ForkStage)}
    joins = {name for name, stage in design.stages.items() if name not in forks and len(stage.inputs) > 1}
    branches = [link for link in design.links if link.producer in forks or link.consumer in joins]
    return {link.name: link.depth for link in branches if link.depth > 1}


def test_no_throughput_is_lost_against_endless_queues(design):
    endless = [replace(link, depth=None) if link.latency else link for link in design.links]
    rate = find_rate(connect(design.schedules, endless))
    found = analyse(design.schedules, design.links)
    assert found.period_cycles * rate.frames == rate.cycles * found.period_frames


@pytest.mark.verilator
def test_one_place_less_costs_what_the_model_says(design):
    before = analyse(design.schedules, design.links)
    queues = skips(design)
    assert queues
    for name, depth in queues.items():
        depths = {link.name: link.depth for link in design.links if link.latency}
        try:
            less = generate(design.graph, replace(design.plan, depths={**depths, name: depth - 1}))
        except PlanError as error:
            assert "deadlock" in str(error)
            continue
        after = analyse(less.schedules, less.links)
        assert (after.ii_cycles, after.latency_cycles) > (before.ii_cycles, before.latency_cycles), name
        report = simulate(less, random_inputs(design.graph, 3))
        assert report.values_exact and report.cycles_exact, name
        print(
            f"{name} {depth} -> {depth - 1}: II {before.ii_cycles} -> {after.ii_cycles}, latency "
            f"{before.latency_cycles} -> {after.latency_cycles}"
        )
