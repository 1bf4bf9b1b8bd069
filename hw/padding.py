"""Zeros in the lanes beyond the last channel, as every stream promises."""

from amaranth.hdl import Mux, Value


def without_padding(values, channels: int, is_last_group: Value) -> list[Value]:
    """``values``, one for each lane, with zero in the last group's lanes that stand for no channel."""
    lanes = len(values)
    kept = channels - (-(-channels // lanes) - 1) * lanes
    return [value if lane < kept else Mux(is_last_group, 0, value) for lane, value in enumerate(values)]
