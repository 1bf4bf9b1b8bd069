"""Weights on a whole board in simulation: out of its flash at power-up, through the link, into SPRAM."""

import json
from functools import cache

import numpy as np
import pytest

from espalier.boards.bitstream import make_bitstream
from espalier.boards.board import find_board
from espalier.boards.gateware.top import NAME, PLACE, choose_clock, write_top
from espalier.boards.host import accelerator
from espalier.boards.host.accelerator import Accelerator
from espalier.boards.host.serial_port import SerialPort
from espalier.boards.mapping import NETLIST, Job, map_design, write_design
from espalier.boards.netlist import count_cells
from espalier.boards.netlist_check import simulate_netlist, write_verilog
from espalier.boards.simulated.board import simulate_board
from espalier.boards.wrapping.wrap import write_wrapped
from espalier.errors import LinkError, PlanError
from espalier.flow import cli
from espalier.hw.contents import make_image_of
from espalier.hw.design import generate
from espalier.hw.link.linked import digest_of
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.execute import execute
from espalier.sim.simulate import USER_CACHE, simulate
from graphs import random_frames
from loading import loaded_plan, retrain, small_graph
from small_models import write_mlp

OLD, NEW = small_graph(), retrain(small_graph())
FRAMES = {"x": np.random.default_rng(5).integers(0, 16, (10, 2))}
BOARD, BAUD, PLACE_IN_FLASH = find_board("icebreaker"), 1_000_000, 1000


@cache
def spram_design():
    design = generate(OLD, loaded_plan(OLD, memory="spram", pe=1))
    core = design.verilog()
    return design, core, write_top(design, core, BOARD, choose_clock(BOARD, None), BAUD, PLACE_IN_FLASH)


def mapped(work, device=BOARD.device):
    design, _, top = spram_design()
    job = Job(top, NAME, device, work, tuple(design.stages), is_whole=True, design=design.top, place=PLACE)
    write_design(job)
    return map_design(job)


def run_board(top, folder, monkeypatch):
    """Whether each answer is right: with what the flash holds, with the design's own weights, and with others."""
    design, core, _ = spram_design()
    image, _ = make_image_of(design, NEW)
    flash = bytes(PLACE_IN_FLASH) + image
    old, new = (execute(graph, FRAMES)["y"] for graph in (OLD, NEW))
    with simulate_board(top, BOARD, BAUD, folder, damage=0.003, flash=flash, cache=USER_CACHE.expanduser()) as board:
        port = SerialPort(board.port, BAUD)
        with monkeypatch.context() as patch:
            patch.setattr(accelerator, "OWN", 3)
            found = [(Accelerator(design, digest_of(core), port).run(FRAMES)["y"], new)]
        device = Accelerator(design, digest_of(core), port)
        found.append((device.run(FRAMES)["y"], old))
        device.load_weights(NEW)
        found.append((device.run(FRAMES)["y"], new))
        with monkeypatch.context() as patch:
            patch.setattr(accelerator, "check_image", lambda image, layout: None)
            with pytest.raises(LinkError, match="the device refused the weights"):
                device.load_image(image[:-1] + bytes([image[-1] ^ 1]))
        found.append((device.run(FRAMES)["y"], new))
        port.close()
    return [np.array_equal(got, expected) for got, expected in found]


@pytest.mark.verilator
def test_weights_come_out_of_the_flash_and_through_the_link(tmp_path, monkeypatch):
    assert run_board(spram_design()[2], tmp_path, monkeypatch) == [True] * 4


@pytest.mark.verilator
def test_a_design_with_spram_is_simulated_with_its_weights(tmp_path):
    design, core, _ = spram_design()
    (run,) = simulate(design, random_frames(OLD, 10), verilog=core).runs
    assert run.values_exact and run.cycles_exact


@pytest.mark.slow
@pytest.mark.synth
def test_each_bank_of_a_layer_becomes_spram(tmp_path):
    assert count_cells(mapped(tmp_path).module)["SB_SPRAM256KA"] == 2 * 2


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.verilator
def test_the_netlist_of_a_board_loads_its_weights_too(tmp_path, monkeypatch):
    mapped(tmp_path)
    assert run_board(write_verilog(tmp_path / NETLIST, NAME, "ice40"), tmp_path / "run", monkeypatch) == [True] * 4


def test_devices_without_spram_and_checks_of_netlists_are_refused(tmp_path):
    with pytest.raises(PlanError, match="ecp5-12k: layers in memory spram need 1 SPRAM blocks or more, it has 0"):
        mapped(tmp_path, find_board("ulx3s-12f").device)
    with pytest.raises(PlanError, match="layers in memory spram have no weights in a netlist"):
        simulate_netlist(spram_design()[0], FRAMES, tmp_path / NETLIST, "ice40")


def test_an_image_in_the_flash_needs_a_board_that_can_read_it(tmp_path):
    design, core, _ = spram_design()
    with pytest.raises(PlanError, match="ulx3s-12f: its flash cannot be read by a design; .*that can: icebreaker"):
        make_bitstream(design, core, find_board("ulx3s-12f"), tmp_path, weights_at=0)
    with pytest.raises(PlanError, match="--weights-at 16777200: an image must lie in the first 16777216 bytes"):
        make_bitstream(design, core, BOARD, tmp_path, weights_at=(1 << 24) - 16)
    with pytest.raises(PlanError, match="--weights-at: no layer has its weights in memory ram or spram"):
        plain = generate(OLD, Plan(layers=dict.fromkeys(design.plan.layers, LayerPlan())))
        make_bitstream(plain, core, BOARD, tmp_path, weights_at=0)


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.verilator
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_the_verbs_load_another_training(tmp_path, capsys):
    layers = {"fc1": {"pe": 1, "simd": 2, "memory": "spram"}, "fc2": {"pe": 1, "simd": 1, "memory": "ram"}}
    (tmp_path / "folding.json").write_text(json.dumps({"layers": layers}))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(0, 4, (8, 6)).astype(np.float32))
    builds = [str(tmp_path / name) for name in ("one", "two")]
    for seed, build in enumerate(builds):
        model = write_mlp(tmp_path / f"net{seed}.onnx", seed=10 * seed)
        assert cli.run(["import", str(model), "-o", build]) == 0
    assert cli.run(["plan", builds[0], "--folding", str(tmp_path / "folding.json")]) == 0
    assert cli.run(["generate", builds[0]]) == 0
    made = ["bitstream", builds[0], "--board", "icebreaker", "--weights-at"]
    assert cli.run([*made, "1000"]) == 2
    assert "hold the bitstream; choose 131072 or more" in capsys.readouterr().err
    assert cli.run([*made, "131072"]) == 0
    run = ["run", builds[0], str(tmp_path / "x.npy"), "--simulated", "--check"]
    assert cli.run(run) == 0
    assert cli.run([*run, "--weights", builds[1]]) == 0


def test_weights_behind_a_bus_of_ones_own_are_not_loaded_yet(tmp_path):
    design, core, _ = spram_design()
    with pytest.raises(PlanError, match="--bus uart: weights are loaded on boards only yet; .* for fc0, fc2"):
        write_wrapped(design, core, "uart", tmp_path, baud=BAUD, clock_mhz=12)
    assert not list(tmp_path.iterdir())
