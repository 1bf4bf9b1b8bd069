"""An SPI bus as a line of the link: what the hardware has to say comes back while the host sends, or sends flags."""

import time
from collections.abc import Callable

from ...hw.link.protocol import FLAG

ASKED = 64
"""Bytes of one look whether there is something."""


class SpiLine:
    """transfer: sends bytes and returns as many, such as ``lambda data: bytes(device.xfer2(data))`` of spidev."""

    def __init__(self, transfer: Callable[[bytes], bytes]):
        self._transfer, self._received = transfer, b""

    def write(self, data: bytes) -> None:
        self._received += self._transfer(data)

    def read(self, timeout_s: float) -> bytes:
        """What has come; flags alone are nothing."""
        end, idle = time.monotonic() + timeout_s, bytes([FLAG])
        while not self._received.strip(idle) and time.monotonic() < end:
            self._received = self._transfer(idle * ASKED)
        found, self._received = self._received, b""
        return found if found.strip(idle) else b""
