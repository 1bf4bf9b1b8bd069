"""The comparison with da4ml and Alkaid, as far as it goes without them: works, steps, table, and what is an error."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import peers
import pytest
from peers_mapping import FLOWS, Effort, Source, map_cells, pack_cells
from peers_own import build_design
from peers_packing import share_chains
from peers_rows import ROWS, Bench, Row, Store, best_netlist, generate_row, source_of, store_of
from peers_rtl import Mismatch, check_equal, find_latency, pack, run, unpack
from peers_table import HEADER, format_table
from peers_work import build_graph, read_works

from espalier.boards.netlist import find_readers, read_netlist
from espalier.errors import BuildError
from espalier.ir.execute import execute

PEER = next(row for row in ROWS if row.name == "da4ml pipelined")
# name: sizes, bits of weights, range of inputs, shifts, bits between layers: as A, B and C, but small
WORKS = {
    "A": ((9, 5), 4, (0, 15), (None,), 4),
    "B": ((6, 8, 7, 3), 6, (-32, 31), (6, 4, None), 6),
    "C": ((20, 6, 4), 2, (0, 3), (2, None), 2),
}
# Stands for the Python of the peers' environment: it finds in its own folder what a peer would have given.
FAKE = """#!{python}
import json, pathlib, shutil, sys, time
here = pathlib.Path(__file__).parent
time.sleep({pause})
for name in ("result.json", "outputs.npz"):
    shutil.copy(here / name, name)
"""


@pytest.fixture(scope="module")
def file_of_works(tmp_path_factory):
    generator, arrays, meta = np.random.default_rng(0), {}, {}
    for name, (sizes, bits, reach, shifts, between) in WORKS.items():
        for number in range(len(sizes) - 1):
            shape = sizes[number : number + 2]
            arrays[f"{name}_w{number}"] = generator.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)
        meta[name] = {"shift": shifts, "in_range": reach, "act_bits": between}
    path = tmp_path_factory.mktemp("works") / "works.npz"
    np.savez(path, meta=json.dumps(meta), **arrays)
    return path


@pytest.fixture
def bench(file_of_works, tmp_path):
    return Bench(file_of_works, tmp_path / "out", tmp_path / "python", Effort(timeout_s=120), limit_s=60)


def prepare(bench, work, outputs=None, pause=0):
    """A peer that gives ``outputs``."""
    inputs = work.draw(50)
    outputs = work.evaluate(inputs) if outputs is None else outputs
    np.savez(bench.python.parent / "outputs.npz", inputs=inputs, outputs=outputs.astype(float))
    (bench.python.parent / "result.json").write_text(json.dumps({"seconds": 2.0, "cpu_s": 3.0, "version": "0"}))
    bench.python.write_text(FAKE.format(python=sys.executable, pause=pause))
    bench.python.chmod(0o755)


@pytest.mark.parametrize("name", WORKS)
def test_our_graph_is_the_work(name, file_of_works):
    work = read_works(file_of_works)[name]
    frames = work.draw(1000)
    np.testing.assert_array_equal(execute(build_graph(work), frames)["y"], work.evaluate(frames))
    assert (frames[0] == work.x_type.low).all() and (frames[1] == work.x_type.high).all()


@pytest.mark.parametrize("name, size", [("A", (64, 32)), ("B", (16, 5)), ("C", (784, 10))])
def test_our_graph_is_the_work_of_the_peers(name, size, data_folder):
    path = data_folder / "peer_workloads.npz"
    if not path.exists():
        pytest.skip(f"needs {path}, which is absent")
    work = read_works(path)[name]
    frames = work.draw(1000)
    assert (work.inputs, work.outputs) == size
    np.testing.assert_array_equal(execute(build_graph(work), frames)["y"], work.evaluate(frames))


def test_reference_is_the_arithmetic_spelled_out(file_of_works):
    work = read_works(file_of_works)["B"]
    frame = work.draw(3)[2].tolist()
    for matrix, shift in zip(work.matrices, work.shifts, strict=True):
        frame = [sum(x * int(weight) for x, weight in zip(frame, column, strict=True)) for column in matrix.T]
        frame = frame if shift is None else [min(max(0, value) // 2**shift, 63) for value in frame]
    assert work.evaluate(work.draw(3))[2].tolist() == frame


def test_whole_layers_take_a_frame_a_cycle(file_of_works):
    design = build_design(build_graph(read_works(file_of_works)["B"]), "mac")
    assert {layer.engine for name, layer in design.plan.layers.items() if name.startswith("fc")} == {"mac"}
    assert {schedule.slots for schedule in design.schedules.values()} == {1}


def test_file_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(BuildError, match="no file of works"):
        read_works(tmp_path / "other.npz")


def test_rows_are_chosen_by_name_or_generator():
    assert [row.name for row in peers.choose_rows(["espalier mac", "da4ml"])] == [
        "da4ml comb", "da4ml pipelined", "espalier mac",
    ]  # fmt: skip
    with pytest.raises(BuildError, match="no row 'nngen'; rows: alkaid"):
        peers.choose_rows(["nngen"])


def test_right_peer_is_generated_once(bench):
    work = read_works(bench.works)["B"]
    prepare(bench, work)
    assert peers.generate_all(bench, work, [PEER], rounds=2) == {}
    record = json.loads((store_of(bench, work, PEER).folder / "generate.json").read_text())
    assert (record["seconds"], record["seconds_of_rounds"]) == (2.0, [2.0, 2.0])
    bench.python.unlink()
    assert peers.generate_all(bench, work, [PEER], rounds=2) == {}


def test_wrong_peer_is_an_error_without_figures(bench):
    work = read_works(bench.works)["B"]
    outputs = work.evaluate(work.draw(50))
    outputs[7, 2] += 1
    prepare(bench, work, outputs)
    (record,) = peers.compare(bench, work, [PEER], ["check", "ecp5"], rounds=1)
    assert "1 of 150 results are wrong, first output 2 of frame 7" in record["error"]
    assert set(record) == {"work", "row", "generator", "error"}
    assert not (store_of(bench, work, PEER).folder / "generate.json").exists()


def test_slow_peer_is_stopped_and_said_to_be(bench):
    work = read_works(bench.works)["A"]
    prepare(bench, work, pause=60)
    slow = Bench(bench.works, bench.output, bench.python, bench.effort, limit_s=0.2)
    records = peers.compare(slow, work, [PEER], ["check"], rounds=3)
    assert records[0]["generate"]["stopped_after_s"] == 0.2
    assert "| stopped after 0.2 s |" in format_table(records)


def test_failing_peer_is_an_error(bench, tmp_path):
    work = read_works(bench.works)["A"]
    prepare(bench, work)
    (tmp_path / "outputs.npz").unlink()
    (record,) = peers.compare(bench, work, [PEER], [], rounds=1)
    assert "da4ml ended with status 1" in record["error"]


def test_steps_are_done_once_and_never_half(tmp_path):
    store, calls = Store(tmp_path / "row"), []

    def work(folder: Path):
        assert list(folder.iterdir()) == []
        (folder / "half").touch()
        calls.append(folder)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"value": len(calls)}

    with pytest.raises(KeyboardInterrupt):
        store.step("map", "key", work)
    assert not (tmp_path / "row" / "map.json").exists()
    assert [store.step("map", key, work)["value"] for key in ("key", "key", "other")] == [2, 2, 3]


def test_only_the_library_in_use_is_taken(tmp_path):
    (tmp_path / "src" / "static").mkdir(parents=True)
    for name, text in {"peer": "adder a ();", "peer_wrapper": "", "static/adder": "", "static/table": ""}.items():
        (tmp_path / "src" / f"{name}.v").write_text(text)
    source = source_of(PEER, tmp_path, {})
    assert [path.stem for path in source.files] == ["peer", "adder"]


def test_words_hold_every_value():
    widths = [(3, True), (2, False), (1, True), (6, True)]
    for values in ([-4, 3, -1, -32], [3, 0, 0, 31]):
        assert unpack(pack(values, widths), widths) == values


def test_differing_result_names_its_place():
    with pytest.raises(Mismatch, match="me: 1 of 4 results are wrong, first output 1 of frame 0: 5, need 2"):
        check_equal("me", np.array([[1, 5], [3, 4]]), np.array([[1, 2], [3, 4]]))
    with pytest.raises(Mismatch, match=r"shape \[1, 2\], need \[2, 2\]"):
        check_equal("me", np.array([[1, 5]]), np.array([[1, 2], [3, 4]]))


def record_of(row: str, generator: str, seconds: float, session: str = "1", **more):
    found = {"seconds": 2 * seconds, "cpu_s": seconds, "session": session, "estimated_lut": None}
    return {"work": "A", "row": row, "generator": generator, "generate": found} | more


def test_table_shows_ratios_of_one_run_only():
    area = {"lut": 10, "carry": 5, "lutram": 0, "ff": 1234, "comb": 20}
    records = [
        record_of("da4ml comb", "da4ml", 3.0, **{"ecp5-default": area}),
        record_of("alkaid comb", "alkaid", 3.0, session="0"),
        record_of("espalier", "espalier", 2.0, own=area | {"lutram": 2}, pack={"comb": 15, "comb_wrapped": 40}),
        {"work": "A", "row": "alkaid", "generator": "alkaid", "error": "wrong | so"},
    ]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in format_table(records).splitlines()]
    assert {len(line) for line in lines} == {len(HEADER)}
    assert lines[2][:7] == ["A", "da4ml comb", "6.0 (3.0)", "1.50", "–", "20 (10 + 5)", "–"]
    assert (lines[3][3], lines[4][3], lines[5][2]) == ("–", "1.00", "error: wrong / so")
    assert (lines[4][7], lines[4][11:13]) == ("20 (10 + 5 + 2 DPR16X4)", ["15", "40"])


SUMS = """
module sum(input [3:0] a, b, output [4:0] y); assign y = a + b; endmodule
module peer(input clk, input [11:0] model_inp, output reg [5:0] model_out);
  reg [11:0] x; wire [4:0] part; reg [4:0] kept; reg [3:0] third;
  sum first (.a(x[3:0]), .b(x[7:4]), .y(part));
  always @(posedge clk) begin x <= model_inp; kept <= part; third <= x[11:8]; model_out <= kept + third; end
endmodule
"""


@pytest.mark.verilator
def test_verilog_gives_a_result_a_cycle(tmp_path):
    (tmp_path / "sums.v").write_text(SUMS)
    x = np.random.default_rng(0).integers(0, 16, (40, 3))
    seen = run(Source((tmp_path / "sums.v",), "peer"), x, ([(4, False)] * 3, [(6, False)]), tmp_path, 300)
    assert find_latency("sums", seen, x.sum(axis=1, keepdims=True)) == 3


def test_wrong_verilog_is_an_error():
    seen = np.arange(20)[:, None]
    assert find_latency("sums", seen, np.arange(4, 9)[:, None]) == 4
    with pytest.raises(Mismatch, match="sums: its Verilog, whatever its latency"):
        find_latency("sums", seen, np.array([[4], [5], [7]]))


@pytest.mark.synth
@pytest.mark.parametrize("family", ["ecp5", pytest.param("xc7", marks=pytest.mark.slow)])
def test_both_flows_map(family, tmp_path):
    (tmp_path / "sums.v").write_text(SUMS)
    source = Source((tmp_path / "sums.v",), "peer")
    areas = {flow: map_cells(source, family, flow, Effort(timeout_s=300), tmp_path) for flow in FLOWS}
    assert areas["kept"]["carry"] >= areas["default"]["carry"] >= 0
    assert {area["ff"] for area in areas.values()} == {12 + 5 + 4 + 6}


@pytest.mark.synth
def test_cells_are_counted_as_nextpnr_does(tmp_path):
    (tmp_path / "sums.v").write_text(SUMS)
    mapped, packed = tmp_path / "mapped", tmp_path / "packed"
    mapped.mkdir(), packed.mkdir()
    area = map_cells(Source((tmp_path / "sums.v",), "peer"), "ecp5", "kept", Effort(timeout_s=300), mapped)
    found = pack_cells("peer", mapped / "netlist.json", Effort(timeout_s=300), packed)
    # Two carry chains have ways in and out. The last register folds the outputs: a lookup table for each but the first.
    assert found["comb"] > area["comb"] > 0
    assert (found["comb_wrapped"] - found["comb"], found["ff_wrapped"]) == (5, area["ff"] + 12 + 2 * 6)

    module = read_netlist(mapped / "netlist.json", "peer")["peer"]
    shared, fewer = share_chains(module)
    assert (fewer, sums_of(module) - sums_of(shared)) == (1, set())


def sums_of(module):
    """The nets that carry cells drive and something reads."""
    cells = [cell["connections"] for cell in module["cells"].values() if cell["type"] == "CCU2C"]
    sums = [bit for wires in cells for port in ("S0", "S1") for bit in wires.get(port, [])]
    assert len(sums) == len(set(sums))
    return set(sums) & set(find_readers(module))


def test_netlist_to_place_is_the_smallest():
    areas = {"ecp5-default": {"comb": 12}, "ecp5-kept": {"comb": 10}, "check": {"frames": 1}}
    assert best_netlist(areas) == "ecp5-kept"
    assert best_netlist(areas | {"own": {"comb": 9}}) == "own"
    assert best_netlist({"check": {"frames": 1}}) is None


def test_table_alone_measures_nothing(bench):
    work = read_works(bench.works)["A"]
    reading = replace(bench, only_reads=True)
    assert set(peers.compare(reading, work, [PEER], ["ecp5"], rounds=1)[0]) == {"work", "row", "generator"}
    prepare(bench, work)
    peers.generate_all(bench, work, [PEER], rounds=1)
    generated = store_of(bench, work, PEER).folder / "generate" / "src"
    generated.mkdir()
    (generated / "peer.v").write_text("module peer; endmodule")
    assert set(peers.compare(reading, work, [PEER], ["check", "ecp5", "own", "pack"], rounds=1)[0]) == {
        "work", "row", "generator", "generate",
    }  # fmt: skip


def test_rows_have_names_and_folders_of_their_own(bench):
    work = read_works(bench.works)["A"]
    assert len({store_of(bench, work, row).folder for row in ROWS}) == len(ROWS) == len({row.name for row in ROWS})


def test_generation_runs_the_peers_python(bench):
    work = read_works(bench.works)["A"]
    prepare(bench, work)
    folder = bench.output / "here"
    folder.mkdir(parents=True)
    assert generate_row(bench, work, Row("x", "da4ml"), folder)["seconds"] == 2.0
