"""Proofs about hardware: benches that state what has to hold, yosys' SAT solver that decides it, and seeded faults."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Const, Elaboratable, Fragment, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from espalier.boards.yosys import run_yosys

TIMEOUT_S = 300

PREPARE = "hierarchy -top top; proc; flatten; memory; opt_clean; chformal -lower; opt -full"

REACH = 40
"""Cycles within which a bench's ``reached`` has to be."""

PROVED, FOUND = "Induction step proven: SUCCESS!", "model found for base case: FAIL!"


class Bench(wiring.Component):
    """Claims about the hardware inside: Asserts that have to hold whatever the inputs, the bench's own ports, do.

    reached: set in a state without which the claims would say little, and which therefore has to be reachable.
    helps: whether there are Asserts about the inside too, which follow from no claim, but make them inductive.
    """

    def __init__(self, ports: Mapping[str, int]):
        self.helps = True
        super().__init__({**{name: In(bits) for name, bits in ports.items()}, "reached": Out(1)})


def prove(bench: Bench, folder: Path, steps: int) -> str:
    """ "proved" if all that ``bench`` asserts holds for ever after reset, by induction over up to ``steps`` cycles, and
    its ``reached`` is; or else what the solver says."""
    found = _solve(bench, folder, f"-tempinduct -maxsteps {steps} -prove-asserts")
    if PROVED in found:
        return _reach(folder)
    return found[found.index(FOUND) :] if FOUND in found else f"induction does not close: {found}"


def refute(bench: Bench, folder: Path, cycles: int, *, helps: bool = False) -> str:
    """Inputs and registers, cycle by cycle, up to where a claim does not hold, if that is within so many cycles."""
    bench.helps = helps
    found = _solve(bench, folder, f"-tempinduct-baseonly -maxsteps {cycles} -prove-asserts")
    return found[found.index(FOUND) :] if FOUND in found else ""


def _solve(bench: Bench, folder: Path, question: str) -> str:
    (folder / "bench.il").write_text(rtlil.convert(bench, name="top", emit_src=False))
    return _ask(folder, f"{question} -show-regs -show-ports")


def _reach(folder: Path) -> str:
    found = _ask(folder, f"-tempinduct-baseonly -maxsteps {REACH} -prove reached 0")
    return "proved" if FOUND in found else f"holds, but what makes it worth something is not reached: {found}"


def _ask(folder: Path, question: str) -> str:
    """The answer of yosys' SAT solver about bench.il, whose reset is never asserted."""
    run_yosys(
        f"read_rtlil bench.il; {PREPARE}; tee -q -o answer sat {question} -set-assumes -set rst 0 top",
        folder,
        "log",
        TIMEOUT_S,
    )
    return (folder / "answer").read_text()


class Inside:
    """A component, elaborated once, to be the submodule ``fragment``; and what its methods, and those of the components
    in it, kept in local variables meanwhile."""

    def __init__(self, component: Elaboratable):
        self._seen: list[tuple[Any, dict[str, Any]]] = []
        before = sys.getprofile()
        sys.setprofile(self._watch)
        try:
            self.fragment = Fragment.get(component, None)
        finally:
            sys.setprofile(before)

    def _watch(self, frame, event, _):
        # Garbage of earlier tests may be collected meanwhile.
        is_method = isinstance(frame.f_locals.get("self"), Elaboratable) and frame.f_code.co_name != "__del__"
        if event == "return" and is_method:
            self._seen.append((frame.f_locals["self"], dict(frame.f_locals)))

    def of(self, kind: str, place: int = 0) -> dict[str, Any]:
        """The variables of the ``place``-th component of a class, in the order in which they were elaborated; ``self``
        is the component."""
        owners = {id(owner): owner for owner, _ in self._seen if type(owner).__name__ == kind}
        return self._about(list(owners.values())[place])

    def _about(self, component: Elaboratable) -> dict[str, Any]:
        return {name: value for owner, found in self._seen if owner is component for name, value in found.items()}

    def named(self, name: str) -> Signal:
        """The only register or wire of that name."""
        (found,) = {id(signal): signal for signal in _driven(self.fragment) if signal.name == name}.values()
        return found

    def look(self, m: Module, memory: Elaboratable, address) -> Signal:
        """What stands at an address of a memory."""
        instance = self._about(memory)["instance"]
        found = Signal(instance._data.shape, name="looked")
        at = Signal(len(instance._write_ports[0]._addr), name="look")
        m.d.comb += at.eq(address)
        instance.read_port(domain="comb", addr=at, data=found, en=Const(1, 1), transparent_for=())
        return found


def _driven(fragment: Fragment) -> Iterator[Signal]:
    for statements in fragment.statements.values():
        for statement in statements:
            yield from statement._lhs_signals()
    for inner, _, _ in fragment.subfragments:
        yield from _driven(inner)


@dataclass(frozen=True)
class Follower:
    """One beat, whichever: from the cycle with ``mark`` in which it goes in until it comes out.

    held: beats inside; is_inside: the followed beat is one of them, behind ``ahead`` others; is_done: it came out.
    """

    held: Signal
    is_inside: Signal
    is_done: Signal
    ahead: Signal
    value: Signal


def follow(m: Module, most: int, mark: Value, enters: Value, beat: Value, leaves: Value, name: str = "") -> Follower:
    """A follower of what ``enters``, at most ``most`` beats at a time; asserts that none leaves that is not there."""
    held, ahead = Signal(range(most + 2), name=f"held{name}"), Signal(range(most + 2), name=f"ahead{name}")
    is_inside, is_done = Signal(name=f"is_inside{name}"), Signal(name=f"is_done{name}")
    value = Signal(len(beat), name=f"value{name}")
    m.d.sync += held.eq(held + enters - leaves)
    m.d.comb += [Assert(held <= most), Assert(~leaves | (held != 0)), Assert(~(is_inside & is_done))]
    m.d.comb += Assert(~is_inside | (ahead < held))
    with m.If(is_inside & leaves):
        m.d.sync += [ahead.eq(ahead - 1), is_inside.eq(ahead != 0), is_done.eq(ahead == 0)]
    with m.If(enters & mark & ~is_inside & ~is_done):
        m.d.sync += [is_inside.eq(1), value.eq(beat), ahead.eq(held - leaves)]
    return Follower(held, is_inside, is_done, ahead, value)


@dataclass(frozen=True)
class QueueInside:
    """How many beats are in a queue, and what the one behind so many others is."""

    level: Value
    look: Callable[[Value], Value]


def relate_queue(m: Module, inside: Inside, place: int = 0) -> QueueInside:
    """Asserts how level and pointers of the ``place``-th queue go together."""
    found = inside.of("Queue", place)
    valid = found["self"].y.valid
    if "held" in found:
        return QueueInside(valid, lambda behind: found["held"])
    head, tail, level, memory = (found[name] for name in ("head", "tail", "level", "places_memory"))
    m.d.comb += [Assert((head + level)[: len(head)] == tail), Assert(valid == (level != 0))]
    return QueueInside(level, lambda behind: inside.look(m, memory, head + behind))


def relate_credits(m: Module, inside: Inside, free: Value, place: int = 0) -> None:
    """Asserts that the ``place``-th credits are ``free``."""
    found = inside.of("Credits", place)
    m.d.comb += [Assert(found["free"] == free), Assert(found["self"].left == (free != 0))]


def claim_stable(m: Module, y, name: str = "") -> None:
    """Asserts that what is offered at a stream stays as it is until it is taken."""
    waits, offered = watch(m, y, name)
    m.d.comb += Assert(~waits | (y.valid & (Value.cast(y.payload) == offered)))


def claim_queue(m: Module, bench, queue, depth: int):
    """Lead the bench's ``push``, ``beat`` and ``ready`` to a queue, pushes only where it has room.

    Asserts that it has a beat to give exactly where one is in it, and that one beat, whichever, comes out in its turn
    as it went in; what follows that beat is returned.
    """
    m.d.comb += [queue.push.eq(bench.push), queue.beat.eq(bench.beat), queue.y.ready.eq(bench.ready)]
    followed = follow(m, depth, bench.mark, bench.push, bench.beat, queue.y.valid & bench.ready)
    claim_stable(m, queue.y)
    m.d.comb += [
        Assume(~bench.push | (followed.held != depth)),
        Assert(queue.y.valid == (followed.held != 0)),
    ]
    with m.If(followed.is_inside & (followed.ahead == 0)):
        m.d.comb += Assert(queue.y.payload == followed.value)
    return followed


def watch(m: Module, y, name: str) -> tuple[Signal, Signal]:
    """Whether a beat was offered and not taken in the cycle before; and what was offered."""
    payload = Value.cast(y.payload)
    waits, offered = Signal(name=f"waits{name}"), Signal(len(payload), name=f"offered{name}")
    m.d.sync += [waits.eq(y.valid & ~y.ready), offered.eq(payload)]
    return waits, offered


def with_fault(module: ModuleType, right: str, wrong: str) -> ModuleType:
    """The module as it would be with one piece of its source changed."""
    assert module.__file__
    source = Path(module.__file__).read_text()
    assert source.count(right) == 1, f"{module.__name__}: {right!r} stands there {source.count(right)} times"
    faulty = ModuleType(module.__name__)
    faulty.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), faulty.__dict__)
    return faulty
