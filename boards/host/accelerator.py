"""A network on a board as a function: images in, what the model would answer out."""

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import LinkError
from ...hw.contents import make_image_of
from ...hw.design import Design
from ...hw.image import check_image, make_image
from ...hw.stream import unpack
from ...hw.verilog import split_borders
from ...ir.execute import dequantize_outputs, quantize_inputs
from ...ir.graph import Graph, Ints
from .session import Line, Session

WAIT_S = 10.0
"""Until an image that has arrived must have been accepted or refused."""

OWN, BUSY = 1, 4
"""Told by a board whose weights are those of its bitstream, not of an image that came since; and while it still loads
those in its flash."""


class Accelerator:
    """The ``design`` on a board behind ``line``. digest: of the bitstream that was made of it."""

    def __init__(self, design: Design, digest: bytes, line: Line, **options):
        self._design, self._session = design, Session(line, **options)
        self._graph = design.graph
        found = self._session.connect()
        if found.digest != digest:
            raise LinkError(
                f"the board runs design {found.digest.hex()}, the build folder holds {digest.hex()}; load its bitstream"
            )
        if design.memories and self._told()[2] != OWN:
            self.load_image(make_image(design.memories, design.layout))

    @property
    def counts(self):
        """What the session saw so far."""
        return self._session.counts

    def run(self, codes: Mapping[str, Ints], progress: Callable[[int], None] = lambda frames: None) -> dict[str, Ints]:
        """Codes of the outputs for codes of the inputs, each with a leading frame axis."""
        frames = len(next(iter(codes.values())))
        inputs, outputs = split_borders(self._design)
        sent = [beats_to_bytes(self._design.pack(channel, codes[channel.port]), channel.width) for channel in inputs]
        most = self._session.identity.slot - 1
        sizes = [channel.beats * -(-channel.width // 8) for channel in outputs]
        packets = [-(-size // most) for size in sizes]
        got = self._session.exchange(
            sent, [frames * count for count in packets], lambda count: progress(count // sum(packets))
        )
        return {
            channel.port: unpack(bytes_to_words(b"".join(parts), channel.width), channel.type, channel.lanes)
            for channel, parts in zip(outputs, got, strict=True)
        }

    def load_weights(self, graph: Graph) -> None:
        """From now on compute ``graph``, another training of the design's network; see `make_image_of` for errors."""
        image, changed = make_image_of(self._design, graph)
        self.load_image(image)
        self._graph = changed

    def _told(self) -> bytes:
        """Images accepted and refused, and the state, once the board has loaded what is in its flash."""
        while (told := self._session.ask_told())[2] & BUSY:
            pass
        return told

    def load_image(self, image: bytes) -> None:
        """Replace the weights by those of ``image``; raises LinkError where it is refused, and nothing changes."""
        check_image(image, self._design.layout)
        before = self._told()
        inputs, outputs = split_borders(self._design)
        self._session.exchange([*[b""] * len(inputs), image], [0] * len(outputs))
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            accepted, refused, _ = self._session.ask_told()
            if refused != before[1]:
                raise LinkError("the device refused the weights: they arrived damaged; load them again")
            if accepted != before[0]:
                return
        raise LinkError(
            f"the device has not taken over the weights for {WAIT_S:g} s: a frame is half sent; connect again, which "
            "resets it"
        )

    def predict(self, inputs, progress: Callable[[int], None] = lambda frames: None):
        """Outputs as the model gives them, for inputs as the model takes them."""
        codes = self.run(quantize_inputs(self._graph, inputs), progress)
        return dequantize_outputs(self._graph, codes)


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
