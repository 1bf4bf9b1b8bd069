"""Slots of bit planes: together they are the weights, empty planes are not among them, and each beat is taken once."""

import numpy as np
import pytest

from espalier.hw.slots import count_slots, order_slots
from espalier.hw.weight_planes import NOTHING, choose_form, complement, forms_of, sign_and_magnitude
from espalier.hw.weights import fold_tiles

VALUES = {
    "zero": [0],
    "signs": [-1, 1],
    "ternary": [-1, 0, 1],
    "sparse": [0] * 20 + [-96, 5, 64],
    "int4": range(-8, 8),
    "uint3": range(8),
    "negative": [-4, -1],
    "shifted": [-48, 16, 0],
}
FORMS = {"complement": complement, "signs": sign_and_magnitude}
ORDERS = ["group-major", "plane-major"]
TAKES = {"all": [True] * 6, "first": [True] + [False] * 5, "blocks": [True, False] * 3}


def random_tiles(values, shape=(11, 3, 5), pe=2, simd=2):
    return fold_tiles(np.random.default_rng(1).choice(np.array(values), shape), pe, simd)


def contributions(planes, slots, order):
    """Tiles again, from what each slot adds to them."""
    total = np.zeros_like(planes.bits)
    for at in range(len(slots)):
        group, beat, doubles = slots.group[at], slots.beat[at], slots.doubles[at]
        if doubles:
            total[group] <<= slots.planes.shape[1]
        for place, plane in enumerate(slots.planes[at]):
            masks = planes.masks(slots.group[at : at + 1], slots.beat[at : at + 1], np.array([plane]))[0]
            negative = planes.is_negative[group, beat] if planes.signs == "weight" else plane == planes.negative_plane
            position = place if order == "plane-major" else max(0, plane - slots.lowest)
            total[group, beat] += np.where(negative, -masks, masks) << position
    return total << slots.lowest


@pytest.mark.parametrize("shifts", [1, 2, 3])
@pytest.mark.parametrize("takes", TAKES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", VALUES)
def test_slots_add_up_to_the_weights(kind, form, order, takes, shifts):
    tiles = random_tiles(VALUES[kind])
    planes = FORMS[form](tiles)
    slots = order_slots(planes.used, np.array(TAKES[takes]), order, shifts)
    np.testing.assert_array_equal(contributions(planes, slots, order), tiles)


@pytest.mark.parametrize("shifts", [1, 2])
@pytest.mark.parametrize("takes", TAKES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", VALUES)
def test_beats_are_taken_once_and_in_order_before_they_are_used(kind, order, takes, shifts):
    used = complement(random_tiles(VALUES[kind])).used
    taking = np.array(TAKES[takes])
    slots = order_slots(used, taking, order, shifts)
    assert len(slots) == count_slots(used, taking, order, shifts)
    assert slots.beat[slots.takes].tolist() == list(range(used.shape[1])) * taking.sum()
    last = -1
    for beat, takes_it in zip(slots.beat, slots.takes):
        last = beat if takes_it else last
        assert beat <= last or (not takes_it and last == used.shape[1] - 1)
    assert slots.group[slots.starts].tolist() == list(range(len(used)))


@pytest.mark.parametrize("order", ORDERS)
def test_empty_planes_of_a_tile_are_absent(order):
    used = np.array([[0b1011, 0, 0b10], [0b1000, 0b1000, 0], [0, 0, 0]])
    slots = order_slots(used, np.array([True, False, False]), order, 1)
    done = {(int(g), int(b), int(p)) for g, b, p in zip(slots.group, slots.beat, slots.planes[:, 0]) if p != NOTHING}
    assert done == {(g, b, p) for g in range(3) for b in range(3) for p in range(4) if used[g, b] >> p & 1}
    idle = (slots.planes == NOTHING).sum()
    # A beat that group 0 takes only; a group of zeros; by plane, doublings where no tile has the plane.
    assert idle == {"group-major": 1 + 1, "plane-major": 2 + 1 + 3 + 1}[order]


def test_two_planes_of_a_tile_share_a_slot():
    used = np.array([[0b1011, 0b0100]])
    by_group = order_slots(used, np.array([True]), "group-major", 2)
    by_plane = order_slots(used, np.array([True]), "plane-major", 2)
    assert by_group.planes.tolist() == [[0, 1], [3, NOTHING], [2, NOTHING]]
    assert by_plane.planes.tolist() == [[NOTHING, 3], [2, NOTHING], [0, 1]]


def test_weights_of_few_planes_get_signs_of_their_own_and_full_ones_do_not():
    few, full = random_tiles([-64, -8, 0, 8, 64], simd=8), random_tiles(range(-8, 8), (11, 3, 64), simd=8)
    for tiles, signs in ((few, "weight"), (full, "plane"), (np.abs(full), "none")):
        forms = forms_of(tiles)
        counts = [count_slots(form.used, np.array(TAKES["first"]), "group-major", 1) for form in forms]
        assert forms[choose_form(forms, counts, 4, 8)].signs == signs


def test_what_is_subtracted_makes_up_for_inverted_inputs():
    tiles = random_tiles(range(-8, 8))
    assert (complement(tiles).subtracted == 8 * (tiles < 0)).all()
    assert (sign_and_magnitude(tiles).subtracted == np.maximum(-tiles, 0)).all()
