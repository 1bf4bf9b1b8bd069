import numpy as np
import pytest

from espalier.hw.loops import Loop, Nest

LINES = Loop(3, 8), Loop(2, 0, again=True), Loop(4, 2)
SHUFFLED = Loop(3, 16), Loop(2, 2, again=True), Loop(4, 4)
WINDOWS = Loop(3, 8, y=1), Loop(4, 2, x=1)
TAPS = Loop(3, 8, y=1), Loop(3, 2, x=1), Loop(2, 1)
NESTS = {
    "lines, each twice": Nest(24, (*LINES, Loop(2, 0), Loop(2, 1)), 3),
    "halves of pixels": Nest(48, (*SHUFFLED, Loop(2, 1)), 3),
    "padded windows": Nest(24, (*WINDOWS, *TAPS), 2, -10, (-1, -1), (3, 4)),
    "windows": Nest(24, (Loop(1, 8, y=1), Loop(2, 2, x=1), *TAPS), 2, size=(3, 4)),
    "one slot": Nest(1, (), 0),
}


@pytest.mark.parametrize("nest", NESTS.values(), ids=NESTS)
def test_no_beat_is_free_before_its_last_reading(nest):
    last = np.full(nest.beats, -1)
    reading = np.flatnonzero(~nest.padded)
    last[nest.address[reading]] = reading
    assert (last <= nest.frees).all() and (np.diff(nest.frees) >= 0).all()


def test_a_line_is_freed_pixel_by_pixel_in_its_last_reading():
    nest = NESTS["lines, each twice"]
    line, passes, pixel = 2 * 16, 16, 4  # slots
    expected = [row * line + passes + (column + 1) * pixel - 1 for row in range(3) for column in range(4)]
    assert nest.frees.tolist() == np.repeat(expected, 2).tolist()
    assert nest.least_places == 8


def test_pixels_before_the_image_keep_those_of_the_frame_before():
    nest = NESTS["padded windows"]
    assert nest.frees[-10:].min() >= nest.slots > nest.frees[-11]
