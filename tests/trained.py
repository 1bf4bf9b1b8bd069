"""A small network, trained, for tests of what is done with it."""

import torch

from espalier.quant.data import load_dataset
from espalier.quant.fit import fit
from espalier.quant.model import QuantNetwork


def train_model(recipe, folder):
    """The trained model of a recipe for digits, and the data; ``folder``: of its checkpoints."""
    dataset = load_dataset(recipe, None)
    torch.manual_seed(0)
    model = QuantNetwork(recipe)
    fit(model, recipe, dataset, folder, "")
    return model.eval(), dataset
