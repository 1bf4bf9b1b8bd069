"""Allocation: how many channels each group keeps, from shares that are asked for by layer or for all."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from ...errors import GraphError
from ..networks.coupling import Coupling, find_couplings
from ..networks.layers import Network


def keep_counts(
    network: Network, sparsity: float | Mapping[str, float], *, round_to: int = 1, excluded: Sequence[str] = ()
) -> tuple[int, ...]:
    """Channels that stay per coupling when the share ``sparsity`` of them goes, 0 to below 1: of all, or by name.

    Names are those of layers, or of groups, which are called after their first layer. What is not named or is excluded
    keeps all; a pruned width is the multiple of ``round_to`` nearest to what was asked for, at least one. Raises
    GraphError for unknown names, for shares out of range, and for layers that belong together but are asked for
    different shares.
    """
    if round_to < 1:
        raise GraphError(f"--round-to: {round_to} was given; it must be at least 1 channel")
    couplings = find_couplings(network)
    wanted: dict[str, dict[str, float]] = {coupling.name: {} for coupling in couplings}  # by group, then by layer
    for name in excluded:
        for coupling in _find(network, couplings, name):
            wanted[coupling.name][name] = 0.0
    if isinstance(sparsity, Mapping):
        for name, share in sparsity.items():
            _request(wanted, network, couplings, name, _share(name, share))
    else:
        share = _share("every layer", sparsity)
        for coupling in couplings:
            wanted[coupling.name] = wanted[coupling.name] or {coupling.name: share}
    return tuple(_width(coupling, wanted[coupling.name], round_to) for coupling in couplings)


def _request(
    wanted: dict[str, dict[str, float]], network: Network, couplings: Sequence[Coupling], name: str, share: float
) -> None:
    found = _find(network, couplings, name)
    if not found and share:
        raise GraphError(
            f"{name}: its channels are the network's outputs or coupled with them, so they stay; leave it out"
        )
    for coupling in found:
        for other, before in wanted[coupling.name].items():
            if before != share:
                raise GraphError(
                    f"{other} and {name}: their channels go together, but the shares {before:g} and {share:g} of them "
                    "were asked for; give both the same"
                )
        wanted[coupling.name][name] = share


def _find(network: Network, couplings: Sequence[Coupling], name: str) -> list[Coupling]:
    """The groups of the layer ``name``; none where its channels stay."""
    check_layer(name, [layer.name for layer in network.weighted])
    return [coupling for coupling in couplings if name in {place.layer for place in coupling.writers}]


def check_layer(name: str, layers: Sequence[str]) -> None:
    """Raise GraphError unless ``name`` is one of ``layers``, those with weights."""
    if name not in layers:
        (nearest,) = get_close_matches(name, layers, n=1, cutoff=0)
        raise GraphError(f"{name}: is no layer with weights; the nearest name is {nearest}, of {', '.join(layers)}")


def _share(name: str, share: float) -> float:
    if not 0 <= share <= 1:
        raise GraphError(f"sparsity of {name}: {share:g} was given; it must be a share of its channels, 0 to below 1")
    return share


def _width(coupling: Coupling, shares: Mapping[str, float], round_to: int) -> int:
    share = max(shares.values(), default=0.0)
    if share == 0:
        return coupling.channels
    if share == 1:
        raise GraphError(
            f"{coupling.name}: sparsity 1 leaves none of its {coupling.channels} channels; give less, or take the "
            "layer out of the network"
        )
    wanted = coupling.channels * (1 - share)
    widths = range(round_to, coupling.channels + 1, round_to)
    return min(widths, key=lambda width: (abs(width - wanted), -width), default=coupling.channels)
