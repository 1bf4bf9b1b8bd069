"""Recipes: which model is trained, how, and on what; a recipe with options applied is the record of a run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from ..errors import GraphError

BITS = range(1, 9)
Numbers = str | float | Sequence[float]


@dataclass(frozen=True)
class Recipe:
    """A multi-layer perceptron and its training.

    Layers have the widths (inputs, *hidden, classes); ``weight_bits`` has one entry per layer, ``activation_bits`` and
    ``keep`` (channels left after pruning) one per hidden layer. One bit means bipolar, -1 or +1. Signed activations
    are clipped to -1..1, unsigned ones are ReLUs with a learned scale. ``peak`` is the largest value of an input.
    """

    name: str
    help: str
    dataset: str
    inputs: int
    peak: float
    hidden: tuple[int, ...]
    classes: int
    input_bits: int
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    signed: bool
    per_channel: bool
    keep: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    def record(self) -> dict[str, object]:
        """Every option as a JSON value, but for the help text."""
        values = asdict(self)
        del values["help"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _tfc(name: str, weight_bits: int, activation_bits: int, help: str) -> Recipe:
    return Recipe(
        name=name,
        help=help,
        dataset="mnist",
        inputs=784,
        peak=1.0,
        hidden=(64, 64, 64),
        classes=10,
        input_bits=activation_bits,
        weight_bits=(weight_bits,) * 4,
        activation_bits=(activation_bits,) * 3,
        signed=True,
        per_channel=False,
        keep=(64, 64, 64),
        epochs=60,
        batch_size=256,
        learning_rate=0.01,
        seed=0,
    )


_ALL = (
    Recipe(
        name="digits-mlp",
        help="64-64-48-10 on scikit-learn's 8x8 digits, 4-bit weights and activations, pruned to 64-37-24-10",
        dataset="digits",
        inputs=64,
        peak=16.0,
        hidden=(64, 48),
        classes=10,
        input_bits=4,
        weight_bits=(4, 4, 4),
        activation_bits=(4, 4),
        signed=False,
        per_channel=False,
        keep=(37, 24),
        epochs=60,
        batch_size=64,
        learning_rate=0.01,
        seed=0,
    ),
    _tfc("tfc-w1a1", 1, 1, "784-64-64-64-10 on MNIST, bipolar weights and activations"),
    _tfc("tfc-w1a2", 1, 2, "784-64-64-64-10 on MNIST, bipolar weights, 2-bit activations"),
    _tfc("tfc-w2a2", 2, 2, "784-64-64-64-10 on MNIST, 2-bit weights and activations"),
)
RECIPES = {recipe.name: recipe for recipe in _ALL}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; raises GraphError listing the known ones."""
    if name not in RECIPES:
        raise GraphError(f"unknown recipe {name!r}; known recipes: {', '.join(RECIPES)}")
    return RECIPES[name]


def override(
    recipe: Recipe,
    *,
    hidden: Numbers | None = None,
    weight_bits: Numbers | None = None,
    activation_bits: Numbers | None = None,
    input_bits: int | None = None,
    per_channel: bool | None = None,
    prune: Numbers | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
) -> Recipe:
    """``recipe`` with the options that are not None; raises GraphError naming the option.

    Lists are given as sequences or as text ("4,4,2"); one number serves every layer. prune: per hidden layer the share
    of channels to remove (0.5) or, from 1 on, the number of channels to keep (37); 0 prunes nothing.
    """
    if hidden is not None:
        widths = tuple(_whole("--hidden", value, 1, 65536) for value in _numbers("--hidden", hidden))
        recipe = replace(recipe, hidden=widths, keep=widths)
        recipe = replace(recipe, weight_bits=_refit(recipe.weight_bits, len(widths) + 1))
        recipe = replace(recipe, activation_bits=_refit(recipe.activation_bits, len(widths)))
    layers = len(recipe.hidden)
    if weight_bits is not None:
        recipe = replace(recipe, weight_bits=_bits("--weight-bits", weight_bits, layers + 1))
    if activation_bits is not None:
        recipe = replace(recipe, activation_bits=_bits("--activation-bits", activation_bits, layers))
    if input_bits is not None:
        recipe = replace(recipe, input_bits=_whole("--input-bits", input_bits, BITS[0], BITS[-1]))
    if prune is not None:
        shares = _per_layer("--prune", prune, layers)
        recipe = replace(recipe, keep=tuple(map(_kept_channels, shares, recipe.hidden)))
    if learning_rate is not None and not 0 < learning_rate < 10:
        raise GraphError(f"--learning-rate: {learning_rate} was given; it must be above 0 and below 10")
    plain = {
        "per_channel": per_channel,
        "epochs": epochs if epochs is None else _whole("--epochs", epochs, 1, 100_000),
        "batch_size": batch_size if batch_size is None else _whole("--batch-size", batch_size, 2, 1_000_000),
        "learning_rate": learning_rate,
        "seed": seed if seed is None else _whole("--seed", seed, 0, 2**32 - 1),
    }
    return replace(recipe, **{key: value for key, value in plain.items() if value is not None})


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


def _per_layer(option: str, values: Numbers, layers: int) -> list[float]:
    numbers = _numbers(option, values)
    if len(numbers) not in (1, layers):
        raise GraphError(f"{option}: {len(numbers)} numbers were given; give one for all, or {layers}, one per layer")
    return numbers if len(numbers) == layers else numbers * layers


def _whole(option: str, value: float, low: int, high: int) -> int:
    if not low <= value <= high or value != int(value):
        raise GraphError(f"{option}: {value:g} was given; it must be a whole number from {low} to {high}")
    return int(value)


def _bits(option: str, values: Numbers, layers: int) -> tuple[int, ...]:
    return tuple(_whole(option, value, BITS[0], BITS[-1]) for value in _per_layer(option, values, layers))


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
