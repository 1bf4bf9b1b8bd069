"""A C header for a design: the packets of its link, its streams, and how numbers become their codes and back."""

from pathlib import Path

import numpy as np

from ...hw.design import Channel, Design
from ...hw.link import protocol
from ...hw.link.linked import numbered_borders
from ...hw.link.protocol import Kind
from ...hw.link.registers import OF_STREAMS, REGISTERS, Register
from ...ir.chain import Chain
from ...ir.graph import Input, Output
from .c_conversions import convert

CODE_BITS = 24
"""Of integers that a float holds."""

NOT_PLAIN = "is more than scale, zero point and arithmetic: use Espalier's Python for it"


def c_header(design: Design, digest: bytes) -> str:
    """The header ``<top>.h``, C99 and C++11, without dependencies; digest: of the design's Verilog."""
    top = design.top
    guard = f"ESPALIER_DESIGN_{top.upper()}_H"
    link = Path(__file__).with_name("link.h").read_text().replace("@CONSTANTS@\n", _constants())
    parts = [f"/* Design {top} for C and C++, written by Espalier. */\n#ifndef {guard}\n#define {guard}\n", link]
    octets = ", ".join(f"0x{byte:02X}" for byte in digest)
    parts.append(
        "/* What IDENTITY returns where this very design runs, to begin an array with. */\n"
        f"#define {top.upper()}_DIGEST {{{octets}}}\n"
    )
    inputs = {port.name: port for port in design.graph.inputs}
    outputs = {port.name: port for port in design.graph.outputs}
    sides = numbered_borders(design)
    parts += [_input(top, number, channel, inputs[channel.port]) for number, channel in enumerate(sides[0])]
    for number, channel in enumerate(sides[1]):
        port = outputs[channel.port]
        parts.append(_output(top, number, channel, port, design.graph.tensors[port.tensor].shape))
    return "\n".join([*parts, "#endif\n"])


def _constants() -> str:
    """What the packets are made of, from the protocol."""
    plain = ("FLAG", "ESCAPE", "FLIP", "HEADER", "CRC", "LONGEST", "VERSION", "DIGEST")
    values = {name: f"{getattr(protocol, name)}" for name in plain} | {"MAGIC": f'"{protocol.MAGIC.decode()}"'}
    values |= {kind.name: str(kind.value) for kind in Kind}
    values["KINDS"] = f"0x{sum(1 << kind for kind in Kind):04X}u /* one bit for each kind */"
    return "".join(f"#define ESPALIER_{name} {value}\n" for name, value in values.items())


def _input(top: str, number: int, channel: Channel, port: Input) -> str:
    name = f"{top}_{channel.port}"
    dtype = channel.type.dtype
    lines = [*_stream(name, number, channel, "Input"), *_pack(name)]
    conversion = convert(port.chain, port.model_shape) if dtype.bits <= CODE_BITS else None
    if conversion is None:
        return "\n".join([*lines, f"/* No {name}_quantize: what stands before the codes {NOT_PLAIN}. */\n"])
    return "\n".join(
        [
            *lines, *_about(port.chain),
            "/* Codes of a frame; 0 if all of them are integers of the type, else -1. */",
            f"static inline int {name}_quantize(const float *values, int64_t *codes) {{",
            *(f"  {table}" for table in conversion.tables),
            "  size_t at;",
            "  float x;",
            f"  for (at = 0; at < {name.upper()}_SIZE; at++) {{",
            "    x = values[at];", *(f"    {line}" for line in conversion.lines),
            f"    if (!espalier_is_code(x, {dtype.low}, {dtype.high}, &codes[at])) return -1;",
            "  }",
            "  return 0;", "}\n",
        ]
    )  # fmt: skip


def _output(top: str, number: int, channel: Channel, port: Output, shape: tuple[int, ...]) -> str:
    name = f"{top}_{channel.port}"
    lines = [*_stream(name, number, channel, "Output"), *_unpack(name)]
    conversion = convert(port.chain, shape, of_codes=True) if port.chain else None
    if conversion is None:
        reason = f"what the model makes of the codes {NOT_PLAIN}" if port.chain else "the model returns the codes"
        return "\n".join([*lines, f"/* No {name}_dequantize: {reason}. */\n"])
    return "\n".join(
        [
            *lines, *_about(port.chain),
            "/* What the model returns for the codes of a frame. */",
            f"static inline void {name}_dequantize(const int64_t *codes, float *values) {{",
            *(f"  {table}" for table in conversion.tables),
            "  size_t at;",
            "  float x;",
            f"  for (at = 0; at < {name.upper()}_SIZE; at++) {{", *(f"    {line}" for line in conversion.lines),
            "    values[at] = x;", "  }", "}\n",
        ]
    )  # fmt: skip


def _stream(name: str, number: int, channel: Channel, what: str) -> list[str]:
    tensor, prefix = channel.type, name.upper()
    size = tensor.pixels * tensor.channels
    beat = -(-channel.width // 8)
    known = {
        "PORT": number, "SIZE": size, "CHANNELS": tensor.channels, "BITS": tensor.dtype.bits,
        "SIGNED": int(tensor.dtype.signed), "LANES": channel.lanes, "BEATS": channel.beats, "BEAT_BYTES": beat,
        "BYTES": channel.beats * beat,
    }  # fmt: skip
    shape = " x ".join(map(str, tensor.shape))
    return [
        f"/* {what} {channel.port}: {shape} of {tensor.dtype}, channels last; a frame is BEATS beats of LANES. */",
        *(f"#define {prefix}_{key} {value}" for key, value in known.items()),
    ]


def _about(chain: Chain | None) -> list[str]:
    """Scale and zero point for the reader: value = scale * (step * code + base) + offset."""
    for step in chain.steps if chain else ():
        if step.operator in ("Codes", "Dequantize"):
            words = [
                f"{what} {', '.join(f'{value:.9g}' for value in constant.reshape(-1))}"
                for what, constant in zip(("scale", "offset", "step", "base"), map(np.asarray, step.constants))
            ]
            return [f"/* value = scale * (step * code + base) + offset; {'; '.join(words)} */"]
    return []


def _pack(name: str) -> list[str]:
    return [
        f"/* The bytes of a frame, {name.upper()}_BYTES, of its codes. */",
        f"static inline void {name}_pack(const int64_t *codes, uint8_t *bytes) {{",
        f"  espalier_pack(codes, {_sizes(name)}, bytes);",
        "}",
    ]


def _unpack(name: str) -> list[str]:
    return [
        f"/* The codes of a frame, {name.upper()}_SIZE, of its bytes. */",
        f"static inline void {name}_unpack(const uint8_t *bytes, int64_t *codes) {{",
        f"  espalier_unpack(bytes, {_sizes(name)}, {name.upper()}_SIGNED, codes);",
        "}",
    ]


def _sizes(name: str) -> str:
    prefix = name.upper()
    return f"{prefix}_SIZE / {prefix}_CHANNELS, {prefix}_CHANNELS, {prefix}_LANES, {prefix}_BITS"


def registers_header() -> str:
    """The registers behind a Wishbone bus, as offsets in bytes; in a guard of its own, as link.h."""
    lines = [f"#define ESPALIER_AT_{_macro(one)} /* {one.access}: {one.text} */\n" for one in REGISTERS]
    guard = "ESPALIER_REGISTERS_H"
    return "".join([f"/* Registers: offsets in bytes. */\n#ifndef {guard}\n#define {guard}\n", *lines, "#endif\n"])


def _macro(register: Register) -> str:
    at = f"0x{4 * register.address:02X}"
    return f"{register.name}(n) ({at} + 4 * (n))" if register in OF_STREAMS else f"{register.name} {at}"
