"""Small designs that the tests of boards/ synthesize."""

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out


class Reader(Component):
    """A block RAM that is read in every cycle, and ``registers`` registers without reset behind it."""

    def __init__(self, width: int, depth: int, *, registers: int = 2, reset_less: bool = True, writable: bool = False):
        self.width, self.registers, self.reset_less = width, registers, reset_less
        words = np.random.default_rng(width).integers(0, 2**width, depth)
        self.memory = Memory(
            shape=width, depth=depth, init=[int(word) for word in words],
            attrs={"ram_style": "block", "no_rw_check": 1},
        )  # fmt: skip
        ports = {"a__payload": In(range(depth)), "y__payload": Out(width)}
        if writable:
            ports |= {"w__payload": In(width), "w__valid": In(1), "w__address": In(range(depth))}
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = self.memory
        port = self.memory.read_port()
        m.d.comb += port.addr.eq(self.a__payload)
        if hasattr(self, "w__valid"):
            write = self.memory.write_port()
            m.d.comb += [write.en.eq(self.w__valid), write.addr.eq(self.w__address), write.data.eq(self.w__payload)]
        data = port.data
        for index in range(self.registers):
            register = Signal(self.width, name=f"register{index}", reset_less=self.reset_less)
            m.d.sync += register.eq(data)
            data = register
        m.d.comb += self.y__payload.eq(data)
        return m


class Multiplier(Component):
    """A product, ``before`` registers in front and ``after`` behind; ``feedback``: it takes its own result."""

    def __init__(self, a_shape, b_shape, *, before: int = 1, after: int = 1, feedback: bool = False):
        self.before, self.after, self.feedback = before, after, feedback
        self.width = Shape.cast(a_shape).width + Shape.cast(b_shape).width
        super().__init__({"a__payload": In(a_shape), "w__payload": In(b_shape), "y__payload": Out(self.width)})

    def elaborate(self, platform) -> Module:
        m = Module()
        a, b = self.a__payload, self.w__payload
        for index in range(self.before):
            a, b = self.register(m, a, f"a{index}"), self.register(m, b, f"b{index}")
        if self.feedback:
            result = Signal(self.width, reset_less=True)
            m.d.sync += result.eq(Cat(a[: len(a) // 2], result)[: len(a)] * b)
        else:
            result = a * b
            for index in range(self.after):
                result = self.register(m, result, f"product{index}")
        m.d.comb += self.y__payload.eq(result)
        return m

    def register(self, m: Module, value, name: str) -> Signal:
        held = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += held.eq(value)
        return held


class Adders(Component):
    """What stands in front of adders in our stages: partial products, a clear, a select, a subtraction."""

    width = 40

    def __init__(self):
        super().__init__({"a__payload": In(8), "w__payload": In(signed(9)), "y__payload": Out(self.width)})

    def elaborate(self, platform) -> Module:
        m = Module()
        a, w = (
            Signal.like(port, name=f"held_{index}") for index, port in enumerate((self.a__payload, self.w__payload))
        )
        m.d.sync += [a.eq(self.a__payload), w.eq(self.w__payload)]
        pair, total, chosen, ternary = (Signal(10, name=name) for name in ("pair", "total", "chosen", "ternary"))
        m.d.sync += [
            pair.eq(Mux(a[0], w, 0) + (Mux(a[1], w, 0) << 1)),
            total.eq(Mux(a[2], 0, total) + w),
            chosen.eq(Mux(a[3], a, w) + (w ^ a[4].replicate(9))),
            ternary.eq(Mux(a[5], ternary - w, Mux(a[6], ternary + w, ternary))),
        ]
        m.d.comb += self.y__payload.eq(Cat(pair, total, chosen, ternary))
        return m


class Readers(Component):
    """Several of these side by side, as layers named by their keys, each with the same inputs in its lowest bits."""

    def __init__(self, readers: dict[str, Component]):
        self.readers = readers
        total = sum(reader.width for reader in readers.values())
        super().__init__({"x": In(18), "w": In(36), "w_address": In(14), "w_valid": In(1), "y": Out(total)})

    def elaborate(self, platform) -> Module:
        m = Module()
        low = 0
        for name, reader in self.readers.items():
            m.submodules[name] = reader
            m.d.comb += reader.a__payload.eq(self.x)
            m.d.comb += self.y[low : low + reader.width].eq(reader.y__payload)
            low += reader.width
            if hasattr(reader, "w__payload"):
                m.d.comb += reader.w__payload.eq(self.w)
            if hasattr(reader, "w__valid"):
                m.d.comb += reader.w__address.eq(self.w_address)
                m.d.comb += reader.w__valid.eq(self.w_valid)
        return m


def convert(design: Component, name: str = "top") -> str:
    """Verilog text of ``design``."""
    return verilog.convert(design, name=name, emit_src=False)
