"""Records against expectations, without a simulator."""

import numpy as np
import pytest

from espalier.errors import BuildError, ToolError
from espalier.ir.graph import IntType, TensorType
from espalier.sim.compare import compare_stream, read_records
from espalier.sim.folder import Vectors, hex_lines, records, stall_pattern
from espalier.sim.streams import Stream
from espalier.sim.waves import Waves

STREAM = Stream("fc1", "fc1", TensorType((2, 1, 3), IntType(4, signed=True)), 2, "fc1.y")  # 2 pixels, 4 beats a frame
BEATS = np.array([[0x21], [0x0F], [0x43], [0x05]] * 3, np.uint32)
CYCLES = np.arange(10, 34, 2)


def compare(beats, cycles):
    vectors = Vectors("plain", 0.0, 3, {"fc1": BEATS}, {"fc1": CYCLES}, {})
    return compare_stream(STREAM, records(np.array(beats), np.array(cycles)), vectors)


def test_equal_records_have_no_mismatch():
    result = compare(BEATS, CYCLES)
    assert (result.wrong_values, result.wrong_cycles, result.first) == (0, 0, ())


def test_wrong_value_names_frame_pixel_and_channel():
    beats = BEATS.copy()
    beats[6] = 0x4F  # frame 1, pixel 1, channels 0 and 1
    result = compare(beats, CYCLES)
    assert (result.wrong_values, result.wrong_cycles) == (1, 0)
    text = "stream fc1, layer fc1, frame 1, pixel 1, channel 0: expected 3, got -1, in cycle 22"
    assert [one.text for one in result.first] == [text]


def test_wrong_padding_is_named():
    beats = BEATS.copy()
    beats[1], beats[2] = 0x1F, 0x1_43
    texts = [one.text for one in compare(beats, CYCLES).first]
    assert "padding lane 1: expected 0, got 1" in texts[0]
    assert "padding bits: expected 0, got 1" in texts[1]


def test_wrong_cycle_names_both_cycles():
    cycles = CYCLES.copy()
    cycles[4:] += 1
    result = compare(BEATS, cycles)
    assert (result.wrong_values, result.wrong_cycles) == (0, 8)
    assert result.first[0].text == (
        "stream fc1, layer fc1, frame 1, pixel 0, channel 0: expected in cycle 18, came in cycle 19"
    )


@pytest.mark.parametrize("count", [0, 11])
def test_lost_beats_are_counted(count):
    result = compare(BEATS[:count], CYCLES[:count])
    assert result.wrong_values == result.wrong_cycles == 12 - count
    assert result.first[-1].text == f"stream fc1, layer fc1: 12 beats expected, {count} came"


def test_surplus_beats_are_counted():
    result = compare(np.concatenate([BEATS, BEATS[:1]]), np.append(CYCLES, 99))
    assert (result.wrong_values, result.first[0].cycle) == (1, 99)


def test_torn_records_are_an_error(tmp_path):
    path = tmp_path / "fc1.bin"
    path.write_bytes(bytes(12))
    with pytest.raises(ToolError, match="3 words are no whole number of records of 2 words"):
        read_records(path, STREAM)


def test_hex_lines_have_the_most_significant_digit_first():
    words = np.array([[0x89ABCDEF, 0x1], [0x2, 0xFFF]], np.uint32)
    assert hex_lines(words, 36) == b"189abcdef\nf00000002\n"


def test_every_stall_pattern_lets_something_through():
    assert stall_pattern(1 - 1e-12, 0, 0).any()
    assert stall_pattern(0.0, 0, 0).all()


def test_stall_patterns_depend_on_seed_and_port():
    patterns = [stall_pattern(0.5, seed, port).tobytes() for seed in (0, 1) for port in (0, 1)]
    assert len(set(patterns)) == 4


@pytest.mark.parametrize(
    "text, waves",
    [
        ("vcd", Waves("vcd")),
        ("fst:5:9", Waves("fst", 5, 9)),
        ("100:200", Waves("vcd", 100, 200)),
        ("vcd:7", Waves("vcd", 7)),
    ],
)
def test_waves_are_written_as_format_and_window(text, waves):
    assert Waves.parse(text) == waves


@pytest.mark.parametrize(
    "text, message",
    [("vcd:a:b", "not understood"), ("1:2:3", "not understood"), ("gif", "'gif' is unknown"), ("9:5", "no window")],
)
def test_bad_waves_say_so(text, message):
    with pytest.raises(BuildError, match=message):
        Waves.parse(text)
