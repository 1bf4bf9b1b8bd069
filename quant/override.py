"""Options over recipes: values as users give them, checked against the network that they are for."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import GraphError
from .bits import BITS, FLOAT
from .networks.coupling import find_couplings
from .networks.layers import Network
from .networks.mlp import with_hidden
from .recipes import QUANTIZERS, Recipe

Numbers = str | float | Sequence[float]


def override(
    recipe: Recipe,
    *,
    hidden: Numbers | None = None,
    weight_bits: Numbers | None = None,
    activation_bits: Numbers | None = None,
    input_bits: int | None = None,
    per_channel: bool | None = None,
    prune: Numbers | None = None,
    images: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    quantizer: str | None = None,
    delays: Numbers | None = None,
    scale_groups: int | None = None,
) -> Recipe:
    """``recipe`` with the options that are not None; raises GraphError naming the option.

    Lists are given as sequences or as text ("4,4,2"); one number serves all. Bits are 1 to 8, or 32 for real numbers.
    hidden: of perceptrons only. prune: per group of coupled channels the share to remove (0.5) or, from 1 on, the
    number of channels to keep (37); 0 prunes nothing. delays: two numbers of steps, for weights and activations.
    """
    if hidden is not None:
        recipe = _with_hidden(recipe, hidden)
    network = recipe.network
    fewest = 0 if network.family == "own" else 1  # epochs: own networks may come trained
    if weight_bits is not None:
        names = [layer.name for layer in network.weighted]
        recipe = replace(recipe, weight_bits=_bits("--weight-bits", weight_bits, names, "layer"))
    if activation_bits is not None:
        names = [layer.name for layer in network.activations]
        recipe = replace(recipe, activation_bits=_bits("--activation-bits", activation_bits, names, "activation"))
    if input_bits is not None:
        recipe = replace(recipe, input_bits=_whole("--input-bits", input_bits, BITS[0], BITS[-1]))
    if prune is not None:
        groups = find_couplings(network)
        shares = _for_each("--prune", prune, [group.name for group in groups], "group of channels")
        channels = [group.channels for group in groups]
        recipe = replace(recipe, keep=tuple(map(_kept_channels, shares, channels)))
    if learning_rate is not None and not 0 < learning_rate < 10:
        raise GraphError(f"--learning-rate: {learning_rate} was given; it must be above 0 and below 10")
    plain = {
        "per_channel": per_channel,
        "images": images if images is None else _whole("--images", images, 2, 100_000_000),
        "epochs": epochs if epochs is None else _whole("--epochs", epochs, fewest, 100_000),
        "batch_size": batch_size if batch_size is None else _whole("--batch-size", batch_size, 2, 1_000_000),
        "learning_rate": learning_rate,
        "seed": seed if seed is None else _whole("--seed", seed, 0, 2**32 - 1),
    }
    recipe = replace(recipe, **{key: value for key, value in plain.items() if value is not None})
    recipe = _with_quantizer(recipe, quantizer, delays, scale_groups)
    _check_zeros(network, recipe)
    return recipe


def _with_quantizer(recipe: Recipe, quantizer: str | None, delays: Numbers | None, groups: int | None) -> Recipe:
    if quantizer is not None:
        if quantizer not in QUANTIZERS:
            raise GraphError(f"--quantizer: {quantizer!r} is unknown; give one of {', '.join(QUANTIZERS)}")
        recipe = replace(recipe, quantizer=quantizer)
    if delays is not None:
        found = _for_each("--delays", delays, ["weights", "activations"], "kind of quantizer")
        weights, activations = (_whole("--delays", value, 0, 1_000_000_000) for value in found)
        recipe = replace(recipe, delays=(weights, activations))
    if groups is not None:
        recipe = replace(recipe, scale_groups=_whole("--scale-groups", groups, 0, 65536))
    for option, value in (("--delays", any(recipe.delays)), ("--scale-groups", recipe.scale_groups)):
        if value and recipe.quantizer == "learned":
            raise GraphError(f"{option}: is not for learned scales; add --quantizer statistics")
    if recipe.scale_groups and not recipe.per_channel:
        raise GraphError("--scale-groups: a layer has only one scale per tensor; add --per-channel")
    return recipe


def _with_hidden(recipe: Recipe, hidden: Numbers) -> Recipe:
    if recipe.network.family != "mlp":
        raise GraphError(
            f"--hidden: {recipe.name} is no perceptron, its layers have fixed channels; leave it out, or make it "
            "narrower with --prune"
        )
    widths = tuple(_whole("--hidden", value, 1, 65536) for value in _numbers("--hidden", hidden))
    return replace(
        recipe,
        network=with_hidden(recipe.network, widths),
        keep=widths,
        weight_bits=_refit(recipe.weight_bits, len(widths) + 1),
        activation_bits=_refit(recipe.activation_bits, len(widths)),
    )


def _check_zeros(network: Network, recipe: Recipe) -> None:
    layer = network.padded()
    for option, bits in (("--input-bits", (recipe.input_bits,)), ("--activation-bits", recipe.activation_bits)):
        if layer and 1 in bits:
            raise GraphError(
                f"{option}: 1 bit means -1 and +1, but {layer} of {recipe.name} pads with zeros; give 2 to {BITS[-1]}"
            )


def _numbers(option: str, values: Numbers) -> list[float]:
    if isinstance(values, int | float):
        return [values]
    items = values.split(",") if isinstance(values, str) else list(values)
    try:
        numbers = [float(item) for item in items]
    except ValueError:
        raise GraphError(f"{option}: {values!r} is not a list of numbers such as 4 or 4,4,2") from None
    if not numbers:
        raise GraphError(f"{option}: no number was given; give one for all layers, or one per layer")
    return numbers


def _for_each(option: str, values: Numbers, names: Sequence[str], what: str) -> list[float]:
    numbers = _numbers(option, values)
    if len(numbers) not in (1, len(names)):
        raise GraphError(
            f"{option}: {len(numbers)} numbers were given; give one for all, or {len(names)}, one per {what} "
            f"({', '.join(names)})"
        )
    return numbers if len(numbers) == len(names) else numbers * len(names)


def _whole(option: str, value: float, low: int, high: int) -> int:
    if not low <= value <= high or value != int(value):
        raise GraphError(f"{option}: {value:g} was given; it must be a whole number from {low} to {high}")
    return int(value)


def _bits(option: str, values: Numbers, names: Sequence[str], what: str) -> tuple[int, ...]:
    numbers = _for_each(option, values, names, what)
    return tuple(FLOAT if value == FLOAT else _whole(option, value, BITS[0], BITS[-1]) for value in numbers)


def _refit(bits: tuple[int, ...], layers: int) -> tuple[int, ...]:
    return (bits + bits[-1:] * layers)[:layers]


def _kept_channels(share: float, channels: int) -> int:
    if 0 <= share < 1:
        return max(1, channels - round(share * channels))
    if not 1 <= share <= channels or share != int(share):
        raise GraphError(
            f"--prune: {share:g} was given for a layer of {channels} channels; give the share to remove, from 0 to "
            f"below 1, or the number of channels to keep, from 1 to {channels}"
        )
    return int(share)
