"""Synthesis and placing of a small design, from Verilog to the report."""

import json

import pytest

from board_designs import Multiplier, Reader, Readers, convert
from espalier.boards.area import Area
from espalier.boards.synth import measure_layers, read_synth_report, synthesize
from espalier.errors import BuildError, PlanError, ToolError

pytestmark = pytest.mark.synth


@pytest.fixture(scope="module")
def verilog():
    return convert(Readers({"fast": Reader(36, 512), "slow": Reader(9, 512, registers=1, reset_less=False)}))


@pytest.fixture(scope="module")
def placed(verilog, tmp_path_factory):
    """The folder and the report; every delay in it is the same wherever it runs."""
    folder = tmp_path_factory.mktemp("placed")
    return folder, synthesize(verilog, "top", "ecp5-25k", folder, clock_mhz=200, seeds=(1, 2), layers=("fast", "slow"))


def test_area_is_told_in_total_and_by_layer(placed):
    report = placed[1]
    # The reset of the slow one goes to the flip-flops' own reset input.
    assert report.area == Area(lut=0, carry=0, lutram=0, ff=36 + 9, bram=2, dsp=0)
    assert report.layers == {"fast": Area(ff=36, bram=1), "slow": Area(ff=9, bram=1)}


def test_layers_measured_apart_have_the_same_area(placed, verilog, tmp_path):
    assert measure_layers(verilog, "top", "ecp5-25k", tmp_path, ("fast", "slow")) == placed[1].layers


def test_registers_behind_block_rams_are_absorbed_or_named(placed):
    report = placed[1]
    assert report.absorbed == 36
    assert list(report.not_absorbed.values()) == ["the register has a reset"]


def test_slowest_path_and_rates_are_told_by_layer(placed):
    report = placed[1]
    assert report.critical_path.start == report.critical_path.end == "slow"
    assert report.critical_path.steps[0].split()[1:] == ["clk-to-q", "slow.memory.0.0.DOA2"]
    assert report.fmax_by_layer["slow"] == pytest.approx(report.fmax_mhz)  # nextpnr rounds delays and rates
    assert report.fmax_by_layer["fast"] > 300
    assert report.fmax_mhz == max(report.fmax_by_seed.values())


def test_wrapper_is_not_counted(placed):
    folder, report = placed
    used = json.loads((folder / "seed1.json").read_text())["utilization"]
    assert used["TRELLIS_FF"]["used"] > report.area.ff + 2 * 45
    # Nothing but the two constant drivers: this design has no logic.
    assert report.comb <= 2


def test_report_is_read_back_as_it_was(placed):
    folder, report = placed
    assert read_synth_report(folder / "synth.json") == report


def test_files_are_the_same_in_every_run_and_hold_no_paths(placed, verilog, tmp_path):
    folder, report = placed
    again = synthesize(verilog, "top", "ecp5-25k", tmp_path, clock_mhz=200, seeds=(1, 2), layers=("fast", "slow"))
    assert again == report
    for name in ("netlist.json", "synth.json", "seed1.json"):
        text = (folder / name).read_text()
        assert text == (tmp_path / name).read_text()
        assert "/share/" not in text and str(folder) not in text


@pytest.mark.parametrize("device", ["xc7a35t", "xczu3eg"])
def test_xilinx_devices_give_the_area(device, verilog, tmp_path):
    report = synthesize(verilog, "top", device, tmp_path, layers=("fast",))
    assert (report.area.bram, report.layers["fast"].bram) == (2, 1)
    assert (report.fmax_mhz, report.comb) == (None, None)
    assert read_synth_report(tmp_path / "synth.json") == report


def test_unknown_layer_is_named(verilog, tmp_path):
    with pytest.raises(PlanError, match=r"synth: the design has no module top\.fc9"):
        synthesize(verilog, "top", "ecp5-25k", tmp_path, layers=("fc9",))


def test_design_larger_than_the_device_leaves_no_report(tmp_path):
    # Of different widths, or yosys would make one of them.
    large = convert(Readers({f"m{index}": Multiplier(4 + index % 8, 4 + index // 8) for index in range(29)}))
    with pytest.raises(PlanError, match="ecp5-25k: needs 29 DSP blocks, has 28"):
        synthesize(large, "top", "ecp5-25k", tmp_path, place=False)
    assert not (tmp_path / "synth.json").exists()


def test_bad_verilog_gives_the_words_of_yosys_and_where_the_log_is(tmp_path):
    with pytest.raises(ToolError, match=r"yosys ended with status 1: .*syntax error.*\(logs: "):
        synthesize("module top(; endmodule", "top", "ecp5-25k", tmp_path)
    assert (tmp_path / "netlist.log").exists()


def test_what_a_killed_run_left_is_removed(verilog, tmp_path):
    (tmp_path / "work-killed").mkdir()
    (tmp_path / "work-killed" / "synth.json").write_text("{")
    (tmp_path / "synth.json").write_text("old")
    synthesize(verilog, "top", "ecp5-25k", tmp_path, place=False)
    assert not list(tmp_path.glob("work-*"))
    assert json.loads((tmp_path / "synth.json").read_text())["device"] == "ecp5-25k"


def test_folder_that_is_a_file_is_named(verilog, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(BuildError, match=r"synth: cannot write .*taken: File exists"):
        synthesize(verilog, "top", "ecp5-25k", tmp_path / "taken")


def test_no_seed_is_an_error(verilog, tmp_path):
    with pytest.raises(PlanError, match="needs a seed and a clock above 0 MHz"):
        synthesize(verilog, "top", "ecp5-25k", tmp_path, seeds=())
