import numpy as np
import pytest

from espalier.errors import BuildError
from espalier.quant.data import load_dataset
from espalier.quant.recipes import find_recipe

DIGITS, TFC = find_recipe("digits-mlp"), find_recipe("tfc-w1a1")


def mnist_file(folder, **changes):
    arrays = {
        "x_train": np.full((6, 28, 28), 255, np.uint8),
        "y_train": np.arange(6, dtype=np.uint8),
        "x_test": np.zeros((4, 28, 28), np.uint8),
        "y_test": np.arange(4, dtype=np.uint8),
    } | changes
    path = folder / "mnist.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_mnist_becomes_rows_from_0_to_1(tmp_path):
    dataset = load_dataset(TFC, mnist_file(tmp_path))
    assert dataset.train_inputs.shape == (6, 784) and dataset.train_inputs.dtype == np.float32
    assert dataset.train_inputs.max() == 1 and dataset.test_inputs.max() == 0


def test_digits_are_split_without_overlap():
    pytest.importorskip("sklearn", reason="needs the train extra")
    dataset = load_dataset(DIGITS, None)
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (1348, 449)
    assert dataset.train_inputs.max() == DIGITS.peak


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"y_test": None}, "has no y_test; needed are x_train, y_train, x_test, y_test"),
        (
            {"x_train": np.zeros((6, 32, 32), np.uint8)},
            r"x_train is uint8\[6, 32, 32\]; needed is uint8\[images,28,28\]",
        ),
        ({"x_test": np.zeros((4, 28, 28), np.float32)}, "x_test is float32"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "x_test is uint8"),
        ({"y_train": np.arange(5)}, r"y_train is int64\[5\]; needed are 6 integers"),
        ({"y_train": np.arange(5, 11)}, "y_train runs from 5 to 10; needed are labels 0 to 9"),
    ],
)
def test_wrong_archives_say_what_is_needed(changes, message, tmp_path):
    with pytest.raises(BuildError, match=message):
        load_dataset(TFC, mnist_file(tmp_path, **changes))


def test_missing_data_option_is_asked_for():
    with pytest.raises(BuildError, match="tfc-w1a1: needs --data mnist.npz"):
        load_dataset(TFC, None)


def test_data_for_a_recipe_that_brings_its_own_is_refused(tmp_path):
    with pytest.raises(BuildError, match="digits-mlp: brings its own data, .*leave --data away"):
        load_dataset(DIGITS, tmp_path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(BuildError, match=r"none.npz: cannot be read \(No such file or directory\)"):
        load_dataset(TFC, tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no archive"])
def test_damaged_file_is_named(content, tmp_path):
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(BuildError, match="m.npz: is not a readable npz archive"):
        load_dataset(TFC, tmp_path / "m.npz")


def test_truncated_file_is_named(tmp_path):
    path = mnist_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BuildError, match="mnist.npz: is not a readable npz archive"):
        load_dataset(TFC, path)


def test_pickled_arrays_are_refused(tmp_path):
    with pytest.raises(BuildError, match="is not a readable npz archive of plain arrays"):
        load_dataset(TFC, mnist_file(tmp_path, x_train=np.array([{}], dtype=object)))


def test_real_mnist_loads(data_folder):
    dataset = load_dataset(TFC, data_folder / "mnist.npz")
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (60000, 10000)
