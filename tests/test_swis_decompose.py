"""SWIS decompositions against exhaustive search, and the schedule of filters against all sequences."""

from itertools import combinations, product

import numpy as np
import pytest

from espalier.quant.swis.assign_filters import assign_filters
from espalier.quant.swis.decompose import decompose, filter_errors, nearest_sums, supports_of
from espalier.quant.swis.options import Swis
from espalier.quant.swis.schedule import share_shifts, sort_filters


def random_weights(filters, groups, size, positions=7, seed=0):
    top = 2**positions - 1
    return np.random.default_rng(seed).integers(-top, top + 1, (filters, groups, size))


def sums_of(places):
    return [sum(1 << place for place in some) for n in range(len(places) + 1) for some in combinations(places, n)]


def best_of_all(groups, shifts, positions, alpha, consecutive):
    """The least cost, by every set of positions, and the lower of two nearest sums; ``groups`` share the positions."""
    costs = []
    for places in combinations(range(positions), shifts):
        if consecutive and places[-1] - places[0] >= shifts:
            continue
        cost = 0.0
        for group in groups:
            errors = [
                np.sign(w) * (abs(w) - min(sums_of(places), key=lambda level: (abs(abs(w) - level), level)))
                for w in group.tolist()
            ]
            cost += (alpha * sum(errors) ** 2 + sum(error**2 for error in errors)) / len(errors)
        costs.append(cost)
    return min(costs)


def cost_of(weights, codes, alpha):
    errors = weights - codes
    return (alpha * errors.sum(axis=-1) ** 2 + (errors**2).sum(axis=-1)) / weights.shape[-1]


@pytest.mark.parametrize("consecutive", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.5])
@pytest.mark.parametrize("positions, shifts", [(7, 1), (7, 2), (7, 4), (3, 2), (2, 1)])
def test_no_other_positions_err_less(positions, shifts, alpha, consecutive):
    weights = random_weights(2, 3, 4, positions)
    found = decompose(weights, np.full(2, shifts), positions, alpha=alpha, consecutive=consecutive)
    for weight, cost in zip(weights.reshape(-1, 4), cost_of(weights, found.codes, alpha).ravel(), strict=True):
        assert cost == best_of_all([weight], shifts, positions, alpha, consecutive)


def test_filters_that_share_take_the_best_positions_for_all():
    weights = random_weights(5, 2, 3, seed=1)
    found = decompose(weights, np.full(5, 2), 7, sharing=2)
    for first in (0, 2, 4):
        some = weights[first : first + 2]
        costs = cost_of(some, found.codes[first : first + 2], 1.0).sum(axis=0)
        assert costs.tolist() == [best_of_all(some[:, group], 2, 7, 1.0, False) for group in range(2)]
        assert (found.supports[first : first + 2] == found.supports[first]).all()


@pytest.mark.parametrize("sharing", [1, 3])
@pytest.mark.parametrize("size", [1, 4, 5])
def test_codes_use_no_positions_but_those_of_their_group(size, sharing):
    weights, shifts = random_weights(6, 5, size, seed=2), np.array([3, 3, 3, 1, 1, 1])
    found = decompose(weights, shifts, 7, sharing=sharing)
    assert not (np.abs(found.codes) & ~found.supports[:, :, None]).any()
    assert (np.bitwise_count(found.supports) == shifts[:, None]).all()
    assert (found.codes * weights >= 0).all()


@pytest.mark.parametrize("positions", [2, 3, 7])
def test_all_positions_change_nothing(positions):
    weights = random_weights(3, 4, 4, positions)
    weights.ravel()[:2] = 2**positions - 1, 1 - 2**positions
    assert (decompose(weights, np.full(3, positions), positions).codes == weights).all()
    assert (decompose(weights, np.full(3, positions), positions, consecutive=True).codes == weights).all()


def test_the_signed_sum_of_errors_counts():
    """Of 3 and 3, 2 and 4 err alike in sum of squares; of 3 and -3 as well, but these errors cancel out."""
    weights = np.array([[[3, 3, 8]], [[3, -3, 8]]])
    assert cost_of(weights, np.array([[[2, 2, 8]], [[2, -2, 8]]]), 1.0).ravel().tolist() == [(4 + 2) / 3, (0 + 2) / 3]
    errors = filter_errors(weights, 4, alpha=1.0)
    assert errors[:, 1].tolist() == [(4 + 2) / 3, 2 / 3] and filter_errors(weights, 4, alpha=0.0)[0, 1] == 2 / 3


def test_of_two_nearest_sums_the_lower_one_is_taken():
    assert nearest_sums(0b0100, 4).tolist() == [0, 0, 0, *[4] * 13]
    assert nearest_sums(0b1010, 4).tolist() == [0, 0, 2, 2, 2, 2, 8, 8, 8, 8, 10, 10, 10, 10, 10, 10]


def test_supports_are_all_sets_or_all_runs():
    assert len(supports_of(7, 3, False)) == 35 and len(supports_of(7, 3, True)) == 5
    assert supports_of(4, 2, True) == (0b0011, 0b0110, 0b1100)


def test_errors_of_filters_are_those_of_their_decompositions():
    weights = random_weights(4, 3, 4, seed=3)
    errors, together = filter_errors(weights, 7), filter_errors(weights, 7, sharing=4)
    for shifts in range(1, 8):
        alone = decompose(weights, np.full(4, shifts), 7).codes
        assert errors[:, shifts - 1].tolist() == cost_of(weights, alone, 1.0).sum(axis=1).tolist()
        joint = decompose(weights, np.full(4, shifts), 7, sharing=4).codes
        assert together[:, shifts - 1].tolist() == cost_of(weights, joint, 1.0).sum(axis=1).tolist()
    assert (np.diff(errors, axis=1) <= 0).all() and (together >= errors).all()


@pytest.mark.parametrize("average, step", [(1, 1), (2.5, 1), (1.75, 1), (3, 2), (2.5, 2), (4, 1)])
def test_tiles_have_the_average_with_the_least_error_of_all_sequences(average, step):
    errors = filter_errors(random_weights(4, 3, 2, 4, seed=4), 4)
    found = share_shifts(errors, average, step)
    total = 4 * average // step * step
    every = [shifts for shifts in product(range(step, 5, step), repeat=4) if sum(shifts) == total]
    least = min(sum(errors[tile, count - 1] for tile, count in enumerate(shifts)) for shifts in every)
    assert found.sum() == total and not (found % step).any()
    assert sum(errors[tile, count - 1] for tile, count in enumerate(found)) == pytest.approx(least, rel=1e-12)


def test_an_average_that_no_shifts_give_is_not_exceeded():
    errors = filter_errors(random_weights(3, 2, 2), 7)
    assert share_shifts(errors, 2.5).sum() == 7 and share_shifts(errors[:1], 1.9).tolist() == [1]


def test_filters_that_need_more_shifts_come_last():
    weights = random_weights(4, 6, 4)
    weights[2] = 64 * np.sign(weights[2])  # one position will do
    assert sort_filters(filter_errors(weights, 7), 2.5)[0] == 2


@pytest.mark.parametrize("at_once, joint, double", [(1, 0, 0), (2, 0, 0), (4, 1, 0), (3, 1, 1)])
def test_filters_computed_at_once_have_equal_shifts_and_the_average_is_met(at_once, joint, double):
    swis = Swis(2.5 if not double else 3, 4, filters_at_once=at_once, joint=bool(joint), double_shift=bool(double))
    weights = random_weights(12, 5, 4, seed=5)
    found = assign_filters(weights, 7, swis, may_sort=True)
    assert sorted(found.order) == list(range(12)) and (np.diff(found.shifts) >= 0).all()
    tiles = found.shifts.reshape(-1, at_once)
    assert (tiles == tiles[:, :1]).all() and tiles[:, 0].sum() == int(swis.shifts * len(tiles))
    assert not double or not (found.shifts % 2).any()
    fixed = assign_filters(weights, 7, swis, may_sort=False)
    assert fixed.order.tolist() == list(range(12)) and fixed.shifts.sum() == found.shifts.sum()


def test_filters_of_zeros_come_last_and_count_for_nothing():
    weights = random_weights(9, 5, 4, seed=6)
    weights[[0, 4, 5]] = 0
    found = assign_filters(weights, 7, Swis(3.5, filters_at_once=2), may_sort=True)
    assert set(found.order[6:]) == {0, 4, 5} and found.shifts[:6].sum() == 6 * 3.5 - 1  # of 3 tiles
    fixed = assign_filters(weights, 7, Swis(3, filters_at_once=3), may_sort=False)
    weights[3:6] = 0
    assert assign_filters(weights, 7, Swis(3, filters_at_once=3), may_sort=False).shifts[[0, 6]].sum() == 6
    assert fixed.shifts[::3].sum() == 9


def test_scheduling_errs_less_than_the_same_shifts_for_all():
    weights = random_weights(16, 9, 4, seed=7) // np.arange(1, 17)[:, None, None]
    errors = filter_errors(weights, 7)
    for shifts in (2, 3):
        assert errors[np.arange(16), share_shifts(errors, shifts) - 1].sum() < errors[:, shifts - 1].sum()
