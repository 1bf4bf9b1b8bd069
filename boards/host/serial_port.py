"""A serial port as a line of the link."""

import serial

from ...errors import LinkError


class SerialPort:
    """The port at ``path``; raises LinkError where it cannot be opened, or goes away."""

    def __init__(self, path: str, baud: int):
        self._path = path
        try:
            self._port = serial.Serial(path, baud, timeout=0)
        except (serial.SerialException, ValueError) as error:
            raise LinkError(f"{path}: cannot open it at {baud} baud ({error}); see which port the board has") from None

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except serial.SerialException as error:
            raise self._gone(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What has come; waits for one byte for so long."""
        try:
            self._port.timeout = timeout_s
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""
        except serial.SerialException as error:
            raise self._gone(error) from None

    def close(self) -> None:
        self._port.close()

    def _gone(self, error: Exception) -> LinkError:
        return LinkError(f"{self._path}: went away ({error}); check cable and power")
