"""Which channels of a network can only be dropped together: residual sums, depthwise layers and joins couple them."""

from dataclasses import dataclass

from ...errors import GraphError
from .layers import Add, Concat, Conv, ConvTranspose, Dense, DepthwiseConv, Flatten, Layer, Network, PixelShuffle, Shape


@dataclass(frozen=True)
class Place:
    """Channels inside a layer: from ``start`` on, ``repeats`` neighbours each, as a flattened map has them."""

    layer: str
    start: int
    repeats: int = 1


@dataclass(frozen=True)
class Coupling:
    """``channels`` channels: every layer that computes them and every layer that multiplies them by weights."""

    name: str
    channels: int
    writers: tuple[Place, ...]
    readers: tuple[Place, ...]


@dataclass(frozen=True)
class _Part:
    """Channels of a tensor that one layer made."""

    maker: str
    channels: int
    repeats: int = 1


def find_couplings(network: Network) -> tuple[Coupling, ...]:
    """The couplings whose channels pruning may drop, in order of their first layer, after which they are named.

    The network's own inputs and outputs stay as they are, and so does what is coupled with them.
    """
    walk = _Walk(network)
    for layer in network.layers:
        walk.visit(layer)
    fixed = {walk.root(maker) for maker in walk.fixed}
    makers = [maker for maker in walk.channels if walk.root(maker) == maker and maker not in fixed]
    return tuple(walk.coupling(maker) for maker in makers)


class _Walk:
    def __init__(self, network: Network) -> None:
        self.parts: dict[str, tuple[_Part, ...]] = {"": (_Part("", network.input.shape[0]),)}
        self.shapes, self.sources = network.shapes(), network.sources()
        self.last = network.weighted[-1].name
        self.channels: dict[str, int] = {}
        self.fixed = {"", self.last}
        self._same: dict[str, str] = {}  # from a maker to an earlier one whose channels are coupled with its own
        self._writers: list[tuple[str, Place]] = []
        self._readers: list[tuple[str, Place]] = []

    def root(self, maker: str) -> str:
        while maker in self._same:
            maker = self._same[maker]
        return maker

    def coupling(self, maker: str) -> Coupling:
        writers, readers = (
            tuple(place for owner, place in places if self.root(owner) == maker)
            for places in (self._writers, self._readers)
        )
        return Coupling(maker, self.channels[maker], writers, readers)

    def visit(self, layer: Layer) -> None:
        inputs = [self.parts[name] for name in self.sources[layer.name]]
        shape = self.shapes[self.sources[layer.name][0]]
        self.parts[layer.name] = self._visit(layer, inputs, shape)

    def _visit(self, layer: Layer, inputs: list[tuple[_Part, ...]], shape: Shape) -> tuple[_Part, ...]:
        if isinstance(layer, Dense | Conv | ConvTranspose):
            self._readers += _places(layer, inputs[0])
            return self._make(layer.name, layer.channels)
        if isinstance(layer, DepthwiseConv):
            self._writers += _places(layer, inputs[0])
            if layer.name == self.last:
                self.fixed |= {part.maker for part in inputs[0]}
        if isinstance(layer, Add):
            for other in inputs[1:]:
                self._couple(layer, inputs[0], other)
        if isinstance(layer, Concat):
            return tuple(part for parts in inputs for part in parts)
        if isinstance(layer, Flatten):
            pixels = shape[1] * shape[2]
            return tuple(_Part(part.maker, part.channels, part.repeats * pixels) for part in inputs[0])
        if isinstance(layer, PixelShuffle):
            self.fixed |= {part.maker for part in inputs[0]} | {layer.name}
            self.channels[layer.name] = self.shapes[layer.name][0]
            return (_Part(layer.name, self.channels[layer.name]),)
        return inputs[0]

    def _make(self, name: str, channels: int) -> tuple[_Part, ...]:
        self.channels[name] = channels
        self._writers.append((name, Place(name, 0)))
        return (_Part(name, channels),)

    def _couple(self, layer: Layer, first: tuple[_Part, ...], second: tuple[_Part, ...]) -> None:
        if [part.channels for part in first] != [part.channels for part in second]:
            raise GraphError(f"{layer.name}: adds channels that were joined in different ways; join them after the sum")
        for one, other in zip(first, second):
            one, other = self.root(one.maker), self.root(other.maker)
            if one == other:
                continue
            early, late = sorted((one, other), key=["", *self.channels].index)
            self._same[late] = early


def _places(layer: Layer, parts: tuple[_Part, ...]) -> list[tuple[str, Place]]:
    found, start = [], 0
    for part in parts:
        found.append((part.maker, Place(layer.name, start, part.repeats)))
        start += part.channels * part.repeats
    return found
