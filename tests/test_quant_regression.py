"""Explained variance and least squares, against brute force by numpy."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.pruning.moments import Sums  # noqa: E402
from espalier.quant.pruning.regression import Explanation, explained, refit  # noqa: E402
from espalier.quant.pruning.unfold import set_weights, unfold, weights_of  # noqa: E402

TINY = 1e-12  # a ridge that changes nothing in double precision
BLOCKS = torch.arange(12).reshape(4, 3)
LAYERS = {
    "dense": (torch.nn.Linear(6, 4), (5, 6)),
    "convolution": (torch.nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0)), (5, 3, 7, 6)),
    "transposed": (torch.nn.ConvTranspose2d(3, 4, (4, 3), (2, 3), (1, 0)), (5, 3, 4, 5)),
    "transposed, cropped": (torch.nn.ConvTranspose2d(3, 4, 2, 2, 1), (5, 3, 4, 5)),
}


def data(rows=300, seed=0):
    """Features in four correlated blocks, what five outputs are, and their moments."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((rows, 12)) @ rng.standard_normal((12, 12)) + rng.standard_normal(12)
    outputs = features @ rng.standard_normal((12, 5)) + rng.standard_normal((rows, 5)) + 3
    return features, outputs


def moments(features, outputs, central=True):
    sums = Sums(central=central)
    for part in np.array_split(np.concatenate([features, outputs], 1), 3):
        sums.add(torch.from_numpy(part))
    return sums.moments(features.shape[1])


def variance_explained(features, outputs, chosen):
    """By numpy's least squares with a constant."""
    design = np.concatenate([features[:, chosen], np.ones((len(features), 1))], 1)
    left = outputs - design @ np.linalg.lstsq(design, outputs, rcond=None)[0]
    return outputs.var(0).sum() - left.var(0).sum()


def test_gains_are_increases_of_the_explained_variance():
    features, outputs = data()
    found = moments(features, outputs)
    explanation = Explanation(found.covariance, found.cross, TINY)
    known: list[int] = []
    for block in (2, 0, 3, 1):
        gain = float(explanation.gains(BLOCKS[[block]])[0])
        wanted = variance_explained(features, outputs, [*known, *BLOCKS[block].tolist()])
        np.testing.assert_allclose(gain, wanted - variance_explained(features, outputs, known), rtol=1e-8)
        explanation.add(BLOCKS[block])
        known += BLOCKS[block].tolist()


def test_gains_are_those_of_the_published_formula():
    """|(W C_t - W C_S C_SS^-1 C_St) L^-T|^2, L L^T = C_tt - C_tS C_SS^-1 C_St, where outputs are W x."""
    features, _ = data()
    weights = np.random.default_rng(1).standard_normal((5, 12))
    found = moments(features, features @ weights.T)
    explanation = Explanation(found.covariance, found.cross, TINY)
    explanation.add(torch.arange(6))
    covariance, s, t = np.cov(features.T, bias=True), slice(0, 6), slice(9, 12)
    known = np.linalg.solve(covariance[s, s], covariance[s, t])
    factor = np.linalg.cholesky(covariance[t, t] - covariance[t, s] @ known)
    residual = weights @ (covariance[:, t] - covariance[:, s] @ known)
    wanted = np.square(residual @ np.linalg.inv(factor).T).sum()
    np.testing.assert_allclose(float(explanation.gains(BLOCKS[[3]])[0]), wanted, rtol=1e-8)


@pytest.mark.parametrize("central", [True, False])
def test_the_fit_is_least_squares(central):
    features, outputs = data()
    found, kept = moments(features, outputs, central), torch.arange(12) % 3 > 0
    start = torch.from_numpy(np.random.default_rng(1).standard_normal((5, 12)))
    fitted = refit(start, found.covariance, found.cross, kept, TINY).numpy()
    design = np.concatenate([features[:, kept.numpy()], np.full((len(features), 1), float(central))], 1)
    wanted = np.linalg.lstsq(design, outputs, rcond=None)[0]
    np.testing.assert_allclose(fitted[:, kept.numpy()], wanted[:-1].T, rtol=1e-8)
    assert not fitted[:, ~kept.numpy()].any()
    if central:
        np.testing.assert_allclose(found.output_mean.numpy() - fitted @ found.mean.numpy(), wanted[-1], rtol=1e-8)


def test_a_fit_by_few_rows_changes_only_what_they_tell():
    features, outputs = data(rows=4)
    found = moments(features, outputs, central=False)
    start = torch.from_numpy(np.random.default_rng(1).standard_normal((5, 12)))
    fitted = refit(start, found.covariance, found.cross, torch.ones(12, dtype=torch.bool), 1e-7).numpy()
    # The ridge leaves a little of the error, and keeps rounding out of the directions in which there are no data.
    np.testing.assert_allclose(features @ fitted.T, outputs, atol=1e-4)
    moved = fitted - start.numpy()
    np.testing.assert_allclose(moved @ np.linalg.pinv(features) @ features, moved, atol=1e-6)


def test_explained_variance_is_that_of_the_fit_whatever_its_scale():
    features, outputs = data()
    found = moments(features, outputs)
    kept = torch.arange(12) < 6
    fitted = refit(torch.zeros(5, 12).double(), found.covariance, found.cross, kept, TINY)
    shares = explained(fitted * 7, found.covariance, found.cross)
    np.testing.assert_allclose(float(shares.sum()), variance_explained(features, outputs, range(6)), rtol=1e-8)


@pytest.mark.parametrize("central", [True, False])
def test_moments_are_those_of_all_rows(central):
    features, outputs = data(rows=50)
    found, mean = moments(features, outputs, central), features.mean(0) * central
    centred = features - mean
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.covariance, centred.T @ centred / 50, rtol=1e-9)
    np.testing.assert_allclose(found.cross, (outputs - outputs.mean(0) * central).T @ centred / 50, rtol=1e-9)
    np.testing.assert_allclose(found.output_variance, np.square(outputs - outputs.mean(0) * central).mean(0))
    assert found.rows == 50


def test_what_is_constant_has_a_variance_of_exactly_zero():
    features, outputs = data()
    features[:, 4] = 0.1
    assert (moments(features, outputs).covariance.diagonal() == 0).nonzero().flatten().tolist() == [4]
    assert not (moments(features, outputs, central=False).covariance.diagonal() == 0).any()


@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_are_weights_times_unfolded_inputs(kind):
    layer, shape = LAYERS[kind]
    values = torch.rand(shape)
    with torch.no_grad():
        wanted = (layer(values) - layer.bias.view(1, -1, *[1] * (len(shape) - 2))).reshape(5, 4, -1)
    found = weights_of(layer) @ unfold(layer, values).double()
    torch.testing.assert_close(found.float(), wanted, rtol=1e-4, atol=1e-5)  # sums in another order


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_set_are_weights_read(kind):
    layer = LAYERS[kind][0]
    before, matrix = layer.weight.detach().clone(), weights_of(layer)
    set_weights(layer, matrix * 2)
    assert torch.equal(layer.weight, before * 2) and torch.equal(weights_of(layer), matrix * 2)
    set_weights(layer, matrix)
