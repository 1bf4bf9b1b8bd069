"""Runs a design whose weights are replaced while frames go through, in Amaranth's own simulator."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from amaranth.sim import Simulator

from espalier.hw.design import Design
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.stream import unpack
from espalier.hw.verilog import Core, split_borders
from espalier.ir.graph import Graph, Ints
from graphs import add_dense, add_threshold, empty_graph

CYCLES = 20_000
SILENCE = 40


@dataclass
class Loaded:
    """What came out, and what the design told in the end."""

    outputs: dict[str, Ints]
    accepted: int
    refused: int
    state: int


def small_graph(seed: int = 1, bits: int = 2) -> Graph:
    """Two dense layers with thresholds between them."""
    rng = np.random.default_rng(seed)
    return add_dense(add_threshold(add_dense(empty_graph((2,)), rng, 3, bits), rng, 2), rng, 2, bits)


def loaded_plan(graph: Graph, **fold) -> Plan:
    """Every layer in memory ram."""
    layer = LayerPlan(**{"memory": "ram", "pe": 2, "simd": 2} | fold)
    return Plan(layers={node.name: layer for node in graph.nodes if hasattr(node, "weights")})


def retrain(graph: Graph, times: int = 1) -> Graph:
    """The graph with the weights of each output, and the rows of thresholds, so many places further."""
    nodes = []
    for node in graph.nodes:
        for name in ("weights", "thresholds"):
            if hasattr(node, name):
                node = replace(node, **{name: np.roll(getattr(node, name), times, axis=0)})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def run_loading(design: Design, frames: Mapping[str, Ints], sent: bytes, stall: float = 0.0) -> Loaded:
    """Stream ``frames`` while the bytes ``sent`` come in; stall: the probability that a border pauses for a cycle."""
    core, rng = Core(design), np.random.default_rng(0)
    inputs, outputs = split_borders(design)
    waiting = {one.port: list(map(_number, design.pack(one, frames[one.tensor]))) for one in inputs}
    waiting["weights"] = list(sent)
    got: dict[str, list[int]] = {one.port: [] for one in outputs}
    told: dict[str, int] = {}

    async def bench(ctx):
        offered, silence = dict.fromkeys(waiting, False), 0
        for _ in range(CYCLES):
            for name, beats in waiting.items():
                offered[name] = bool(beats) and (offered[name] or rng.random() >= stall)
                ctx.set(getattr(core, name).valid, offered[name])
                ctx.set(getattr(core, name).payload, beats[0] if offered[name] else 0)
            for name in got:
                ctx.set(getattr(core, name).ready, rng.random() >= stall)
            taken = [name for name in waiting if offered[name] and ctx.get(getattr(core, name).ready)]
            left = [name for name in got if ctx.get(getattr(core, name).valid) and ctx.get(getattr(core, name).ready)]
            for name in taken:
                waiting[name].pop(0)
                offered[name] = False
            for name in left:
                got[name].append(ctx.get(getattr(core, name).payload))
            silence = 0 if taken or left else silence + 1
            if silence == SILENCE:
                break
            await ctx.tick()
        told.update({name: ctx.get(getattr(core, f"loads_{name}")) for name in ("accepted", "refused", "state")})

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return Loaded({one.port: _codes(one, got[one.port]) for one in outputs}, **told)


def find_change(outputs: Ints, old: Ints, new: Ints) -> int:
    """How many frames came out as in ``old``, before all others came out as in ``new``."""
    for count in range(len(old) + 1):
        if np.array_equal(outputs, np.concatenate([old[:count], new[count:]])):
            return count
    raise AssertionError(f"mixed: {outputs.tolist()}; old {old.tolist()}, new {new.tolist()}")


def _number(words) -> int:
    return int.from_bytes(words.tobytes(), "little")


def _codes(channel, beats: list[int]) -> Ints:
    words = -(-channel.width // 32)
    raw = b"".join(beat.to_bytes(4 * words, "little") for beat in beats)
    return unpack(np.frombuffer(raw, "<u4").reshape(-1, words), channel.type, channel.lanes)
