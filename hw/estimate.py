"""What a design takes of a device, stage by stage, as the resource models predict it from its plan."""

from collections.abc import Mapping
from dataclasses import replace

from ..ir.ranges import find_bounds
from .convert import ConvertStage
from .count_moves import convert, fork
from .count_parts import Features
from .count_units import prepare_count
from .design import Channel, Design
from .fork import ForkStage
from .resources import Family, Resources, find_model
from .unit import Unit


def estimate(design: Design, family: Family) -> dict[str, Resources]:
    """By stage, in order; queues and buffers as deep as they are in ``design``."""
    model = find_model(family)
    return {name: model.estimate(counted) for name, counted in count_design(design).items()}


def count_design(design: Design) -> dict[str, Features]:
    """The features of each stage, in order."""
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
