"""A network on a board as a function: images in, what the model would answer out."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import LinkError
from ...hw.design import Design
from ...hw.stream import unpack
from ...hw.verilog import borders
from ...ir.execute import dequantize_outputs, quantize_inputs
from ...ir.graph import Ints
from .session import Line, Session


class Accelerator:
    """The ``design`` on a board behind ``line``. digest: of the bitstream that was made of it."""

    def __init__(self, design: Design, digest: bytes, line: Line, **options):
        self._design, self._session = design, Session(line, **options)
        found = self._session.connect()
        if found.digest != digest:
            raise LinkError(
                f"the board runs design {found.digest.hex()}, the build folder holds {digest.hex()}; load its bitstream"
            )

    @property
    def counts(self):
        """What the session saw so far."""
        return self._session.counts

    def run(self, codes: Mapping[str, Ints], progress: Callable[[int], None] = lambda frames: None) -> dict[str, Ints]:
        """Codes of the outputs for codes of the inputs, each with a leading frame axis."""
        frames = len(next(iter(codes.values())))
        ports = {True: [], False: []}
        for channel in borders(self._design):
            ports[channel.is_input].append(channel)
        sent = [
            beats_to_bytes(self._design.pack(channel, codes[channel.port]), channel.width) for channel in ports[True]
        ]
        most = self._session.identity.slot - 1
        sizes = [channel.beats * -(-channel.width // 8) for channel in ports[False]]
        packets = [-(-size // most) for size in sizes]
        got = self._session.exchange(
            sent, [frames * count for count in packets], lambda count: progress(count // sum(packets))
        )
        return {
            channel.port: unpack(bytes_to_words(b"".join(parts), channel.width), channel.type, channel.lanes)
            for channel, parts in zip(ports[False], got, strict=True)
        }

    def predict(self, inputs, progress: Callable[[int], None] = lambda frames: None):
        """Outputs as the model gives them, for inputs as the model takes them."""
        codes = self.run(quantize_inputs(self._design.graph, inputs), progress)
        return dequantize_outputs(self._design.graph, codes)


def beats_to_bytes(words: NDArray[np.uint32], width: int) -> bytes:
    """Beats of ``width`` bits, each in whole bytes."""
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8)
    return octets[:, : -(-width // 8)].tobytes()


def bytes_to_words(data: bytes, width: int) -> NDArray[np.uint32]:
    count = -(-width // 8)
    octets = np.frombuffer(data, np.uint8).reshape(-1, count)
    full = np.zeros((len(octets), -(-width // 32) * 4), np.uint8)
    full[:, :count] = octets
    return full.view("<u4")
