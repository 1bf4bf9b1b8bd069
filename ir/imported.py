"""An imported model: its graph, and what each activation in it means in the model's reals."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .chain import Chain, Floats, Step
from .graph import Graph, Ints

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


def dot_product_noise(weights: Ints, reals: NDArray, weight_scale: NDArray, noise: NDArray) -> NDArray:
    """(points, outputs): rigorous bound of the rounding error of float32 sums of weights * reals (points, inputs).

    The sum of n products in any order, fused or not, of weights that are rounded themselves: gamma(n + 2) * sum |w x|
    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); one more for rounding the exact sum to float32.
    """
    terms = (weights.shape[1] + 3) * 2.0**-24
    magnitude = (np.abs(reals) + noise) @ np.abs(weights).T.astype(np.float64)
    passed_on = np.abs(weights).astype(np.float64) @ noise
    return weight_scale * (terms / (1 - terms) * magnitude + passed_on)


@dataclass(frozen=True, eq=False)
class Product:
    """The reals that a Dense sums up: ``inputs`` is the grid of what it takes, ``signs`` (inputs,) which codes of it
    are negated, ``weight_scale`` (outputs,) the real that 1 in its weights stands for.
    """

    inputs: "Grid"
    signs: Ints
    weight_scale: NDArray

    def noise(self, weights: Ints, low: Ints, high: Ints) -> NDArray:
        """(outputs,): how far the model's float32 sums can be from the exact ones, for input codes ``low`` to ``high``.

        weights: (outputs, inputs), of codes without negated rows. See ``dot_product_noise``.
        """
        reals = self.inputs.largest(low, high)
        return dot_product_noise(weights, reals[None], self.weight_scale, self.inputs.noise)[0]


@dataclass(frozen=True, eq=False)
class Imported:
    """``functions`` and ``products`` by node name. ``quantized``: the tensors that quantizers of the model made, inputs
    included, in the model's order, with their grids. ``digest``: SHA-256 of the file.
    """

    graph: Graph
    functions: dict[str, Function]
    products: dict[str, Product]
    quantized: dict[str, "Grid"]
    digest: str
