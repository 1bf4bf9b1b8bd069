"""The C header, compiled by the machine's own compilers, against Python: exactly equal on random data."""

import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import espalier
from espalier.boards.host.accelerator import beats_to_bytes
from espalier.boards.host.c_conversions import convert
from espalier.boards.host.c_header import c_header
from espalier.errors import GraphError
from espalier.hw.link.protocol import Decoder, Kind, Packet
from espalier.hw.verilog import borders
from espalier.ir.chain import Chain, Step
from espalier.ir.execute import dequantize_outputs, quantize_inputs
from espalier.ir.graph import Graph, Input, Output
from link_device import damaged
from simulations import two_layers

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "digits.onnx"
DIGEST = bytes(range(16))
SCALE = (Step("Dequantize", (np.float64(0.3), np.float64(0.1), np.int64(2), np.int64(-3))),)
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]

# Reads commands: E kind port sequence length payload; D count bytes; Q floats; P codes; U bytes; R codes.
PROGRAM = r"""
#include "NAME.h"
#include <stdio.h>

static void take(void *to, size_t size) { if (fread(to, 1, size, stdin) != size) fputs("short", stderr); }
static void give(const void *from, size_t size) { fwrite(from, 1, size, stdout); }

int main(void) {
  static espalier_decoder decoder;
  static uint8_t line[ESPALIER_LINE_MOST], bytes[1000], head[4], byte;
  static const uint8_t digest[] = TOP_DIGEST;
  static int64_t codes[1000];
  static float values[1000];
  uint32_t count;
  size_t size;
  int command, is_bad;
  while ((command = getchar()) != EOF) switch (command) {
    case 'E':
      take(head, 4);
      take(bytes, head[3]);
      size = espalier_encode(head[0], head[1], head[2], bytes, head[3], line);
      give(line, size);
      break;
    case 'D':
      take(&count, 4);
      while (count--) {
        take(&byte, 1);
        if (espalier_decode(&decoder, byte)) {
          head[0] = decoder.kind; head[1] = decoder.port; head[2] = decoder.sequence; head[3] = decoder.length;
          give(head, 4);
          give(decoder.payload, decoder.length);
        }
      }
      give(&decoder.dropped, 4);
      break;
    case 'Q':
      take(values, sizeof(float) * UPPER_IN_SIZE);
      is_bad = NAME_IN_quantize(values, codes);
      byte = (uint8_t)is_bad;
      give(&byte, 1);
      if (!is_bad) give(codes, 8 * UPPER_IN_SIZE);
      break;
    case 'P':
      take(codes, 8 * UPPER_IN_SIZE);
      NAME_IN_pack(codes, bytes);
      give(bytes, UPPER_IN_BYTES);
      break;
    case 'U':
      take(bytes, UPPER_OUT_BYTES);
      NAME_OUT_unpack(bytes, codes);
      give(codes, 8 * UPPER_OUT_SIZE);
      break;
    case 'R':
      take(codes, 8 * UPPER_OUT_SIZE);
      NAME_OUT_dequantize(codes, values);
      give(values, sizeof(float) * UPPER_OUT_SIZE);
      break;
  }
  give(digest, sizeof digest);
  return 0;
}
"""


class Program:
    """The header's functions in a program of C or C++."""

    def __init__(self, design, folder, compiler=("gcc", "-std=c99", "-xc")):
        (entry,), (leaving,) = ([c.port for c in borders(design) if c.is_input == is_in] for is_in in (True, False))
        words = {"UPPER_IN": f"{design.top}_{entry}".upper(), "UPPER_OUT": f"{design.top}_{leaving}".upper()}
        words |= {
            "NAME_IN": f"{design.top}_{entry}",
            "NAME_OUT": f"{design.top}_{leaving}",
            "NAME": design.top,
            "TOP": design.top.upper(),
        }
        text = PROGRAM
        for word, value in words.items():
            text = text.replace(word, value)
        (folder / f"{design.top}.h").write_text(c_header(design, DIGEST))
        (folder / "program.c").write_text(text)
        name, *flags = compiler
        assert shutil.which(name)
        subprocess.run([name, *flags, *STRICT, "program.c", "-o", "program"], cwd=folder, check=True, timeout=60)
        self.path = folder / "program"

    def __call__(self, commands):
        done = subprocess.run([self.path], input=b"".join(commands), capture_output=True, check=True, timeout=60)
        assert done.stderr == b"" and done.stdout[-16:] == DIGEST
        return done.stdout[:-16]


@pytest.fixture(scope="module")
def design():
    graph = espalier.simplify(espalier.import_onnx(EXAMPLE).graph)
    return espalier.generate(graph, espalier.plan(graph, multipliers=40))


@pytest.fixture(scope="module", params=[("gcc", "-std=c99", "-xc"), ("g++", "-std=c++11", "-xc++")], ids=["c", "c++"])
def program(request, design, tmp_path_factory):
    return Program(design, tmp_path_factory.mktemp("c"), request.param)


def random_packets(count, seed=0):
    chance = random.Random(seed)
    special = bytes([0x7E, 0x7D, 0x5E, 0x5D, 0])
    return [
        Packet(
            chance.choice(list(Kind)), chance.randrange(16), chance.randrange(256),
            bytes(chance.choice((*special, chance.randrange(256))) for _ in range(chance.randrange(256))),
        )
        for _ in range(count)
    ]  # fmt: skip


def raw(packet):
    return bytes([packet.kind, packet.port, packet.sequence, len(packet.payload)]) + packet.payload


def test_packets_are_written_as_in_python(program):
    packets = random_packets(200)
    assert program([b"E" + raw(packet) for packet in packets]) == b"".join(packet.encode() for packet in packets)


def test_packets_are_found_as_in_python(program):
    chance = random.Random(1)
    line = b"".join(
        bytes(damaged(p.encode(), 0.004, chance)) + chance.randbytes(chance.randrange(3))
        for p in random_packets(300, 1)
    )
    line += bytes(600) + b"\x7e" + random_packets(1)[0].encode() + b"\x7d\x7e"
    decoder = Decoder()
    packets = b"".join(raw(packet) for packet in decoder.feed(line))
    assert decoder.dropped > 50
    assert program([b"D" + len(line).to_bytes(4, "little") + line]) == packets + decoder.dropped.to_bytes(4, "little")


def check_quantize(program, graph, frames):
    """Codes of frames, or the error, as in Python."""
    expected = []
    for frame in frames.astype("<f4"):
        try:
            expected.append(b"\0" + quantize_inputs(graph, frame[None])[graph.inputs[0].name].astype("<i8").tobytes())
        except GraphError:
            expected.append(b"\xff")
    assert program([b"Q" + frame.tobytes() for frame in frames.astype("<f4")]) == b"".join(expected)
    return expected


def check_dequantize(program, graph, codes):
    expected = dequantize_outputs(graph, {graph.outputs[0].name: codes})[graph.outputs[0].name]
    assert program([b"R" + frame.astype("<i8").tobytes() for frame in codes]) == expected.astype("<f4").tobytes()


def test_inputs_are_quantized_as_in_python(program, design):
    rng = np.random.default_rng(0)
    frames = np.concatenate([rng.integers(0, 17, (20, 64)), rng.normal(8, 8, (200, 64)), rng.normal(0, 1e30, (2, 64))])
    found = check_quantize(program, design.graph, np.concatenate([frames, np.full((1, 64), np.nan)]))
    assert found[-1] == b"\xff" and found[0] != b"\xff"


def test_ties_are_quantized_as_in_python(program, design):
    level = np.float32(16) * np.float32(0.06666667)
    near = (np.arange(64) - 20).astype(np.float32) * np.float32(0.5) * level
    check_quantize(
        program, design.graph, np.stack([near, np.nextafter(near, np.float32(99)), np.nextafter(near, -near)])
    )


def test_outputs_are_dequantized_as_in_python(program, design):
    dtype = design.graph.tensors[design.graph.outputs[0].tensor].dtype
    check_dequantize(
        program, design.graph, np.random.default_rng(0).integers(dtype.low, dtype.high, (300, 10), endpoint=True)
    )


@pytest.mark.parametrize("made", ["digits", "ragged"])
def test_beats_are_packed_as_in_python(design, tmp_path, made):
    design = design if made == "digits" else scaled_layers()
    program, rng = Program(design, tmp_path), np.random.default_rng(0)
    entry, leaving = (next(c for c in borders(design) if c.is_input == is_in) for is_in in (True, False))
    there, back = (
        rng.integers(c.type.dtype.low, c.type.dtype.high, (20, *c.type.shape), endpoint=True) for c in (entry, leaving)
    )
    frames = np.split(np.frombuffer(beats_to_bytes(design.pack(leaving, back), leaving.width), np.uint8), 20)
    assert program([b"P" + frame.tobytes() for frame in there]) == beats_to_bytes(
        design.pack(entry, there), entry.width
    )
    assert program([b"U" + frame.tobytes() for frame in frames]) == back.astype("<i8").tobytes()


def scaled_layers(entry=(), leaving=(), scale=SCALE):
    """Two layers with ragged lanes whose border has these steps."""
    plain = two_layers()
    (port,), (end,) = plain.graph.inputs, plain.graph.outputs
    graph = Graph(
        (Input(port.name, port.type, port.model_shape, Chain(entry) if entry else None),), plain.graph.nodes,
        (Output(end.name, end.tensor, end.model_shape, Chain((*scale, *leaving))),), plain.graph.name,
    )  # fmt: skip
    return espalier.generate(graph, plain.plan)


def quant(scale, zero, bits, signed=0, narrow=0, rounding="ROUND"):
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": rounding}
    return Step("Quant", tuple(np.float32(value) for value in (scale, zero, bits)), attributes)


ENTRY = (
    Step("Sub", (np.linspace(0, 1, 7).astype(np.float32),)),
    Step("Mul", (np.float32(1.7),)),
    Step("Add", (np.float32(0.3),), position=1),
    Step("Div", (np.linspace(1, 3, 7).astype(np.float32),)),
    quant(0.11, 3, 4, narrow=1),
    Step("Codes", (np.float64(np.float32(0.11)), np.float64(0), np.int64(1), np.int64(-3))),
)
LEAVING = (Step("Mul", (np.array([0.3, 0.7, 1.9], np.float32),)), Step("Sub", (np.float32(1),), position=1))


def test_arithmetic_and_scales_of_channels_are_exact(tmp_path):
    design, rng = scaled_layers(ENTRY, LEAVING), np.random.default_rng(0)
    program = Program(design, tmp_path)
    check_quantize(program, design.graph, rng.normal(0.5, 1, (500, 7)))
    check_dequantize(program, design.graph, rng.integers(-128, 128, (500, 3)))


def test_arithmetic_on_plain_codes_is_exact(tmp_path):
    design = scaled_layers(leaving=LEAVING, scale=())
    check_dequantize(Program(design, tmp_path), design.graph, np.random.default_rng(0).integers(-128, 128, (500, 3)))


def test_codes_that_the_model_takes_are_checked(tmp_path):
    design, rng = scaled_layers(), np.random.default_rng(0)
    frames = np.concatenate(
        [rng.integers(0, 16, (10, 7)), rng.integers(-1, 17, (20, 7)), rng.integers(0, 30, (20, 7)) / 2]
    )
    found = check_quantize(Program(design, tmp_path), design.graph, frames)
    assert {len(one) for one in found} == {1, 57}


def test_scales_of_pixels_are_not_taken_for_those_of_channels():
    """The model's channels may stand before the pixels, as they do in torch."""
    step = Step("Mul", (np.arange(1, 4, dtype=np.float32).reshape(3, 1, 1),))
    assert convert(Chain((step,)), (3, 3, 3)) is None


@pytest.mark.parametrize(
    "steps",
    [
        (*SCALE, Step("Tanh")),
        (Step("Tanh"),),
        (quant(1, 0, 4, rounding="FLOOR"),),
        (quant(1, 0, 1, signed=1),),
        (quant(1, 0, 24),),
        (Step("Mul", (np.arange(21, dtype=np.float32).reshape(3, 7),)),),
        (Step("Mul", (np.float32(np.inf),)),),
    ],
)
def test_what_is_not_plain_has_no_function_but_a_reason(steps):
    assert convert(Chain(steps), (7,)) is None
    text = c_header(scaled_layers(steps, steps), DIGEST)
    assert "in_quantize(" not in text and "No two_layers_" in text and "_quantize: what stands before the codes" in text
    assert "_dequantize: what the model makes of the codes is more than scale, zero point and arithmetic" in text


def test_headers_of_two_designs_go_together(design, tmp_path):
    for one in (design, two_layers()):
        (tmp_path / f"{one.top}.h").write_text(c_header(one, DIGEST))
    text = f'#include "{design.top}.h"\n#include "two_layers.h"\nint main(void) {{ return 0; }}\n'
    (tmp_path / "both.c").write_text(text)
    subprocess.run(["gcc", "-std=c99", *STRICT, "both.c"], cwd=tmp_path, check=True, timeout=60)
