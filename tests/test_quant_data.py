import numpy as np
import pytest

from espalier.errors import BuildError
from espalier.quant.data import DIGITS as FALLBACK
from espalier.quant.data import load_dataset
from espalier.quant.override import override
from espalier.quant.recipes import RECIPES, find_recipe
from espalier.quant.speech import cepstrum
from espalier.quant.superres import resize

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
    assert (len(dataset.train_targets), len(dataset.test_targets)) == (1348, 449)
    assert dataset.train_inputs.max() == DIGITS.network.input.high


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


SIZES = {"mnist": 10_000, "cifar10": 10_000, "fsdd": 300, "superres": 199}


@pytest.mark.parametrize("name", ["tfc-w1a1", "cnv-w1a1", "resnet8", "ds-cnn", "espcn", "autoencoder", "unet"])
def test_real_data_fit_the_networks(name, data_folder):
    recipe = find_recipe(name)
    dataset = load_dataset(override(recipe, images=1000), data_folder)
    assert dataset.train_inputs.shape == (1000, *recipe.network.input.shape)
    assert len(dataset.test_targets) == len(dataset.test_inputs) == SIZES[recipe.dataset]
    for part in (dataset.train_inputs, dataset.test_inputs):
        assert recipe.network.input.low <= part.min() < part.max() <= recipe.network.input.high


def test_all_images_are_there(data_folder):
    dataset = load_dataset(TFC, data_folder / "mnist.npz")
    assert (len(dataset.train_targets), len(dataset.test_targets)) == (60000, 10000)


@pytest.mark.parametrize("name", RECIPES)
def test_digits_fit_every_network(name):
    pytest.importorskip("sklearn", reason="needs the train extra")
    recipe = find_recipe(name)
    dataset = load_dataset(recipe, FALLBACK)
    assert dataset.train_inputs.shape[1:] == recipe.network.input.shape and len(dataset.test_inputs) == 449
    if recipe.task != "classify":
        assert dataset.test_targets.shape[1:] == recipe.network.shapes()[recipe.network.layers[-1].name]
        assert dataset.test_targets.min() >= 0 and dataset.test_targets.max() <= 1


def speech_file(folder, **changes):
    samples = np.random.default_rng(0).integers(-3000, 3000, 5000 * 8, np.int16)
    arrays = {"samples": samples, "offsets": np.arange(9) * 5000, "y": np.arange(8), "index": np.arange(8)} | changes
    np.savez(folder / "fsdd.npz", **arrays)
    return folder


def test_speech_becomes_pictures_from_minus_1_to_1(tmp_path):
    dataset = load_dataset(find_recipe("ds-cnn"), speech_file(tmp_path))
    assert (len(dataset.train_inputs), len(dataset.test_inputs)) == (3, 5)
    assert dataset.train_targets.tolist() == [5, 6, 7]
    assert abs(dataset.train_inputs.mean()) < 0.1 and 0.1 < dataset.train_inputs.std() < 0.4


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"samples": np.zeros(40_000)}, r"samples is float64\[40000\]; needed is int16"),
        ({"offsets": np.arange(9) * 4000}, "offsets must rise from 0 to 40000, the number of samples"),
        ({"y": np.arange(7)}, r"y is int64\[7\]; needed are 8 integers"),
        ({"index": np.arange(8) + 5}, "those below 5 are the test set"),
    ],
)
def test_wrong_speech_is_named(changes, message, tmp_path):
    with pytest.raises(BuildError, match=message):
        load_dataset(find_recipe("ds-cnn"), speech_file(tmp_path, **changes))


def test_cepstrum_tells_low_from_high_tones():
    low, high = (cepstrum((9000 * np.sin(np.arange(4000) * step)).astype(np.int16)) for step in (0.2, 2.5))
    assert low.shape == (49, 10) and low[24, 1] > high[24, 1]
    np.testing.assert_allclose(low[0], low[48], atol=1e-9)  # silence before and after, as summed by BLAS


def test_resize_keeps_flat_and_slanted_images():
    image = np.full((9, 9), 7.0) + np.arange(9)
    np.testing.assert_allclose(
        resize(image, 18, 27)[:, 6:-6], (np.full((18, 27), 7.0) + np.arange(27) / 3 - 1 / 3)[:, 6:-6]
    )
    np.testing.assert_allclose(resize(np.ones((10, 6)), 5, 2), 1)


def test_bicubic_is_as_good_as_published(data_folder):
    """Set5 x2: 33.66 dB is the usual figure; it is the mean over images, ours that of the errors over tiles."""
    dataset = load_dataset(find_recipe("espcn"), data_folder)
    error = np.square(dataset.baseline - dataset.test_targets)[..., 8:-8, 8:-8].mean(dtype=np.float64)
    assert 31 < -10 * np.log10(error) < 35


def test_superres_needs_both_archives(tmp_path):
    np.savez(tmp_path / "sr_t91.npz", im000=np.zeros((70, 70, 3), np.uint8))
    with pytest.raises(BuildError, match="sr_set5.npz: cannot be read"):
        load_dataset(find_recipe("espcn"), tmp_path)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"a": np.zeros(3)}, "holds no images im000, im001"),
        ({"im000": np.zeros((70, 70), np.uint8)}, r"im000 is uint8\[70, 70\]; needed is uint8\[height,width,3\]"),
        ({"im000": np.zeros((50, 70, 3), np.uint8)}, "no image has 64 x 64 pixels"),
    ],
)
def test_wrong_images_for_superres_are_named(arrays, message, tmp_path):
    np.savez(tmp_path / "sr_t91.npz", **arrays)
    with pytest.raises(BuildError, match=message):
        load_dataset(find_recipe("espcn"), tmp_path / "sr_t91.npz")
