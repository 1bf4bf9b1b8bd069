import cnv
import numpy as np
import pytest

from espalier.hw.design import generate
from espalier.hw.queues import analyse


@pytest.fixture(scope="module")
def arrays(models_folder):
    with np.load(models_folder / "cnv_w1a1_cifar10.npz", allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def graph(arrays):
    return cnv.cnv_graph(arrays)


def test_logits_equal_those_of_the_authors(arrays, graph):
    found = cnv.logits(graph, arrays["input_first1000"].astype(np.int64))
    np.testing.assert_array_equal(found, arrays["logits_first1000"])


@pytest.mark.slow
def test_accuracy_on_the_whole_test_set(data_folder, arrays, graph):
    with np.load(data_folder / "cifar10.npz", allow_pickle=False) as archive:
        images, labels = cnv.as_inputs(archive["x_test"]), archive["y_test"]
    np.testing.assert_array_equal(images[:1000], arrays["input_first1000"])
    assert (cnv.logits(graph, images).argmax(axis=1) == labels).sum() == 7936


def test_rate_with_the_folding_of_finn(graph):
    design = generate(graph, cnv.finn_plan())
    assert analyse(design.schedules, design.links).ii_cycles <= 32768
