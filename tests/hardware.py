"""Runs a design in Amaranth's own simulator, with stalls on both sides, and records every handshake of every stream."""

from collections.abc import Mapping

import numpy as np
from amaranth.sim import Simulator

from espalier.hw.design import Design, generate
from espalier.hw.verilog import Core
from espalier.ir.execute import execute

PATTERN_CYCLES = 257


def patterns(design: Design, stall: float, seed: int):
    """Stall patterns by process, as the timing model takes them."""
    rng = np.random.default_rng(seed)
    outside = [
        channel.link.producer if channel.is_input else channel.link.consumer
        for channel in design.channels
        if channel.port
    ]
    return {name: rng.random(PATTERN_CYCLES) >= stall for name in outside} if stall else {}


def record(design: Design, frames, stall: float = 0.0, seed: int = 0):
    """Cycle and payload of every handshake, by channel name; frames: of the only input, or by input name."""
    inputs = frames if isinstance(frames, Mapping) else {design.graph.inputs[0].name: frames}
    allowed, core = patterns(design, stall, seed), Core(design)
    predicted = design.predict(len(next(iter(inputs.values()))), allowed)
    limit = max(int(cycles[-1]) for cycles in predicted.values()) + 50
    seen = {channel.name: [] for channel in design.channels}
    ports = {}
    for channel in design.channels:
        at = core if channel.is_input else design.stages[channel.link.producer]
        ports[channel.name] = getattr(at, channel.port if channel.is_input else channel.link.out_port)
    sources = [(c, _words(design, c, inputs[c.tensor])) for c in design.channels if c.is_input]
    sinks = [c for c in design.channels if c.port and not c.is_input]

    async def bench(ctx):
        sent = dict.fromkeys((c.name for c, _ in sources), 0)
        offered = dict.fromkeys(sent, False)
        for cycle in range(limit):
            for channel, words in sources:
                port, name = getattr(core, channel.port), channel.name
                pattern = allowed.get(channel.link.producer)
                if not offered[name] and sent[name] < len(words):
                    offered[name] = pattern is None or bool(pattern[cycle % PATTERN_CYCLES])
                ctx.set(port.valid, offered[name])
                if offered[name]:
                    ctx.set(port.payload, words[sent[name]])
            for channel in sinks:
                pattern = allowed.get(channel.link.consumer)
                ctx.set(getattr(core, channel.port).ready, pattern is None or bool(pattern[cycle % PATTERN_CYCLES]))
            for name, port in ports.items():
                if ctx.get(port.valid) and ctx.get(port.ready):
                    seen[name].append((cycle, ctx.get(port.payload)))
                    if name in sent:
                        sent[name], offered[name] = sent[name] + 1, False
            await ctx.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen, predicted


def _words(design, channel, frames):
    return [int.from_bytes(row.tobytes(), "little") for row in design.pack(channel, frames)]


def assert_exact(graph, plan, frames, stall: float = 0.0, seed: int = 0):
    """Every beat of every stream carries the reference's value, in the predicted cycle."""
    design = generate(graph, plan)
    seen, predicted = record(design, frames, stall, seed)
    tensors = execute(graph, frames, every=True)
    for channel in design.channels:
        cycles = [cycle for cycle, _ in seen[channel.name]]
        np.testing.assert_array_equal(cycles, predicted[channel.name], err_msg=f"cycles of {channel.name}")
        values = [value for _, value in seen[channel.name]]
        assert values == _words(design, channel, tensors[channel.tensor]), f"values of {channel.name}"
    return design
