import pytest

from espalier.errors import BuildError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")

from espalier.quant.checkpoint import (  # noqa: E402
    Checkpoint,
    collect_state,
    load_checkpoint,
    load_last_checkpoint,
    restore_state,
    save_checkpoint,
)


def trained(inputs=3):
    model = torch.nn.Sequential(torch.nn.Linear(inputs, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.rand(8, inputs)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def test_state_survives_the_disk(tmp_path):
    state = collect_state(*trained())
    save_checkpoint(tmp_path, Checkpoint(1, [{"loss": 0.1}], state), "digest")
    model, optimizer = trained()
    checkpoint = load_last_checkpoint(tmp_path, "digest")
    restore_state(model, optimizer, checkpoint.tensors)
    restored = collect_state(model, optimizer)
    assert checkpoint.history == [{"loss": 0.1}] and restored.keys() == state.keys()
    assert all(torch.equal(restored[name], state[name]) for name in state)


def test_the_last_of_many_is_found(tmp_path):
    for epoch in (9, 99, 999, 1000):
        save_checkpoint(tmp_path, Checkpoint(epoch, [], {"x": torch.zeros(1)}), "digest")
    assert load_last_checkpoint(tmp_path, "digest").epoch == 1000
    assert len(list(tmp_path.iterdir())) == 4


def test_an_empty_folder_has_none(tmp_path):
    assert load_last_checkpoint(tmp_path, "digest") is None


def test_missing_tensors_file_is_named(tmp_path):
    save_checkpoint(tmp_path, Checkpoint(1, [], {"x": torch.zeros(1)}), "digest")
    (tmp_path / "epoch-001.safetensors").unlink()
    with pytest.raises(
        BuildError, match=r"epoch-001.safetensors: cannot be read \(No such file or directory\); delete"
    ):
        load_checkpoint(tmp_path / "epoch-001.json", "digest")


@pytest.mark.parametrize(
    "name, tensor, message",
    [
        ("model.0.weight", torch.zeros(2, 4), r"0.weight is float32\[2, 4\], the model needs float32\[2, 3\]"),
        ("model.0.bias", None, r"0.bias is missing, the model needs float32\[2\]"),
        ("model.1.num_batches_tracked", torch.tensor(1.0), r"is float32\[\], the model needs int64\[\]"),
        ("optimizer.7.weight:step", torch.tensor(1.0), "optimizer.7.weight:step belongs to no parameter"),
        ("random", None, "the random generator's state is missing"),
    ],
)
def test_tensors_that_do_not_fit_are_named(name, tensor, message):
    model, optimizer = trained()
    state = {**collect_state(model, optimizer), name: tensor}
    with pytest.raises(BuildError, match=message):
        restore_state(model, optimizer, {key: value for key, value in state.items() if value is not None})
