"""What simulations showed: exact or not, beats and cycles of each run, and the first differences in words."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ..ir.graph import Ints


@dataclass(frozen=True, eq=False)
class Run:
    """One simulation: ``plain`` or ``stalled``.

    cycles: until every stream had all its beats. seconds: inside the simulator; processor_seconds leaves out
    what a busy machine makes it wait. counts: beats seen, by stream.
    wrong: by stream with differences, the number of beats with a wrong value and with a wrong cycle.
    mismatches: the first of them in words, earliest first. faults: breaches of the stream protocol at the ports.
    outputs: per output NAME, (frames, *shape), unless beats were lost.
    """

    name: str
    stall: float
    cycles: int
    seconds: float
    processor_seconds: float
    timed_out: bool
    counts: dict[str, int]
    wrong: dict[str, tuple[int, int]]
    mismatches: tuple[str, ...]
    faults: tuple[str, ...] = ()
    outputs: dict[str, Ints] = field(default_factory=dict)

    @property
    def values_exact(self) -> bool:
        return not self.faults and not any(values for values, _ in self.wrong.values())

    @property
    def cycles_exact(self) -> bool:
        return not any(cycles for _, cycles in self.wrong.values())

    @property
    def beats(self) -> int:
        return sum(self.counts.values())

    @property
    def kcycles_per_s(self) -> float:
        return self.cycles / self.seconds / 1000

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["outputs"], values["processor_seconds"]
        exact = {"values_exact": self.values_exact, "cycles_exact": self.cycles_exact}
        return values | exact | {"beats": self.beats, "kcycles_per_s": round(self.kcycles_per_s, 1)}


@dataclass(frozen=True, eq=False)
class SimReport:
    """All runs of one program. cached: it was compiled earlier."""

    frames: int
    runs: tuple[Run, ...]
    build_seconds: float
    cached: bool

    @property
    def values_exact(self) -> bool:
        return all(run.values_exact for run in self.runs)

    @property
    def cycles_exact(self) -> bool:
        return all(run.cycles_exact for run in self.runs)

    @property
    def is_exact(self) -> bool:
        return self.values_exact and self.cycles_exact

    @property
    def outputs(self) -> dict[str, Ints]:
        """Per output NAME the integers of the first run, shape (frames, *shape); without those that lost beats."""
        return self.runs[0].outputs

    @property
    def mismatches(self) -> tuple[str, ...]:
        return tuple(f"{run.name}: {text}" for run in self.runs for text in run.mismatches + run.faults)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the outputs are left out."""
        exact = {"values_exact": self.values_exact, "cycles_exact": self.cycles_exact}
        build = {"build_seconds": round(self.build_seconds, 3), "cached": self.cached}
        return {"frames": self.frames} | exact | build | {"runs": [run.to_dict() for run in self.runs]}
