"""What a design takes of a device, stage by stage, as the resource models predict it from its plan."""

from collections.abc import Mapping
from dataclasses import replace

from ..ir.ranges import find_bounds
from .add import AddStage
from .argmax import ArgMaxStage
from .convert import ConvertStage
from .count_moves import convert, fork
from .count_parts import Features, merge_queue
from .count_units import prepare_count
from .design import Channel, Design
from .fork import ForkStage
from .lanewise import LanewiseStage
from .mac import MacStage
from .pool import PoolStage
from .popcount import PopcountStage
from .resources import Family, Resources, find_model
from .serial import SerialStage
from .slice import CropStage
from .unit import Unit

# Stages whose first register takes a beat as it comes, and of which nothing else looks at it.
REGISTERED = (AddStage, ArgMaxStage, CropStage, LanewiseStage, MacStage, PoolStage, PopcountStage, SerialStage)


def estimate(design: Design, family: Family) -> dict[str, Resources]:
    """By stage, in order, in the whole design; queues and buffers as deep as they are in it."""
    model, found = find_model(family), count_design(design)
    for channel in design.channels:
        maker, depth = channel.link.producer, channel.link.depth
        if isinstance(design.stages.get(channel.taker), REGISTERED) and maker in found and depth:
            found[maker] = found[maker] + merge_queue(depth, channel.lanes * channel.type.dtype.bits)
    return {name: model.estimate(counted) for name, counted in found.items()}


def count_design(design: Design) -> dict[str, Features]:
    """The features of each stage by itself, in order."""
    bounds, depths = find_bounds(design.graph), {link.name: link.depth for link in design.links}
    taken = {channel.link.consumer: channel for channel in design.channels}
    made = {channel.link.producer: channel for channel in design.channels}
    found: dict[str, Features] = {}
    for unit in design.units:
        unit = replace(unit, lanes=_lanes(design, unit))
        found |= prepare_count(unit, bounds)(design.plan.layers[unit.name], depths)
    for name, stage in design.stages.items():
        if isinstance(stage, ForkStage):
            found[name] = fork(stage.lanes_in * stage.x_type.bits, stage.depths)
        elif isinstance(stage, ConvertStage) and name not in found:
            found[name] = _converter(taken[name], made[name], stage)
    return {name: found[name] for name in design.stages}


def _converter(taken: Channel, made: Channel, stage: ConvertStage) -> Features:
    return convert(taken.type, taken.lanes, made.type, made.lanes, stage.depth)


def _lanes(design: Design, unit: Unit) -> tuple[int, ...]:
    """In which the inputs of a unit come that takes any; () for the others."""
    if not unit.takes_any_lanes:
        return ()
    names = (unit.name, f"{unit.name}_crop")
    return tuple(channel.lanes for channel in design.channels if channel.link.consumer in names and channel.taker)


def total(found: Mapping[str, Resources]) -> Resources:
    return sum(found.values(), start=Resources())
