"""An imported model: its graph, and what each activation in it means in the model's reals."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .chain import Chain, Floats, Step
from .graph import Graph, Ints
from .import_layout import Layout, inverse, plain_layout

if TYPE_CHECKING:  # the exact arithmetic of grids is needed for importing only
    from .import_values import Grid


@dataclass(frozen=True, eq=False)
class Function:
    """The float32 function that a Threshold, Requantize or Table stands for.

    The integers of ``source`` are float32 reals, rounded once: scale * (step * signs * code + base) + offset, see
    ``grid``; ``steps`` is what the model applies to them, and ``result`` the grid on which the outcome lies. ``signs``,
    (channels,), is -1 where the importer negated a row of weights because the function falls.
    """

    node: str
    source: str
    grid: "Grid"
    signs: Ints
    steps: tuple[Step, ...]
    result: "Grid"

    @property
    def scale(self) -> NDArray:
        """(channels,): the real that one step of the accumulator stands for, before signs."""
        return (self.grid.scale * self.grid.step).astype(np.float64)

    @property
    def offset(self) -> NDArray:
        """(channels,): the real of code 0."""
        return (self.grid.scale * self.grid.base + self.grid.offset).astype(np.float64)

    @property
    def chain(self) -> Chain:
        """From float32 reals (points, channels) to codes of ``node``."""
        return Chain((*self.steps, self.result.codes()))

    def reals(self, codes: Ints) -> Floats:
        """The float32 reals of codes (points, channels) of ``source``."""
        return Chain((self.grid.dequantize(self.signs),))(codes)

    def __call__(self, codes: Ints) -> Floats:
        """Codes of ``node`` for codes of ``source``, both (points, channels), by the model's operators."""
        return self.chain(self.reals(codes))


def summation_error(terms: int) -> float:
    """Largest error of a float32 sum of ``terms`` numbers, relative to the sum of their magnitudes.

    In any order (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); products and their factors may be
    rounded too, fused or not, and the exact sum is rounded to float32 once: three roundings more.
    """
    terms += 3
    return terms * 2.0**-24 / (1 - terms * 2.0**-24)


@dataclass(frozen=True, eq=False)
class Product:
    """The reals that a Dense, Conv2d, ConvTranspose2d or (with a weight of 1 / pixels each) SumPool2d sums up.

    inputs: the grid of what it takes; ``signs``, (inputs,), is -1 where codes are negated. weight_scale: the real that
    1 in its weights stands for, (outputs, inputs of a group). unit: (outputs,) Fractions of which all products are
    whole multiples, namely weight * (stride * code + base); None where that is not exactly so.
    """

    inputs: "Grid"
    signs: Ints
    weight_scale: NDArray
    stride: int
    base: Ints
    unit: NDArray | None


@dataclass(frozen=True, eq=False)
class Join:
    """The reals that an Add sums up: the grids of its operands, ``signs`` (channels,) of their codes, and -1 among the
    ``factors`` where the model subtracts.
    """

    grids: tuple["Grid", "Grid"]
    signs: tuple[Ints, Ints]
    factors: tuple[int, int]

    def reals(self, *codes: Ints) -> NDArray:
        """float64 sums of the model's float32 reals of codes (..., channels)."""
        first, second = (g.dequantize(s)(c) for g, s, c in zip(self.grids, self.signs, codes, strict=True))
        return self.factors[0] * first.astype(np.float64) + self.factors[1] * second.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A quantizer of the model: the tensor that holds its codes, their grid, and their places in the model's shape.

    own: the grid of the integers that the model calls its codes.
    """

    tensor: str
    grid: "Grid"
    layout: Layout
    own: "Grid"

    def in_order(self) -> "Quantizer":
        """As if the model held its integers as the graph does, as the same codes."""
        return replace(self, layout=plain_layout(self.layout.shape), own=self.grid)

    def codes(self, integers: Ints) -> Ints:
        """The model's integers (frames, ...), of its shape, as codes (frames, *shape) of the tensor."""
        grid, own, shape = self.grid, self.own, (len(integers), *self.layout.shape)
        flat = integers.reshape(len(integers), -1)[:, inverse(self.layout.places)]
        if own.step == 2 and flat.min(initial=0) < 0:  # -1 and +1 instead of 0 and 1
            flat = (flat + 1) // 2
        if own is grid:
            return flat.reshape(shape)
        reals = own.dequantize()(flat.reshape(shape))
        return np.rint(grid.codes()(reals)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Imported:
    """``functions``, ``products`` and ``joins`` by node name. ``quantizers``: those of the model's data, in its order,
    by their outputs in the model; None where their integers exist nowhere in the graph, since they are inside a longer
    function. ``digest``: SHA-256 of the file.
    """

    graph: Graph
    functions: dict[str, Function]
    products: dict[str, Product]
    joins: dict[str, Join]
    quantizers: dict[str, Quantizer | None]
    digest: str

    @property
    def quantized(self) -> dict[str, "Grid"]:
        """The grids of the tensors that quantizers made, inputs included, in the model's order."""
        return {found.tensor: found.grid for found in self.quantizers.values() if found is not None}
