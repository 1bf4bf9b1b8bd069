"""One's own PyTorch network on the command line."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from espalier.flow import cli

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from safetensors.torch import save_file  # noqa: E402

from espalier.quant.evaluate import evaluate  # noqa: E402
from espalier.quant.own_file import read_module  # noqa: E402
from espalier.quant.own_recipe import INPUTS, own_recipe  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "own_network.py"
SMALL = """
import torch
from torch import nn

net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
net[1].weight.data = torch.linspace(-1, 1, 640).reshape(10, 64)

class Wide(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1))

class Larger(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2))

def few():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def text():
    return "no module"

def broken():
    return 1 / 0

number = 7
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """The run folder of the example as it is, and the file of its weights."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(3)
    module = read_module(EXAMPLE, "Net")
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
    save_file(module.state_dict(), folder / "net.safetensors")
    options = ["--dataset", "digits", "--epochs", "0", "--weights-from", str(folder / "net.safetensors")]
    assert cli.run(["train", f"{EXAMPLE}:Net", *options, "-o", str(folder / "run")]) == 0
    return folder / "run", module.eval(), options


def train(*arguments):
    return cli.run(["train", *map(str, arguments)])


def result(folder):
    return json.loads((folder / "metrics.json").read_text())["result"]


def test_without_epochs_the_run_is_the_users_own_model(untrained):
    folder, module, _ = untrained
    run, test, truth = load_run(folder), np.load(folder / "test.npz"), np.load(folder / "truth.npz")
    images = torch.from_numpy(test["inputs"]).float()
    with torch.no_grad():
        wanted = module(images / 255)
        torch.testing.assert_close(run.model(images), wanted, rtol=1e-4, atol=1e-5)  # sums are made in another order
    assert result(folder)["accuracy"] == np.mean(truth["outputs"].argmax(1) == test["labels"])
    assert result(folder)["epochs"] == 0 and evaluate(run.model, run.recipe, test["inputs"], test["labels"]) < 0.5


def test_the_run_is_of_real_numbers_with_quantized_inputs(untrained):
    recipe = load_run(untrained[0]).recipe
    assert {*recipe.weight_bits, *recipe.activation_bits} == {32} and recipe.input_bits == 8
    assert (recipe.name, recipe.dataset, recipe.task, recipe.keep) == (
        "own_network.py:Net",
        "digits",
        "classify",
        recipe.keep,
    )


def test_real_numbers_have_to_be_quantized_before_they_are_built(untrained, tmp_path, capsys):
    assert cli.run(["import", str(untrained[0]), "-o", str(tmp_path)]) == 2
    assert "run: is a network of real numbers; quantize it with `espalier quantize" in capsys.readouterr().err


def test_the_same_weights_continue_the_run_and_others_do_not(untrained, capsys):
    folder, _, options = untrained
    before = result(folder)
    assert train(f"{EXAMPLE}:Net", *options, "-o", folder) == 0 and result(folder) == before
    assert train(f"{EXAMPLE}:Net", *options[:-2], "-o", folder) == 2
    assert "is of another run: start was" in capsys.readouterr().err


def test_weights_are_quantized_where_asked_and_imported(untrained, tmp_path):
    _, _, options = untrained
    bits = ["--weight-bits", "4", "--activation-bits", "4", "--prune", "0.5"]
    options = [*options[:2], "--epochs", "1", "--batch-size", "128", *options[4:]]
    assert train(f"{EXAMPLE}:Net", *options, *bits, "-o", tmp_path / "run") == 0
    kept = json.loads((tmp_path / "run" / "prune.json").read_text())["groups"]
    assert [(group["name"], group["kept"]) for group in kept] == [
        ("stem_0", 8), ("blocks_0_conv1", 8), ("blocks_1_conv1", 8)
    ]  # fmt: skip
    assert cli.run(["import", str(tmp_path / "run"), "-o", str(tmp_path / "build")]) == 0


def test_random_weights_are_those_of_the_seed(tmp_path):
    def started(name, seed):
        assert train(f"{EXAMPLE}:Net", "--dataset", "digits", "--epochs", 0, "--seed", seed, "-o", tmp_path / name) == 0
        return (tmp_path / name / "model.safetensors").read_bytes()

    assert started("a", 1) == started("b", 1) != started("c", 2)


@pytest.mark.parametrize("name, task, metric", [("Wide", "copy", "psnr_db"), ("Larger", "enlarge", "psnr_db")])
def test_other_tasks_and_classes_are_taken(name, task, metric, small, tmp_path):
    options = ["--dataset", "digits", "--task", task, "--epochs", 1, "--images", 128]
    assert train(f"{small}:{name}", *options, "-o", tmp_path / "run") == 0
    assert metric in result(tmp_path / "run")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{}:Net", "--dataset", "digits"], "has no Net; modules, functions and classes in it: net, Wide, Larger, few"),
        (["{}", "--dataset", "digits"], "names no module in the file; give FILE.py:NAME, such as net.py:Net"),
        (["other.py:net", "--dataset", "digits"], "other.py: no such Python file; give FILE.py:NAME"),
        (["{}:text", "--dataset", "digits"], "net.py:text returns a str; needed is a torch.nn.Module"),
        (["{}:number", "--dataset", "digits"], "net.py:number is a int; needed is a torch.nn.Module, or what returns"),
        (["{}:broken", "--dataset", "digits"], "net.py:broken raises ZeroDivisionError: division by zero (line 23)"),
        (["{}:net"], "--dataset: is missing; for the task classify it is one of digits, mnist, cifar10, fsdd"),
        (["{}:net", "--dataset", "superres"], "--dataset: 'superres' was given; for the task classify it is one of"),
        (["{}:net", "--dataset", "digits", "--task", "find"], "--task: 'find' was given; known tasks: classify, copy"),
        (["{}:net", "--dataset", "cifar10"], "net.py:net: fails on inputs of shape (3, 32, 32) (RuntimeError: mat1"),
        (["{}:few", "--dataset", "digits"], "net.py:few: returns (3,) for an image; to classify, (10,) is needed"),
        (["{}:net", "--dataset", "digits", "--task", "copy"], "to copy, (1, 8, 8) is needed, as it comes in"),
        (["{}:Wide", "--dataset", "digits", "--task", "enlarge"], "to enlarge, a whole multiple of (1, 8, 8) is"),
        (["{}:net", "--dataset", "digits", "--weights-from", "no.safetensors"], "no.safetensors: cannot be read"),
        (["{}:net", "--dataset", "digits", "--weights-from", "{}"], "net.py: is not a safetensors file"),
        (["{}:Wide", "--dataset", "digits", "--task", "copy", "--epochs", "0", "--prune", "0.5"], "of 0; train for"),
        (["digits-mlp", "--task", "copy"], "--task: is for one's own network, given as FILE.py:NAME; leave it out"),
        (["digits-mlp", "--epochs", "0"], "--epochs: 0 was given; it must be a whole number from 1"),
    ],
)  # fmt: skip
def test_mistakes_are_named(arguments, message, small, tmp_path, capsys):
    assert train(*(argument.format(small) for argument in arguments), "-o", tmp_path / "run") == 2
    assert message in capsys.readouterr().err


def test_weights_of_another_module_are_named(small, tmp_path, capsys):
    save_file({"1.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    options = ["--dataset", "digits", "--weights-from", tmp_path / "other.safetensors", "-o", tmp_path / "run"]
    assert train(f"{small}:net", *options) == 2
    assert (
        'does not fit the module (Error(s) in loading state_dict for Sequential: Missing key(s) in state_dict: "1.bias"'
        in (capsys.readouterr().err)
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("def net(:\n", "net.py: raises SyntaxError: invalid syntax"),
        ("x = 1\nimport nowhere\n", "net.py: raises ModuleNotFoundError: No module named 'nowhere' (line 2)"),
        ("import sys\n\nsys.exit(3)\n", "net.py: raises SystemExit: 3 (line 3); what follows `if __name__ ...` is not"),
    ],
)
def test_files_that_fail_are_named(text, message, tmp_path, capsys):
    (tmp_path / "net.py").write_text(text)
    assert train(f"{tmp_path / 'net.py'}:net", "--dataset", "digits", "-o", tmp_path / "run") == 2
    assert message in capsys.readouterr().err


def test_files_may_use_others_beside_them_and_dataclasses(tmp_path):
    (tmp_path / "widths_beside.py").write_text("WIDTH = 64\n")
    (tmp_path / "net.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch import nn\n"
        "from widths_beside import WIDTH\n\n@dataclass\nclass Options:\n    width: int = 0\n\n"
        "def net():\n    Options()\n    return nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, 10))\n"
    )
    assert read_module(tmp_path / "net.py", "net")[1].in_features == 64


@pytest.fixture
def document(tmp_path, monkeypatch):
    """The document's text, and its net.py in the working directory."""
    text = (ROOT / "docs" / "own-network.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("net.py").write_text(blocks(text, "python")[0])
    yield text
    sys.modules.pop("net", None)


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_documents_commands_work_with_a_small_budget(document):
    Path("save.py").write_text(blocks(document, "python")[1])
    runpy.run_path("save.py")
    for command in "".join(blocks(document, "sh")).splitlines():
        arguments = shlex.split(re.sub(r"--epochs [1-9]\d*", "--epochs 1", command).replace(" build ", " import "))
        assert arguments[0] == "espalier" and cli.run(arguments[1:]) == 0, command
    assert result(Path("runs/float"))["epochs"] == 0 and Path("build/net").is_dir()


def test_the_documents_error_is_what_is_said(document, capsys):
    text = Path("net.py").read_text().replace("nn.ReLU())", "nn.GELU())").replace("(4)", "(4, ceil_mode=True)")
    Path("net.py").write_text(text)
    assert train("net.py:Net", "--dataset", "digits", "-o", "runs/net") == 2
    message = capsys.readouterr().err.removeprefix("espalier: error: ").strip()
    assert message in " ".join(document.split())


@pytest.mark.parametrize("dataset", INPUTS)
def test_the_recipes_of_own_networks_fit_every_data_set(dataset):
    from espalier.quant.networks.layers import Conv, Dense, Flatten, Network, PixelShuffle

    layers = (Flatten("flat"), Dense("fc", 10))
    if dataset == "superres":
        layers = (Conv("conv", 4, (3, 3), padding=(1, 1)), PixelShuffle("shuffle", 2))
    task = "enlarge" if dataset == "superres" else "classify"
    recipe = own_recipe(Network("own", INPUTS[dataset], layers), name="net", dataset=dataset, task=task)
    assert recipe.keep == () and recipe.margin == (8 if dataset == "superres" else 0)
