"""Auxiliary losses of discrimination-aware pruning: heads at even distances that solve the task from what is there."""

from torch import Tensor, nn

from ..networks.coupling import find_couplings
from ..networks.layers import Add, Conv, ConvTranspose, Dense, Network, Shape
from .dcp_options import LAYERS_PER_LOSS


class AuxiliaryHead(nn.Module):
    """Solves the task from a layer's sums, (images, ...) of ``shape``, by a linear function of ReLU(BN(sums)).

    Targets that are vectors, such as classes, are computed from the mean over all pixels. Where they are images, each
    pixel computes the square that it covers of them, so that places stay known.
    """

    def __init__(self, shape: Shape, target: Shape) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(shape[0]) if len(shape) == 1 else nn.BatchNorm2d(shape[0])
        self._is_pooled = len(shape) > len(target)
        if len(target) == 1:
            self.linear: nn.Module = nn.Linear(shape[0], target[0])
        else:
            factor = target[-1] // shape[-1]
            self.linear = nn.Sequential(nn.Conv2d(shape[0], target[0] * factor**2, 1), nn.PixelShuffle(factor))

    def forward(self, sums: Tensor) -> Tensor:
        features = self.norm(sums).relu()
        return self.linear(features.flatten(2).mean(2) if self._is_pooled else features)


def make_heads(network: Network, most: int | None) -> nn.ModuleDict:
    """Heads by the layer that they look at, see ``find_places``; None: one for each LAYERS_PER_LOSS layers."""
    most = len(network.weighted) // LAYERS_PER_LOSS if most is None else most
    shapes = network.shapes()
    target = shapes[network.layers[-1].name]
    return nn.ModuleDict({name: AuxiliaryHead(shapes[name], target) for name in find_places(network, most)})


def find_places(network: Network, most: int) -> tuple[str, ...]:
    """``most`` layers or sums for auxiliary losses, fewer if no more are fit, at even distances in layers with weights.

    Fit are those that nothing passes by, as in a residual block or beside a skip connection, and behind all readers of
    some group. Where targets are images their pixels must also be a whole multiple of the layer's.
    """
    positions = positions_of(network)
    readers = [max(positions[place.layer] for place in coupling.readers) for coupling in find_couplings(network)]
    fit = [name for name in _bottlenecks(network) if positions[name] >= min(readers) and _covers(network, name)]
    depths = {name: sum(positions[layer.name] <= positions[name] for layer in network.weighted) for name in fit}
    found = []
    for number in range(1, min(most, len(fit)) + 1):
        wanted = number * len(network.weighted) / (most + 1)
        found.append(min(set(fit) - set(found), key=lambda name: (abs(depths[name] - wanted), positions[name])))
    return tuple(sorted(found, key=positions.__getitem__))


def positions_of(network: Network) -> dict[str, int]:
    """Each layer's place in the order of evaluation; the network's input is at -1."""
    return {"": -1} | {layer.name: number for number, layer in enumerate(network.layers)}


def _bottlenecks(network: Network) -> list[str]:
    """Layers that mix channels, and sums, on whose result alone all depends that comes later."""
    positions, sources = positions_of(network), network.sources()
    found, earliest = [], len(network.layers)
    for layer in reversed(network.layers):
        if earliest == positions[layer.name] and isinstance(layer, Dense | Conv | ConvTranspose | Add):
            found.append(layer.name)
        earliest = min(earliest, *(positions[name] for name in sources[layer.name]))
    return [name for name in reversed(found) if positions[name] < positions[network.weighted[-1].name]]


def _covers(network: Network, name: str) -> bool:
    """Whether each of the layer's pixels covers a whole square of the target's, or there are none."""
    shapes = network.shapes()
    shape, target = shapes[name], shapes[network.layers[-1].name]
    if len(target) == 1:
        return True
    factors = {wanted / size for wanted, size in zip(target[1:], shape[1:])}
    return len(shape) == 3 and len(factors) == 1 and factors.pop().is_integer()
