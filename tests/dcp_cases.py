"""Small networks of every kind, random data for them, and what discrimination-aware pruning makes of them."""

from dataclasses import replace

import numpy as np
import torch

from espalier.quant.data import Dataset
from espalier.quant.model import QuantNetwork
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.layers import Input
from espalier.quant.networks.mlp import mlp
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.pruning.dcp import dcp
from espalier.quant.pruning.dcp_options import DcpOptions
from espalier.quant.recipes import find_recipe

CHAIN = cnn(Input((1, 8, 8), high=1.0), (4, 6, 5), classes=3)
NETWORKS = {  # recipes of the same task, small networks, channels to keep
    "chain": ("digits-cnn", CHAIN, (2, 3, 4)),
    "perceptron": ("digits-mlp", mlp(Input((64,), high=1.0), (7, 5), 3, signed=False), (3, 4)),
    "flattened": ("cnv-w1a1", cnv(2), (1, 2, 2, 3, 5, 8, 4, 3)),
    "residual": ("resnet8", resnet8(4), (3, 2, 5, 7, 8, 9)),
    "depthwise": ("ds-cnn", ds_cnn(6), (5, 2, 3, 1, 4)),
    "transposed": ("autoencoder", autoencoder(4, 3), (3, 5, 2, 6, 2)),
    "joined": ("unet", unet(4), (2, 5, 9, 3, 4, 2, 3)),
    "shuffled": ("espcn", espcn(2, 8, 8), (5, 3)),
}
FAST = DcpOptions(
    auxiliary_epochs=1, selection_images=12, selection_steps=2, batch_size=8, channels_per_round=3, auxiliary=2
)


def recipe_of(kind):
    name, network, keep = NETWORKS[kind]
    bits = {"weight_bits": (32,) * len(network.weighted), "activation_bits": (32,) * len(network.activations)}
    return replace(find_recipe(name), network=network, keep=keep, batch_size=8, flip=False, shift=(0, 0), **bits)


def data_of(recipe, images=16, seed=0):
    """Random inputs and targets."""
    generator, given = np.random.default_rng(seed), recipe.network.input
    inputs = generator.random((images, *given.shape), np.float32) * (given.high - given.low) + given.low
    inputs = np.rint(inputs) if given.high == 255 else inputs
    target = recipe.network.shapes()[recipe.network.layers[-1].name]
    labels = generator.integers(0, target[0], images)
    targets = generator.random((images, *target), np.float32).round() if len(target) > 1 else labels
    return Dataset(inputs, targets, inputs, targets)


def model_of(recipe, seed=1):
    """A model as after some training: random norms and statistics of some batches."""
    torch.manual_seed(seed)
    model = QuantNetwork(recipe)
    for group in model.groups():
        for writer in group.writers:
            torch.nn.init.uniform_(writer.norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(writer.norm.bias, std=0.3)
    for _ in range(20):
        model(torch.from_numpy(data_of(recipe).train_inputs))
    return model.eval()


def prune(kind="chain", keep=None, options=FAST, images=16, **arguments):
    """The recipe, the pruned model and the result."""
    recipe = recipe_of(kind)
    model = model_of(recipe)
    result = dcp(model, recipe, data_of(recipe, images), recipe.keep if keep is None else keep, options, **arguments)
    return recipe, model, result
