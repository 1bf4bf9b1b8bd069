"""Recipes for users' own networks: what the data sets give them, and what a task wants of them."""

from math import prod

from ..errors import GraphError
from .bits import FLOAT
from .networks.coupling import find_couplings
from .networks.layers import Input, Network, Shape
from .recipes import Recipe

CLASSES = 10  # of every data set with labels
INPUTS = {
    "digits": Input((1, 8, 8), high=255.0),
    "mnist": Input((1, 28, 28), high=255.0),
    "cifar10": Input((3, 32, 32), high=255.0),
    "fsdd": Input((1, 49, 10), low=-1.0, high=1.0, signed=True),
    "superres": Input((1, 32, 32), high=255.0),
}
"""What each data set brings."""

TASKS = {
    "classify": ("digits", "mnist", "cifar10", "fsdd"),
    "copy": ("digits", "mnist", "cifar10"),
    "segment": ("digits", "mnist", "cifar10"),
    "enlarge": ("superres", "digits"),
}
"""The data sets that each task can be trained on."""

MARGIN = 8  # pixels at the edge of an enlarged tile that its score leaves out


def find_input(dataset: str | None, task: str) -> Input:
    """What ``dataset`` brings to a network; raises GraphError for unknown names and what does not go together."""
    if task not in TASKS:
        raise GraphError(f"--task: {task!r} was given; known tasks: {', '.join(TASKS)}")
    if dataset is None or dataset not in TASKS[task]:
        given = "is missing" if dataset is None else f"{dataset!r} was given"
        raise GraphError(f"--dataset: {given}; for the task {task} it is one of {', '.join(TASKS[task])}")
    return INPUTS[dataset]


def own_recipe(network: Network, *, name: str, dataset: str, task: str) -> Recipe:
    """A recipe with real weights and activations, 8-bit inputs and a short training from the network's own weights.

    Raises GraphError where the network's outputs are not what the task compares.
    """
    shape = network.shapes()[network.layers[-1].name]
    _check_outputs(name, shape, network.input.shape, task)
    return real_recipe(network, name=name, dataset=dataset, task=task)


def real_recipe(network: Network, *, name: str, dataset: str, task: str) -> Recipe:
    """The same, whatever the outputs are."""
    return Recipe(
        name=name,
        help=f"{len(network.weighted)} layers with weights on {dataset}",
        network=network,
        dataset=dataset,
        task=task,
        input_bits=8,
        weight_bits=(FLOAT,) * len(network.weighted),
        activation_bits=(FLOAT,) * len(network.activations),
        per_channel=True,
        keep=tuple(coupling.channels for coupling in find_couplings(network)),
        images=None,
        epochs=10,
        batch_size=64,
        learning_rate=0.001,
        margin=MARGIN if dataset == "superres" else 0,
    )


def _check_outputs(name: str, shape: Shape, given: Shape, task: str) -> None:
    if task == "classify" and shape != (CLASSES,):
        raise GraphError(f"{name}: returns {shape} for an image; to classify, {(CLASSES,)} is needed, one per class")
    if task in ("copy", "segment") and shape != given:
        raise GraphError(f"{name}: returns {shape} for an image; to {task}, {given} is needed, as it comes in")
    if task == "enlarge":
        factor = max(1, round((prod(shape) / prod(given)) ** 0.5))
        wanted = given[0], given[1] * factor, given[2] * factor
        if shape != wanted or factor == 1:
            raise GraphError(f"{name}: returns {shape} for an image; to enlarge, a whole multiple of {given} is needed")
