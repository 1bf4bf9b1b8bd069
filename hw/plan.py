"""What the hardware shall look like: each layer's engine and fold, queue depths, clock, interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Interface = Literal["stream", "axi-stream"]
Engine = Literal["mac", "serial", "popcount", "spatial"]
LOADED = ("ram", "spram")
Order = Literal["output", "input"]


@dataclass(frozen=True)
class LayerPlan:
    """How one layer is built.

    engine: of layers with weights, what builds their products.
    pe: outputs computed side by side, of one group of filters where a convolution has several; for layers that treat
        channels alone, channels per cycle.
    simd: inputs of a dense layer taken per cycle, or of a convolution: of one pixel and group of filters, or, where it
        is more than that and there is one group, of several pixels of the window at once. 1 elsewhere.
    memory: of weights; "ram": they and the thresholds behind them can be replaced while the hardware runs, by any of
        ``weight_bits`` bits (1: by -1 and 1), without which the bits of those that are there count. "spram": the same,
        weights in the large memories of iCE40 UP5K, which are empty until an image of weights is loaded.
    multiplier: in DSP blocks, several small products in each, or in lookup tables.
    order: of dense and convolution layers. "output": every group of ``pe`` outputs scans the input, which is kept, and
        leaves when it is done. "input": every beat of the input goes to all outputs, whose sums are kept; they leave
        one group after the other with the last beat.
    planes: the order in which the serial engine sums up bit planes: all of a tile of weights, then the next tile; or
        the highest one of all tiles of a group of outputs first. shifts_per_slot: planes of a tile in a slot.
    """

    engine: Engine = "mac"
    pe: int = 1
    simd: int = 1
    multiplier: Literal["lut", "dsp"] = "lut"
    memory: Literal["auto", "block", "lut", "logic", "ram", "spram"] = "auto"
    order: Order = "output"
    planes: Literal["group-major", "plane-major"] = "plane-major"
    shifts_per_slot: int = 1
    weight_bits: int | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether weights can be replaced."""
        return self.memory in LOADED


@dataclass(frozen=True)
class Plan:
    """One ``LayerPlan`` per unit name; ``depths`` holds the queues, by link name, whose depth is not searched."""

    clock_mhz: float = 100.0
    layers: Mapping[str, LayerPlan] = field(default_factory=dict)
    depths: Mapping[str, int] = field(default_factory=dict)
    interface: Interface = "stream"
