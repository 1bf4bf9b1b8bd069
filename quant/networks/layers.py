"""What networks are written in: layers, each with the shape of its result, channels first as in PyTorch."""

from dataclasses import dataclass, field
from math import prod

from ...errors import GraphError

Pair = tuple[int, int]  # vertical, horizontal
Shape = tuple[int, ...]  # (channels,) or (channels, height, width)


@dataclass(frozen=True)
class Layer:
    """``sources``: the layers whose results it takes; left out, it takes that of the layer before."""

    name: str
    sources: tuple[str, ...] = field(default=(), kw_only=True)

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


@dataclass(frozen=True)
class Dense(Layer):
    """A matrix; a normalization follows it unless it is the network's last layer with weights, as for all such.

    normalized: batch normalization; if not, a learned factor and term per channel.
    """

    channels: int
    normalized: bool = field(default=True, kw_only=True)

    def shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) > 1:
            raise GraphError(f"{self.name}: takes a vector, but a map of shape {inputs[0]} comes in; flatten it")
        return (self.channels,)

    def fan_in(self, inputs: Shape) -> int:
        """How many products make up one sum."""
        return prod(inputs)


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution padded with ``padding`` zeros on both sides; ``normalized`` as for Dense."""

    channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    normalized: bool = field(default=True, kw_only=True)

    def shape(self, *inputs: Shape) -> Shape:
        return (self.channels, *_windows(self.name, inputs[0], self.kernel, self.stride, self.padding))

    def fan_in(self, inputs: Shape) -> int:
        return inputs[0] * prod(self.kernel)


@dataclass(frozen=True)
class DepthwiseConv(Layer):
    """One kernel for each channel alone; ``normalized`` as for Dense."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    normalized: bool = field(default=True, kw_only=True)

    def shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *_windows(self.name, inputs[0], self.kernel, self.stride, self.padding))

    def fan_in(self, inputs: Shape) -> int:
        return prod(self.kernel)


@dataclass(frozen=True)
class ConvTranspose(Layer):
    """A transposed convolution; ``padding`` is what it crops on both sides, ``normalized`` as for Dense."""

    channels: int
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    normalized: bool = field(default=True, kw_only=True)

    def shape(self, *inputs: Shape) -> Shape:
        sizes = zip(inputs[0][1:], self.kernel, self.stride, self.padding)
        return (self.channels, *((size - 1) * stride + kernel - 2 * pad for size, kernel, stride, pad in sizes))

    def fan_in(self, inputs: Shape) -> int:
        return inputs[0] * prod(self.kernel) // prod(self.stride)


Weighted = Dense | Conv | DepthwiseConv | ConvTranspose


@dataclass(frozen=True)
class Activation(Layer):
    """A quantizer: a ReLU with a learned scale, or signed; one bit means bipolar, -1 or +1.

    limit: the largest value at the start of the training. learned: the scale is a parameter. power_of_two: it stays a
    power of two. shares: the earlier activation whose quantizer this is, so that both have one scale.
    """

    signed: bool = False
    limit: float = 3.0
    learned: bool = True
    power_of_two: bool = False
    shares: str | None = None


@dataclass(frozen=True)
class MaxPool(Layer):
    kernel: Pair

    def shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *_windows(self.name, inputs[0], self.kernel, self.kernel, (0, 0)))


@dataclass(frozen=True)
class AveragePool(Layer):
    kernel: Pair

    def shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *_windows(self.name, inputs[0], self.kernel, self.kernel, (0, 0)))


@dataclass(frozen=True)
class Add(Layer):
    def shape(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) > 1:
            raise GraphError(f"{self.name}: adds up shapes {inputs}; they must be equal")
        return inputs[0]


@dataclass(frozen=True)
class Concat(Layer):
    def shape(self, *inputs: Shape) -> Shape:
        if len({shape[1:] for shape in inputs}) > 1:
            raise GraphError(f"{self.name}: joins shapes {inputs}; heights and widths must be equal")
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])


@dataclass(frozen=True)
class Flatten(Layer):
    def shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)


@dataclass(frozen=True)
class Upsample(Layer):
    """Each pixel is repeated ``factor`` times in both directions."""

    factor: int

    def shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *(size * self.factor for size in inputs[0][1:]))


@dataclass(frozen=True)
class PixelShuffle(Layer):
    """factor ** 2 channels become the pixels of a square."""

    factor: int

    def shape(self, *inputs: Shape) -> Shape:
        if inputs[0][0] % self.factor**2:
            raise GraphError(f"{self.name}: {inputs[0][0]} channels are no multiple of {self.factor**2}")
        return (inputs[0][0] // self.factor**2, *(size * self.factor for size in inputs[0][1:]))


@dataclass(frozen=True)
class Input:
    """Reals from ``low`` to ``high``, which the model brings to 0..1 or, signed, to -1..1 for its input quantizer.

    narrow: signed codes are symmetric, so that 1 is one of them; else they are a fixed point in [-1, 1).
    """

    shape: Shape
    high: float
    low: float = 0.0
    signed: bool = False
    narrow: bool = True


@dataclass(frozen=True)
class Network:
    """Layers in order of evaluation; the result of the last one is the network's.

    normalized: batch normalization follows the layers with weights, but for the last one; if not, convolutions have a
    learned factor and term per channel instead, which keep the brightness that a batch's statistics take away, and
    start by copying their input, which the network then improves on. biased: the last layer with weights, behind which
    there is no normalization, has a term per channel.
    """

    family: str
    input: Input
    layers: tuple[Layer, ...]
    normalized: bool = True
    biased: bool = False

    @property
    def weighted(self) -> tuple[Weighted, ...]:
        """The layers with weights."""
        return tuple(layer for layer in self.layers if isinstance(layer, Weighted))

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations with a quantizer of their own."""
        return tuple(layer for layer in self.layers if isinstance(layer, Activation) and layer.shares is None)

    def sources(self) -> dict[str, tuple[str, ...]]:
        """By layer, whose results it takes; "" is the network's input."""
        before = ["", *(layer.name for layer in self.layers)]
        return {layer.name: layer.sources or (before[index],) for index, layer in enumerate(self.layers)}

    def shapes(self) -> dict[str, Shape]:
        """The shape of each layer's result, and of the input as ""."""
        shapes, sources = {"": self.input.shape}, self.sources()
        for layer in self.layers:
            shapes[layer.name] = layer.shape(*(shapes[name] for name in sources[layer.name]))
        return shapes

    def padded(self) -> str | None:
        """The first layer that needs zeros around its input, if any."""
        for layer in self.weighted:
            edges = layer.kernel != layer.stride if isinstance(layer, ConvTranspose) else any(_padding(layer))
            if edges:
                return layer.name
        return None


def _padding(layer: Weighted) -> Pair:
    return (0, 0) if isinstance(layer, Dense) else layer.padding


def _windows(name: str, shape: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    rows, columns = (
        (size + 2 * pad - extent) // step + 1 for size, extent, step, pad in zip(shape[1:], kernel, stride, padding)
    )
    if min(rows, columns) < 1:
        raise GraphError(f"{name}: its kernel {kernel} is larger than the {shape[1]}x{shape[2]} pixels that come in")
    return rows, columns
