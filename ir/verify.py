"""Explains differing codes: each must lie within what float32 rounding of the model's sums can do to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import JOINED, Chain, Step, batch_normalization_line
from .graph import Ints
from .import_values import is_monotone
from .imported import Function, Imported, Quantizer
from .verify_noise import MOVERS, UNIT, Noise, real_numbers, terms_of

# How far the run-times' own approximations of a function may be from it, relative to its result.
APPROXIMATED = {
    **dict.fromkeys(("Sigmoid", "Tanh", "Elu", "Selu", "Celu", "Exp", "Log", "Erf", "Softplus"), 16 * UNIT),
    **dict.fromkeys(("Pow", "HardSwish"), 8 * UNIT),
    **dict.fromkeys(("HardSigmoid", "Softsign"), 4 * UNIT),
}
TURNS = {"HardSwish": (-3.0, -1.5)}  # where operators turn that do so elsewhere than at 0
MENTIONED = 10


@dataclass(frozen=True)
class Difference:
    """One code of the model that is not ours; ``possible`` are the codes between which rounding can move it."""

    frame: int
    tensor: str
    channel: int
    ours: int
    theirs: int
    possible: tuple[int, int]
    pixel: tuple[int, ...] = ()

    def __str__(self) -> str:
        low, high = self.possible
        pixel = f"pixel {self.pixel}, " if self.pixel else ""
        place = f"{self.tensor}: frame {self.frame}, {pixel}channel {self.channel}"
        return f"{place}: {self.ours}, the model has {self.theirs}, rounding explains {low} to {high}"


@dataclass(frozen=True)
class Explanation:
    """frames compared, equal_frames among them that never differ, and the differing codes of the others.

    codes: how many codes were compared. mentioned: the first of those that rounding does not explain.
    """

    frames: int
    equal_frames: int
    codes: int
    explained: int
    unexplained: int
    by_tensor: dict[str, int]
    mentioned: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.explained + self.unexplained} of {self.codes} codes differ in {self.frames - self.equal_frames} of "
            f"{self.frames} frames: {self.explained} within float32 rounding, {self.unexplained} unexplained"
        )


def explain_differences(imported: Imported, ours: Mapping[str, Ints], theirs: Mapping[str, NDArray]) -> Explanation:
    """Compare codes that the model computed in float32 with ours, layer by layer.

    ours: every tensor by name, as ``execute(imported.graph, codes, every=True)`` gives. theirs: codes (frames, *shape)
    by tensor name; or the integers of the model's quantizers (-1 and +1, or codes, where they are bipolar) in the
    model's own shape, by the quantizer's output in the model or under any names in the model's order; an entry
    "outputs" is ignored. Where a frame differs, what follows is computed again from the model's codes, so that every
    layer is compared on the very inputs that the model's had; if the codes of some quantizer are not given, the frame
    is left out from there on. A differing code is explained if the function, evaluated between the exact sum minus and
    plus the largest rounding error that a float32 sum of these products can have, reaches it.
    """
    named = _by_tensor(imported, theirs)
    replay = _Replay(imported, ours, named, len(next(iter(named.values()))))
    return replay.compare()


class _Replay:
    """The graph's tensors as they would be if each layer had had the model's codes."""

    def __init__(self, imported: Imported, ours: Mapping[str, Ints], theirs: Mapping[str, Ints], frames: int) -> None:
        self._imported, self._theirs = imported, theirs
        self._tensors = dict(ours)
        self._alive = np.ones(frames, dtype=bool)
        self._changed = np.zeros(frames, dtype=bool)
        self._differing = np.zeros(frames, dtype=bool)
        self._keeps_all = set(imported.quantized) <= set(theirs)
        self._codes, self._explained, self._unexplained = 0, 0, 0
        self._by_tensor: dict[str, int] = {}
        self._mentioned: list[Difference] = []

    def compare(self) -> Explanation:
        for port in self._imported.graph.inputs:
            self._compare(port.name)
        for node in self._imported.graph.nodes:
            rows = np.flatnonzero(self._changed & self._alive)
            if rows.size:
                self._put(node.name, rows, node.evaluate(*(self._tensors[name][rows] for name in node.inputs)))
            self._compare(node.name)
        return Explanation(
            len(self._alive),
            int((~self._differing).sum()),
            self._codes,
            self._explained,
            self._unexplained,
            self._by_tensor,
            tuple(self._mentioned),
        )

    def _put(self, tensor: str, rows: Ints, codes: Ints) -> None:
        if not np.array_equal(self._tensors[tensor][rows], codes):
            changed = self._tensors[tensor].copy()
            changed[rows] = codes
            self._tensors[tensor] = changed

    def _compare(self, tensor: str) -> None:
        if tensor not in self._theirs:
            return
        frames = np.flatnonzero(self._alive)
        mine, model = self._tensors[tensor][frames], self._theirs[tensor][frames]
        self._codes += mine.size
        rows = np.flatnonzero((mine != model).reshape(len(frames), -1).any(axis=1))
        if not rows.size:
            return
        self._explain(tensor, frames[rows], mine[rows], model[rows])
        self._differing[frames[rows]] = self._changed[frames[rows]] = True
        self._put(tensor, frames[rows], model[rows])
        if not self._keeps_all:
            self._alive[frames[rows]] = False

    def _explain(self, tensor: str, frames: Ints, mine: Ints, model: Ints) -> None:
        low, high = reachable_codes(self._imported, {n: t[frames] for n, t in self._tensors.items()}, tensor)
        places = np.argwhere(mine != model)
        inside = (low <= model) & (model <= high)
        self._by_tensor[tensor] = len(places)
        for place in map(tuple, places):
            if inside[place]:
                self._explained += 1
                continue
            self._unexplained += 1
            if len(self._mentioned) < MENTIONED:
                at = int(frames[place[0]]), tensor, int(place[-1])
                both, possible = (int(mine[place]), int(model[place])), (int(low[place]), int(high[place]))
                self._mentioned.append(Difference(*at, *both, possible, tuple(map(int, place[1:-1]))))


def _by_tensor(imported: Imported, theirs: Mapping[str, NDArray]) -> dict[str, Ints]:
    """The model's integers as codes (frames, *shape), by tensor name."""
    quantized, outputs = imported.quantized, imported.quantizers
    given = {name: np.asarray(v) for name, v in theirs.items() if name != "outputs" or name in {*quantized, *outputs}}
    if not given:
        raise GraphError("no integers of the model were given; name them as the tensors of the graph")
    made_by = {quantizer.tensor: quantizer for quantizer in outputs.values() if quantizer is not None}
    if set(given) <= set(quantized):
        pairs = [(made_by[name].in_order(), values) for name, values in given.items()]
    elif set(given) <= set(outputs):
        pairs = [(outputs[name], values) for name, values in given.items()]
    elif len(given) == len(outputs):
        pairs = list(zip(outputs.values(), given.values(), strict=True))
    elif len(given) == len(quantized):
        pairs = [(made_by[name], values) for name, values in zip(quantized, given.values(), strict=True)]
    else:
        raise GraphError(
            f"the model gives the integers of {len(given)} quantizers ({', '.join(given)}), but the graph has "
            f"{len(quantized)} ({', '.join(quantized)}); name them as in the graph"
        )
    return {quantizer.tensor: _codes(quantizer, values) for quantizer, values in pairs if quantizer is not None}


def _codes(quantizer: Quantizer, values: NDArray) -> Ints:
    sizes = prod(values.shape[1:]), prod(quantizer.layout.shape)
    if sizes[0] != sizes[1]:
        raise GraphError(f"{quantizer.tensor}: the model gives {sizes[0]} channels, but the graph has {sizes[1]}")
    return quantizer.codes(values.astype(np.int64))


def reachable_codes(imported: Imported, tensors: Mapping[str, Ints], tensor: str) -> tuple[Ints, Ints]:
    """The lowest and highest codes that rounding can give in ``tensor``, for the codes of the tensors before it."""
    node = next((node for node in imported.graph.nodes if node.name == tensor), None)
    if tensor in imported.functions:
        return _after_function(imported, tensors, imported.functions[tensor])
    if isinstance(node, MOVERS):
        ends = [reachable_codes(imported, tensors, name) for name in node.inputs]
        return node.evaluate(*(low for low, _ in ends)), node.evaluate(*(high for _, high in ends))
    # An input, which the host and the model make by the same float32 operators; or sums, which are compared as codes.
    return tensors[tensor], tensors[tensor]


def _after_function(imported: Imported, tensors: Mapping[str, Ints], function: Function) -> tuple[Ints, Ints]:
    join = imported.joins.get(function.source)
    node = imported.graph.node(function.source) if function.source in imported.graph.tensors else None
    if join is not None and node is not None:
        reals = join.reals(*(tensors[name] for name in node.inputs))
    else:
        reals = real_numbers(function.grid, function.signs, tensors[function.source])
    noise = Noise(imported, tensors).of(function.source, function.grid)
    low, high = _outward(reals - noise, reals + noise)
    terms = _terms(imported, function.source)
    for index, step in enumerate(function.steps):
        low, high = _through(step, low, high, first=index == 0, terms=terms)
    ends = [Chain((function.result.codes(),))(end) for end in (low, high)]
    # NaN where even the bounds overflow: then nothing is explained.
    ordered = np.nan_to_num(np.sort(np.stack(ends), axis=0), nan=0.0).astype(np.int64)
    return ordered[0], ordered[1]


def _terms(imported: Imported, source: str) -> int:
    nodes = {node.name: node for node in imported.graph.nodes}
    node = nodes.get(source)
    while isinstance(node, MOVERS):
        node = nodes.get(node.inputs[0])
    return terms_of(node)


def _outward(low: NDArray, high: NDArray) -> tuple[NDArray, NDArray]:
    """The float32 numbers that enclose the interval."""
    below, above = low.astype(np.float32), high.astype(np.float32)
    below = np.where(below > low, np.nextafter(below, np.float32(-np.inf)), below)
    return below, np.where(above < high, np.nextafter(above, np.float32(np.inf)), above)


def _through(step: Step, low: NDArray, high: NDArray, *, first: bool, terms: int) -> tuple[NDArray, NDArray]:
    """The interval after a step, however a run-time rounds it. Operators that IEEE 754 defines need no widening."""
    if step.operator == "Both":
        return _through_both(step, low, high)
    ends = [Chain((step,))(end) for end in (low, high)]
    for turn in () if is_monotone(step) else TURNS.get(step.operator, (0.0,)):
        ends.append(np.where((low < turn) & (high > turn), Chain((step,))(np.full_like(low, turn)), ends[0]))
    lowest, highest = (np.asarray(pick(ends), dtype=np.float64) for pick in (_lowest, _highest))
    slack = _slack(step, np.maximum(np.abs(low), np.abs(high)).astype(np.float64), first=first, terms=terms)
    if slack is None:
        return lowest.astype(np.float32), highest.astype(np.float32)
    relative = APPROXIMATED.get(step.operator, 0.0) * np.maximum(np.abs(lowest), np.abs(highest))
    return _outward(lowest - slack - relative, highest + slack + relative)


def _through_both(step: Step, low: NDArray, high: NDArray) -> tuple[NDArray, NDArray]:
    """As if the two branches were independent, which encloses what they can give together."""
    reached = []
    for branch in step.branches:
        ends = low, high
        for inner in branch:
            ends = _through(inner, *ends, first=False, terms=1)
        reached.append(ends)
    function = JOINED[str(step.attributes["operator"])]
    corners = [function(first, second) for first in reached[0] for second in reached[1]]
    if step.attributes["operator"] == "Div":
        crosses = (reached[1][0] <= 0) & (reached[1][1] >= 0)
        corners += [np.where(crosses, limit, corners[0]) for limit in (np.float32(-np.inf), np.float32(np.inf))]
    return _outward(np.asarray(_lowest(corners), np.float64), np.asarray(_highest(corners), np.float64))


def _lowest(ends: list[NDArray]) -> NDArray:
    return np.min(np.stack(ends), axis=0)


def _highest(ends: list[NDArray]) -> NDArray:
    return np.max(np.stack(ends), axis=0)


def _slack(step: Step, largest: NDArray, *, first: bool, terms: int) -> NDArray | None:
    """By how much run-times may differ in a step, for data up to ``largest``; None where they may not."""
    if step.operator == "BatchNormalization":
        factor, _ = batch_normalization_line(step)
        mean, bias = (np.abs(step.constants[i].astype(np.float64)) for i in (2, 1))
        return 8 * UNIT * ((largest + mean) * np.abs(factor.astype(np.float64)) + bias)
    if step.operator in ("HardSwish", "HardSigmoid", "Log"):  # whose results can be far smaller than what they round
        return 16 * UNIT * (largest + 1)
    if step.operator in APPROXIMATED:
        return np.zeros_like(largest)
    if step.operator in ("Add", "Sub") and first:  # a bias that a matrix product adds up as one more term
        return terms * UNIT * 1.01 * (np.abs(step.constants[0].astype(np.float64)) + largest)
    return None
