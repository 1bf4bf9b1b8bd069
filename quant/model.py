"""A recipe's network as a PyTorch module, built from Brevitas layers."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .masks import ChannelGroup, ChannelMask, Slice, Writer
from .networks.coupling import Coupling, Place, find_couplings
from .networks.layers import (
    Activation,
    Add,
    AveragePool,
    Concat,
    Flatten,
    Input,
    Layer,
    MaxPool,
    Network,
    PixelShuffle,
    Upsample,
    Weighted,
)
from .quantizers import Shared, make_activation, make_norm, make_weighted
from .recipes import Recipe
from .statistics_quantizers import Statistics
from .swis.groups import group_places


@dataclass(frozen=True)
class Step:
    """One module at work: on which results, by name, and under which name its own is kept."""

    module: str
    sources: tuple[str, ...]
    result: str


class QuantNetwork(nn.Module):
    """prepare and pixels, which quantize the input, then the recipe's layers; takes and returns (images, ...).

    A layer with weights is called by its name, its normalization and mask NAME_norm and NAME_mask; the last one has
    neither, but is followed by ``scale``, one factor for all outputs.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        network = recipe.network
        self.steps: list[Step] = []
        self.couplings = find_couplings(network)
        self.weighted_layers = tuple(layer.name for layer in network.weighted)
        self.bipolar_layers = tuple(
            layer.name for layer, bits in zip(network.weighted, recipe.weight_bits) if bits == 1
        )
        self._add_input(network.input, recipe.input_bits)
        builder = _Builder(recipe)
        sources = network.sources()
        for layer in network.layers:
            self._add_layer(layer, sources[layer.name], builder)
        self._add("scale", OutputScale(builder.last_fan_in, shifted=recipe.task != "classify"), network.layers[-1].name)

        if not network.normalized:
            self._start_as_copy([layer.name for layer in network.weighted])

    def forward(self, inputs: Tensor) -> Tensor:
        results = {"inputs": inputs}
        for step in self.steps:
            module = self.get_submodule(step.module)
            results[step.result] = module(*(results[name] for name in step.sources))
        return results["scale"]

    def groups(self) -> tuple[ChannelGroup, ...]:
        """The channels that pruning may drop, in the order of the recipe's ``keep``."""
        return tuple(self._group(coupling) for coupling in self.couplings)

    def clip_bipolar_weights(self) -> None:
        """Keep the latent weights of bipolar layers in -1..1, where their quantizer passes the gradient."""
        with torch.no_grad():
            for name in self.bipolar_layers:
                self.get_submodule(name).weight.clamp_(-1, 1)  # type: ignore[operator]

    def _start_as_copy(self, names: list[str]) -> None:
        """Let the first channel of each convolution, and all of the last one, begin with that of its input."""
        with torch.no_grad():
            for name in names:
                weight: Any = self.get_submodule(name).weight
                centre = [size // 2 for size in weight.shape[2:]]
                weight[slice(None) if name == names[-1] else 0, 0, *centre] += 1
            self.get_submodule("scale").factor.fill_(1.0)  # type: ignore[operator]

    def _add(self, name: str, module: nn.Module, *sources: str, result: str | None = None) -> None:
        self.add_module(name, module)
        self.steps.append(Step(name, sources, result if result is not None else name))

    def _add_input(self, given: Input, bits: int) -> None:
        signed = given.signed or bits == 1  # bipolar codes need inputs on both sides of zero
        self._add("prepare", Prepare(given.low, given.high, signed), "inputs")
        quantizer = make_activation(bits, signed=signed, rectify=False, learned=False, limit=1.0, narrow=given.narrow)
        self._add("pixels", quantizer, "prepare", result="")

    def _add_layer(self, layer: Layer, sources: tuple[str, ...], builder: "_Builder") -> None:
        if isinstance(layer, Activation) and layer.shares is not None:
            self.steps.append(Step(layer.shares, sources, layer.name))
        elif isinstance(layer, Weighted) and layer.name != builder.last:
            self._add(layer.name, builder.make(layer, sources), *sources, result=f"{layer.name}_sums")
            channels = builder.shapes[layer.name][0]
            norm = f"{layer.name}_norm"
            self._add(norm, make_norm(layer, channels, builder.recipe.network.normalized), f"{layer.name}_sums")
            mask = ChannelMask(channels, rectified=_is_rectified(builder.recipe.network, layer.name))
            self._add(f"{layer.name}_mask", mask, norm, result=layer.name)
        else:
            self._add(layer.name, builder.make(layer, sources), *sources)

    def _group(self, coupling: Coupling) -> ChannelGroup:
        writers = tuple(
            Writer(
                self._slice(place),
                self.get_submodule(f"{place.layer}_norm"),
                self.get_submodule(f"{place.layer}_mask"),
                place.start,
            )
            for place in coupling.writers
        )
        readers = tuple(self._slice(place, reads=True) for place in coupling.readers)
        return ChannelGroup(coupling.name, coupling.channels, writers, readers)

    def _slice(self, place: Place, *, reads: bool = False) -> Slice:
        layer = self.get_submodule(place.layer)
        transposed = isinstance(layer, nn.ConvTranspose2d)  # its weights have the inputs first
        return Slice(layer, int(reads != transposed), place.start, place.repeats)


class _Builder:
    """Makes the module of each layer, with the bits that the recipe has for it."""

    def __init__(self, recipe: Recipe) -> None:
        network = recipe.network
        self.recipe, self.shapes, self.last = recipe, network.shapes(), network.weighted[-1].name
        names = [layer.name for layer in (*network.weighted, *network.activations)]
        self.bits = dict(zip(names, (*recipe.weight_bits, *recipe.activation_bits), strict=True))
        self.last_fan_in = network.weighted[-1].fan_in(self.shapes[network.sources()[self.last][0]])

    def make(self, layer: Layer, sources: tuple[str, ...]) -> nn.Module:
        if isinstance(layer, Weighted):
            # One scale for all outputs of the last layer: it leaves their order to the integers.
            is_last, inputs = layer.name == self.last, self.shapes[sources[0]]
            biased, per_channel = is_last and self.recipe.network.biased, self.recipe.per_channel and not is_last
            bits, statistics = self.bits[layer.name], self._statistics(1)
            return make_weighted(
                layer, inputs, bits, per_channel, biased=biased, statistics=statistics, shared=self._shared(layer)
            )
        if isinstance(layer, Activation):
            uses = [other.name for other in self.recipe.network.layers if getattr(other, "shares", None) == layer.name]
            return make_activation(
                self.bits[layer.name], signed=layer.signed, rectify=True, learned=layer.learned, limit=layer.limit,
                power_of_two=layer.power_of_two, statistics=self._statistics(1 + len(uses)),
            )  # fmt: skip
        return _make_plain(layer)

    def _shared(self, layer: Weighted) -> Shared | None:
        swis = self.recipe.swis
        return None if swis is None else (group_places(self.recipe.network, layer, swis.group), swis)

    def _statistics(self, uses: int) -> Statistics | None:
        """For a quantizer that each sample passes so often."""
        recipe = self.recipe
        if recipe.quantizer == "learned":
            return None
        weight_delay, activation_delay = recipe.delays
        groups = recipe.scale_groups or None
        return Statistics(recipe.quantizer == "statistics-po2", weight_delay, activation_delay * uses, groups)


def _is_rectified(network: Network, name: str) -> bool:
    """Whether a ReLU is all that reads the layer's result."""
    quantizers = {layer.name: layer for layer in network.activations}
    readers = [layer for layer in network.layers if name in network.sources()[layer.name]]
    return all(isinstance(layer, Activation) and not quantizers[layer.shares or layer.name].signed for layer in readers)


def _make_plain(layer: Layer) -> nn.Module:
    if isinstance(layer, MaxPool):
        return nn.MaxPool2d(layer.kernel)
    if isinstance(layer, AveragePool):
        return nn.AvgPool2d(layer.kernel)
    if isinstance(layer, Upsample):
        return nn.Upsample(scale_factor=layer.factor, mode="nearest")
    if isinstance(layer, PixelShuffle):
        return nn.PixelShuffle(layer.factor)
    return {Add: Sum, Concat: Join, Flatten: nn.Flatten}[type(layer)]()


class Prepare(nn.Module):
    """Brings inputs from low..high to 0..1, or to -1..1 where codes are signed."""

    def __init__(self, low: float, high: float, signed: bool) -> None:
        super().__init__()
        self.low, self.high, self.signed = low, high, signed

    def forward(self, inputs: Tensor) -> Tensor:
        if (self.low, self.high) == (-1, 1) and self.signed:
            return inputs
        from_zero = inputs if self.low == 0 else inputs - self.low
        span = self.high - self.low
        unit = from_zero if span == 1 else from_zero / span
        return 2.0 * unit - 1.0 if self.signed else unit


class Sum(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class Join(nn.Module):
    """One map of the channels of all."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)


class OutputScale(nn.Module):
    """One learned factor, and term if shifted, for all outputs: both leave their order to the integers."""

    def __init__(self, fan_in: int, *, shifted: bool) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(fan_in**-0.5))
        self.term: Any = nn.Parameter(torch.tensor(0.0)) if shifted else None

    def forward(self, outputs: Tensor) -> Tensor:
        scaled = outputs * self.factor
        return scaled if self.term is None else scaled + self.term
