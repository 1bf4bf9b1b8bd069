"""Finished runs, to go on from."""

import numpy as np
import pytest

from espalier.errors import BuildError
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.evaluate import BATCH  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402
from espalier.quant.train import train  # noqa: E402


@pytest.fixture(params=[4, 32], scope="module")
def finished(request, tmp_path_factory):
    bits = request.param
    recipe = override(
        find_recipe("digits-mlp"), hidden="12,9", prune="7,5", epochs=2, weight_bits=bits, activation_bits=bits
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(recipe, folder)
    return folder


def test_the_model_gives_its_outputs_again(finished):
    run = load_run(finished)
    inputs, outputs = np.load(finished / "test.npz")["inputs"], np.load(finished / "truth.npz")["outputs"]
    with torch.no_grad():
        batches = torch.from_numpy(inputs).float().split(BATCH)  # float32 sums depend on their number
        assert np.array_equal(torch.cat([run.model(batch) for batch in batches]).numpy(), outputs)
    assert [int(group.kept.sum()) for group in run.model.groups()] == [7, 5]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: (path / "model.onnx").unlink(), "is no finished run; give a folder in which `espalier train`"),
        (lambda path: (path / "model.safetensors").unlink(), "model.safetensors: cannot be read"),
        (lambda path: (path / "model.safetensors").write_bytes(b"x" * 99), "is not a safetensors file"),
    ],
)
def test_a_damaged_run_says_what_is_wrong(finished, tmp_path, damage, message):
    for path in finished.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path)
    with pytest.raises(BuildError, match=message):
        load_run(tmp_path)
