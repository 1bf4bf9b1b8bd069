"""What the serial engine makes of decomposed weights: slots in proportion to the shifts."""

import numpy as np
import pytest

from espalier.hw.slots import count_slots
from espalier.hw.weight_planes import sign_and_magnitude
from espalier.hw.weights import fold_tiles
from espalier.quant.swis.assign_filters import assign_filters
from espalier.quant.swis.decompose import decompose
from espalier.quant.swis.options import Swis


def slots_of(swis, order="group-major", filters=24, groups=20):
    """Slots a tile of ``filters_at_once`` filters and ``group`` inputs takes on average."""
    weights = np.random.default_rng(0).integers(-127, 128, (filters, groups, swis.group))
    found = assign_filters(weights, 7, swis, may_sort=True)
    codes = decompose(weights[found.order], found.shifts, 7, sharing=swis.sharing).codes
    tiles = fold_tiles(codes.reshape(filters, 1, -1), swis.filters_at_once, swis.group)
    takes = np.arange(len(tiles)) == 0
    used = sign_and_magnitude(tiles).used
    return count_slots(used, takes, order, swis.step) / used.size


@pytest.mark.parametrize("shifts", [1, 2, 2.5, 3, 4])
@pytest.mark.parametrize("group", [4, 16])
def test_jointly_decomposed_tiles_take_as_many_slots_as_shifts(shifts, group):
    assert slots_of(Swis(shifts, group, filters_at_once=4, joint=True)) == shifts


@pytest.mark.parametrize("shifts", [2, 3, 4])
def test_two_shifts_in_a_slot_take_half_as_many(shifts):
    assert slots_of(Swis(shifts, 16, filters_at_once=4, joint=True, double_shift=True)) == shifts / 2


def test_positions_of_each_filter_alone_take_more():
    assert 2.5 < slots_of(Swis(2, 4, filters_at_once=4)) <= 7
    assert slots_of(Swis(2, 16)) == 2  # where filters are computed one by one


@pytest.mark.parametrize("shifts", [2, 3])
def test_doublings_of_a_group_are_few(shifts):
    assert shifts <= slots_of(Swis(shifts, 4, filters_at_once=4, joint=True), "plane-major") <= 1.05 * shifts
