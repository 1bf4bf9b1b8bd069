"""Puts quantizers where hardware needs codes and a network of real numbers has none."""

from dataclasses import replace
from itertools import chain, count

from .layers import Activation, Add, AveragePool, Concat, Layer, Network, Weighted


def place_quantizers(network: Network) -> Network:
    """The same network of real numbers with activations added, each ReLU being a quantizer already.

    Layers with weights get codes of one quantizer; terms of a sum and parts of a join get codes of the same one, whose
    scale is a power of two: ReLUs share theirs where all are ReLUs, and signed quantizers are added where not.
    """
    placer = _Placer(network)
    for layer in network.layers:
        placer.visit(layer)
    return replace(network, layers=placer.finished())


class _Placer:
    """``grids``: by result, the activation whose codes it is made of, "" for the network's input, None for others."""

    def __init__(self, network: Network) -> None:
        self.layers: list[Layer] = []
        self.grids: dict[str, str | None] = {"": ""}
        self.signed = {"": network.input.signed}
        self.sources = network.sources()
        self.names = {layer.name for layer in network.layers}
        self.added: dict[tuple[str, bool], str] = {}
        self.first: dict[str, str] = {}  # from an activation to an earlier one whose quantizer it takes
        self.joined: set[str] = set()

    def visit(self, layer: Layer) -> None:
        sources = self.sources[layer.name]
        if isinstance(layer, Weighted) and self.grids[sources[0]] is None:
            sources = (self.quantized(sources[0], self.signed[sources[0]]),)
        if isinstance(layer, Add | Concat):
            sources = self.on_one_grid(sources)
        self.add(replace(layer, sources=sources))

    def add(self, layer: Layer) -> None:
        self.layers.append(layer)
        if isinstance(layer, Activation):
            self.grids[layer.name], self.signed[layer.name] = layer.name, layer.signed
            return
        # Sums and averages of codes are no codes of the same width, and the products of weights have another scale.
        ends = isinstance(layer, Weighted | Add | AveragePool)
        self.grids[layer.name] = None if ends else self.grids[layer.sources[0]]
        self.signed[layer.name] = isinstance(layer, Weighted) or any(self.signed[name] for name in layer.sources)

    def quantized(self, source: str, signed: bool) -> str:
        """The name of an added activation that quantizes ``source``."""
        if (source, signed) not in self.added:
            name = self.unused(f"{source or 'inputs'}_quantized")
            self.add(Activation(name, sources=(source,), signed=signed))
            self.added[source, signed] = name
        return self.added[source, signed]

    def on_one_grid(self, sources: tuple[str, ...]) -> tuple[str, ...]:
        if self.grids[sources[0]] is not None and len({self.root(self.grids[name]) for name in sources}) == 1:
            return sources
        signed = any(self.signed[name] for name in sources)
        found = tuple(name if self.may_share(name, signed) else self.quantized(name, signed) for name in sources)
        roots = {self.root(self.grids[name]) for name in found}
        first = next(layer.name for layer in self.layers if layer.name in roots)
        self.first |= {root: first for root in roots if root and root != first}
        self.joined.add(first)
        return found

    def may_share(self, source: str, signed: bool) -> bool:
        """Whether the scale of its quantizer is learned, and its codes are of the right sign."""
        layers = [layer for layer in self.layers if layer.name == self.grids[source]]
        return any(isinstance(layer, Activation) and layer.learned and layer.signed == signed for layer in layers)

    def root(self, name: str | None) -> str | None:
        while name in self.first:
            name = self.first[name]
        return name

    def finished(self) -> tuple[Layer, ...]:
        return tuple(self._shared(layer) if isinstance(layer, Activation) else layer for layer in self.layers)

    def _shared(self, layer: Activation) -> Activation:
        if layer.name in self.first:
            return Activation(layer.name, sources=layer.sources, shares=self.root(layer.name))
        return replace(layer, power_of_two=layer.name in self.joined or layer.power_of_two)

    def unused(self, base: str) -> str:
        numbered = (f"{base}_{number}" for number in count(2))
        name = next(name for name in chain([base], numbered) if name not in self.names)
        self.names.add(name)
        return name
