"""Recipes: which network is trained, how, and on what; a recipe with options applied is the record of a run."""

from dataclasses import dataclass, fields
from typing import Any

from ..errors import BuildError, GraphError
from .bits import FLOAT
from .networks.autoencoder import autoencoder
from .networks.cnn import cnn
from .networks.cnv import cnv
from .networks.coupling import find_couplings
from .networks.espcn import espcn
from .networks.layers import Input, Network
from .networks.mlp import mlp
from .networks.record import read_network, record_network
from .networks.resnet import resnet8
from .networks.separable import ds_cnn, mobilenet
from .networks.unet import unet
from .swis.options import Swis, read_swis

QUANTIZERS = ("learned", "statistics", "statistics-po2")
"""Learned scales; or running statistics as scales, as they are or rounded to powers of two."""

NEWER = ("quantizer", "delays", "scale_groups", "swis")
"""Options that runs of earlier versions do not know, and that are not recorded unless chosen, so that those go on."""


@dataclass(frozen=True)
class Recipe:
    """A network and its training.

    task: classify, copy, segment or enlarge. ``weight_bits`` has one entry per layer with weights, ``activation_bits``
    one per quantizer, ``keep`` (channels left after pruning) one per group of coupled channels. images: how many of the
    training set are used, from its start; None for all. flip, shift: whether images are mirrored, and by how many
    pixels (vertical, horizontal) they are moved at most, both at random. margin: pixels at the edge of an enlarged
    image that the score leaves out. quantizer: one of ``QUANTIZERS``; for statistics, delays: steps before weights, and
    before activations, are quantized in training, and scale_groups: weight scales left to a layer, 0 for all. swis: how
    weights are decomposed, if at all.
    """

    name: str
    help: str
    network: Network
    dataset: str
    task: str
    input_bits: int
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    per_channel: bool
    keep: tuple[int, ...]
    images: int | None
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    flip: bool = False
    shift: tuple[int, int] = (0, 0)
    margin: int = 0
    quantizer: str = "learned"
    delays: tuple[int, int] = (0, 0)
    scale_groups: int = 0
    swis: Swis | None = None

    @property
    def is_quantized(self) -> bool:
        """Whether all numbers are of few bits, so that hardware can be made of the network."""
        return FLOAT not in (*self.weight_bits, *self.activation_bits)

    def record(self) -> dict[str, Any]:
        """Every option as a JSON value, but for the help text, and for newer ones that nobody chose."""
        chosen = [
            field for field in fields(self) if field.name not in NEWER or getattr(self, field.name) != field.default
        ]
        values = {field.name: getattr(self, field.name) for field in chosen if field.name != "help"}
        values |= {"network": record_network(self.network)}
        values |= {"swis": self.swis.record()} if self.swis else {}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def read_recipe(record: Any, where: str) -> Recipe:
    """The recipe that ``Recipe.record`` described; raises BuildError naming ``where`` it stood."""
    names = {field.name for field in fields(Recipe)} - {"help"}
    if not isinstance(record, dict) or not names - {*NEWER} <= record.keys() <= names:
        raise BuildError(f"{where}: describes no recipe of this version of Espalier; train anew")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    swis = {"swis": read_swis(record.get("swis"), where)}
    return Recipe(**values | {"help": "", "network": read_network(record["network"], where), **swis})


def _make(
    name: str, help: str, network: Network, dataset: str, task: str, bits: tuple[int, int], input_bits: int = 8,
    *, per_channel: bool = False, keep: tuple[int, ...] | None = None, images: int | None = None, epochs: int,
    batch_size: int, learning_rate: float = 0.01, flip: bool = False, shift: tuple[int, int] = (0, 0), margin: int = 0,
) -> Recipe:  # fmt: skip
    """A recipe with the same ``bits``, (weights, activations), everywhere."""
    weight_bits, activation_bits = (bits[0],) * len(network.weighted), (bits[1],) * len(network.activations)
    channels = tuple(coupling.channels for coupling in find_couplings(network))
    return Recipe(
        name, help, network, dataset, task, input_bits, weight_bits, activation_bits, per_channel, keep or channels,
        images, epochs, batch_size, learning_rate, 0, flip, shift, margin,
    )  # fmt: skip


def _tfc(name: str, bits: tuple[int, int], help: str) -> Recipe:
    network = mlp(Input((784,), high=1.0, signed=True), (64, 64, 64), 10, signed=True)
    help = f"784-64-64-64-10 on MNIST, {help}"
    return _make(name, help, network, "mnist", "classify", bits, bits[1], epochs=60, batch_size=256)


def _cnv(name: str, bits: tuple[int, int], help: str) -> Recipe:
    help = f"CNV of BNN-PYNQ on CIFAR-10, {help}; full schedule: --images 50000 --epochs 300"
    return _make(
        name, help, cnv(), "cifar10", "classify", bits, images=10_000, epochs=10, batch_size=64, learning_rate=0.005,
        flip=True, shift=(2, 2),
    )  # fmt: skip


_ALL = (
    _make(
        "digits-mlp",
        "64-64-48-10 on scikit-learn's 8x8 digits, 4-bit weights and activations, pruned to 64-37-24-10",
        mlp(Input((64,), high=16.0), (64, 48), 10, signed=False),
        "digits", "classify", (4, 4), 4, keep=(37, 24), epochs=60, batch_size=64,
    ),
    _make(
        "digits-cnn",
        "three convolutions of 16, 32 and 32 channels on scikit-learn's 8x8 digits, 4-bit",
        cnn(Input((1, 8, 8), high=16.0), (16, 32, 32)),
        "digits", "classify", (4, 4), per_channel=True, epochs=20, batch_size=64,
    ),
    _make(
        "mnist-mlp",
        "784-128-64-10 on MNIST, 4-bit; full schedule: --images 60000 --epochs 50",
        mlp(Input((784,), high=255.0), (128, 64), 10, signed=False),
        "mnist", "classify", (4, 4), per_channel=True, images=20_000, epochs=10, batch_size=128,
    ),
    _make(
        "mnist-cnn",
        "three convolutions of 16, 32 and 32 channels on MNIST, 4-bit; full schedule: --images 60000 --epochs 50",
        cnn(Input((1, 28, 28), high=255.0), (16, 32, 32), pools=2),
        "mnist", "classify", (4, 4), per_channel=True, images=10_000, epochs=5, batch_size=64,
    ),
    _tfc("tfc-w1a1", (1, 1), "bipolar weights and activations"),
    _tfc("tfc-w1a2", (1, 2), "bipolar weights, 2-bit activations"),
    _tfc("tfc-w2a2", (2, 2), "2-bit weights and activations"),
    _cnv("cnv-w1a1", (1, 1), "bipolar weights and activations"),
    _cnv("cnv-w1a2", (1, 2), "bipolar weights, 2-bit activations"),
    _cnv("cnv-w2a2", (2, 2), "2-bit weights and activations"),
    _make(
        "resnet8",
        "ResNet-8 of MLPerf Tiny on CIFAR-10, 4-bit; full schedule: --images 50000 --epochs 200",
        resnet8(), "cifar10", "classify", (4, 4), per_channel=True, images=20_000, epochs=10, batch_size=64,
        flip=True, shift=(4, 4),
    ),
    _make(
        "ds-cnn",
        "DS-CNN of MLPerf Tiny on spoken digits, 49 x 10 cepstral features, 4-bit; full schedule: --epochs 200",
        ds_cnn(), "fsdd", "classify", (4, 4), per_channel=True, epochs=20, batch_size=50, shift=(5, 0),
    ),
    _make(
        "mobilenet",
        "MobileNet-v1 of width 0.25 on CIFAR-10, 4-bit; full schedule: --images 50000 --epochs 200",
        mobilenet(), "cifar10", "classify", (4, 4), per_channel=True, images=20_000, epochs=10, batch_size=64,
        flip=True, shift=(4, 4),
    ),
    _make(
        "autoencoder",
        "convolutional autoencoder with transposed convolutions on MNIST, 4-bit code of 7x7x4; full schedule: "
        "--images 60000 --epochs 50",
        autoencoder(), "mnist", "copy", (4, 4), images=20_000, epochs=20, batch_size=64,
    ),
    _make(
        "espcn",
        "ESPCN super-resolution x2 trained on T91, tested on Set5, 8-bit; full schedule: --epochs 300",
        espcn(), "superres", "enlarge", (8, 8), per_channel=True, epochs=20, batch_size=16, learning_rate=0.002,
        margin=8,
    ),
    _make(
        "unet",
        "U-Net that marks the digits in noisy MNIST images, 4-bit; full schedule: --images 60000 --epochs 50",
        unet(), "mnist", "segment", (4, 4), images=20_000, epochs=10, batch_size=64,
    ),
)  # fmt: skip
RECIPES = {recipe.name: recipe for recipe in _ALL}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; raises GraphError listing the known ones."""
    if name not in RECIPES:
        raise GraphError(f"unknown recipe {name!r}; known recipes: {', '.join(RECIPES)}")
    return RECIPES[name]
