"""The streams that a bench drives and observes: what they carry, and how their wires are called in Verilog."""

from dataclasses import dataclass

from ..hw.stream import beats_per_frame
from ..ir.graph import TensorType


@dataclass(frozen=True)
class Stream:
    """One stream of a design: a beat is ``lanes`` channels of one pixel of ``tensor``, made by stage ``layer``.

    ``path`` names the wires inside the top module, ``<path>__payload`` and so on. For an external stream ``port`` is
    the name of the top's port and ``direction`` is seen from the design.
    """

    name: str
    layer: str
    tensor: TensorType
    lanes: int
    path: str
    port: str = ""
    direction: str = "inside"
    axi: bool = False

    @property
    def bits(self) -> int:
        """Of the payload as it is on the wires; axi-stream data fills whole bytes."""
        bits = self.lanes * self.tensor.dtype.bits
        return -(-bits // 8) * 8 if self.axi else bits

    @property
    def words(self) -> int:
        """32-bit words of a payload in a record."""
        return -(-self.lanes * self.tensor.dtype.bits // 32)

    @property
    def groups(self) -> int:
        """Beats of one pixel."""
        return -(-self.tensor.channels // self.lanes)

    @property
    def beats(self) -> int:
        """Beats of one frame."""
        return beats_per_frame(self.tensor, self.lanes)

    @property
    def wires(self) -> tuple[str, str, str]:
        """Payload, valid and ready as the test bench writes them."""
        if self.port and self.axi:
            return f"{self.port}_tdata", f"{self.port}_tvalid", f"{self.port}_tready"
        if self.port:
            return f"{self.port}__payload", f"{self.port}__valid", f"{self.port}__ready"
        # Escaped, for a layer may be called like a Verilog keyword.
        *instances, stream = self.path.split(".")
        start = "dut." + "".join(f"\\{instance} ." for instance in instances) + stream
        return f"{start}__payload", f"{start}__valid", f"{start}__ready"

    def place(self, beat: int, lane: int) -> tuple[int, int, int]:
        """Frame, pixel and channel that ``lane`` of beat number ``beat`` holds; padding lanes lie past the channels."""
        frame, beat = divmod(beat, self.beats)
        pixel, group = divmod(beat, self.groups)
        return frame, pixel, group * self.lanes + lane
