"""Explains differing codes: each must lie within what float32 rounding of the model's sums can do to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Chain, Step, batch_normalization_line
from .dense import Dense
from .graph import Ints
from .import_values import is_monotone, odd_part
from .imported import Function, Imported, Product, dot_product_noise

UNIT = 2.0**-24  # largest relative error of one float32 rounding
# How far the run-times' own approximations of a function may be from it, relative to its result.
APPROXIMATED = {"Sigmoid": 16 * UNIT, "Tanh": 16 * UNIT, "Elu": 16 * UNIT, "Pow": 8 * UNIT, "HardSigmoid": 4 * UNIT}
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

    def __str__(self) -> str:
        low, high = self.possible
        place = f"{self.tensor}: frame {self.frame}, channel {self.channel}"
        return f"{place}: {self.ours}, the model has {self.theirs}, rounding explains {low} to {high}"


@dataclass(frozen=True)
class Explanation:
    """frames compared, equal_frames among them that never differ, and the differing codes of the others' first layers.

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

    ours: every tensor by name, as ``execute(imported.graph, codes, every=True)`` gives. theirs: the integers of the
    model's quantizers (-1 and +1, or codes, where they are bipolar), (frames, ...), by tensor name, or under any names
    in the model's order (``imported.quantized``); an entry "outputs" is ignored. A frame is compared up to the first
    tensor in which it differs: up to there the model's sums had the very inputs that ours had. A differing code is
    explained if the function, evaluated between the exact sum minus and plus the largest rounding error that a float32
    sum of these products can have, reaches it.
    """
    named = _by_tensor(imported, theirs)
    frames = len(next(iter(named.values())))
    alive = np.arange(frames)
    codes, differing, explained, mentioned, by_tensor = 0, 0, 0, [], {}
    for tensor, values in named.items():
        mine, model = _flat(ours[tensor])[alive], values[alive]
        rows, channels = np.nonzero(mine != model)
        codes += mine.size
        if rows.size:
            by_tensor[tensor] = int(rows.size)
            low, high = _possible(imported, ours, tensor, alive[rows], channels)
            wrong = (model[rows, channels] < low) | (model[rows, channels] > high)
            differing, explained = differing + rows.size, explained + int((~wrong).sum())
            for i in np.flatnonzero(wrong)[: MENTIONED - len(mentioned)]:
                place = int(alive[rows[i]]), tensor, int(channels[i])
                both = int(mine[rows[i], channels[i]]), int(model[rows[i], channels[i]])
                mentioned.append(Difference(*place, *both, (int(low[i]), int(high[i]))))
        alive = np.delete(alive, np.unique(rows))
    return Explanation(frames, alive.size, codes, explained, differing - explained, by_tensor, tuple(mentioned))


def _flat(codes: NDArray) -> Ints:
    return np.asarray(codes).reshape(len(codes), -1).astype(np.int64)


def _by_tensor(imported: Imported, theirs: Mapping[str, NDArray]) -> dict[str, Ints]:
    """The model's integers as codes, by tensor name, in the model's order."""
    given = {name: _flat(values) for name, values in theirs.items() if name != "outputs" or name in imported.quantized}
    order = list(imported.quantized)
    if not set(given) <= set(order):
        if len(given) != len(order):
            raise GraphError(
                f"the model gives the integers of {len(given)} quantizers ({', '.join(given)}), but the graph has "
                f"{len(order)} ({', '.join(order)}); name them as in the graph"
            )
        given = dict(zip(order, given.values(), strict=True))
    codes = {}
    for tensor in (name for name in order if name in given):
        grid, values = imported.quantized[tensor], given[tensor]
        if values.shape[1] != grid.channels:
            raise GraphError(f"{tensor}: the model gives {values.shape[1]} channels, but the graph has {grid.channels}")
        codes[tensor] = (values + 1) // 2 if grid.step == 2 and values.min(initial=0) < 0 else values
    if not codes:
        raise GraphError("no integers of the model were given; name them as the tensors of the graph")
    return codes


def _possible(
    imported: Imported, ours: Mapping[str, Ints], tensor: str, frames: Ints, channels: Ints
) -> tuple[Ints, Ints]:
    """The lowest and highest code that rounding can give at these places."""
    function = imported.functions.get(tensor)
    if function is None:  # an input: the host and the model run the same float32 operators on the same reals
        same = _flat(ours[tensor])[frames, channels]
        return same, same
    rows, places = np.unique(frames, return_inverse=True)
    reals = _exact_reals(function, _flat(ours[function.source])[rows])
    noise = _noise(imported, ours, function.source, rows)
    low, high = _outward(reals - noise, reals + noise)
    for index, step in enumerate(function.steps):
        low, high = _through(step, low, high, first=index == 0, terms=_terms(imported, function.source))
    ends = [Chain((function.result.codes(),))(end) for end in (low, high)]
    # NaN where even the bounds overflow: then nothing is explained.
    ordered = np.nan_to_num(np.sort(np.stack(ends), axis=0), nan=0.0).astype(np.int64)
    return ordered[0][places, channels], ordered[1][places, channels]


def _exact_reals(function: Function, codes: Ints) -> NDArray:
    grid = function.grid
    levels = codes * (grid.step * function.signs) + grid.base
    return levels * grid.scale.astype(np.float64) + grid.offset.astype(np.float64)


def _terms(imported: Imported, source: str) -> int:
    node = next((node for node in imported.graph.nodes if node.name == source), None)
    return node.weights.shape[1] + 3 if isinstance(node, Dense) else 1


def _noise(imported: Imported, ours: Mapping[str, Ints], source: str, rows: Ints) -> NDArray:
    """(rows, channels): how far the model's float32 reals of ``source`` can be from the exact ones."""
    if source not in imported.products:
        known = imported.quantized.get(source)
        return np.zeros((len(rows), ours[source][0].size)) if known is None else np.tile(known.noise, (len(rows), 1))
    node = imported.graph.node(source)
    assert isinstance(node, Dense)
    product = imported.products[source]
    codes = _flat(ours[node.inputs[0]])[rows]
    reals = product.inputs.dequantize(product.signs)(codes).astype(np.float64)
    if _sums_are_exact(product, node.weights, codes):
        return np.zeros((len(rows), len(node.weights)))
    return dot_product_noise(node.weights, reals, product.weight_scale, product.inputs.noise)


def _sums_are_exact(product: Product, weights: Ints, codes: Ints) -> bool:
    """Whether float32 holds every partial sum: integers below 2**24 times one dyadic number."""
    grid, scale = product.inputs, product.inputs.scale[0]
    if grid.noise.any() or grid.offset.any() or Fraction(float(scale)) != scale:
        return False
    largest = int((np.abs(codes * product.signs * grid.step + grid.base) @ np.abs(weights).T).max(initial=0))
    odd = max(odd_part(Fraction(float(value))) for value in set(product.weight_scale.tolist()))
    return largest * odd * odd_part(scale) < 2**24


def _outward(low: NDArray, high: NDArray) -> tuple[NDArray, NDArray]:
    """The float32 numbers that enclose the interval."""
    below, above = low.astype(np.float32), high.astype(np.float32)
    below = np.where(below > low, np.nextafter(below, np.float32(-np.inf)), below)
    return below, np.where(above < high, np.nextafter(above, np.float32(np.inf)), above)


def _through(step: Step, low: NDArray, high: NDArray, *, first: bool, terms: int) -> tuple[NDArray, NDArray]:
    """The interval after a step, however a run-time rounds it. Operators that IEEE 754 defines need no widening."""
    ends = [Chain((step,))(end) for end in (low, high)]
    if not is_monotone(step):  # those that turn do so at zero
        ends.append(np.where((low < 0) & (high > 0), Chain((step,))(np.zeros_like(low)), ends[0]))
    lowest, highest = (np.asarray(pick(ends), dtype=np.float64) for pick in (_lowest, _highest))
    slack = _slack(step, np.maximum(np.abs(low), np.abs(high)).astype(np.float64), first=first, terms=terms)
    if slack is None:
        return lowest.astype(np.float32), highest.astype(np.float32)
    relative = APPROXIMATED.get(step.operator, 0.0) * np.maximum(np.abs(lowest), np.abs(highest))
    return _outward(lowest - slack - relative, highest + slack + relative)


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
    if step.operator in APPROXIMATED:
        return np.zeros_like(largest)
    if step.operator in ("Add", "Sub") and first:  # a bias that a matrix product adds up as one more term
        return terms * UNIT * 1.01 * (np.abs(step.constants[0].astype(np.float64)) + largest)
    return None
