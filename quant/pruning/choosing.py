"""The methods that choose channels before any training of what is left: CaP and DCP."""

import torch

from ...errors import GraphError
from ..checkpoint import load_last_checkpoint, save_checkpoint
from ..train import torch_state
from .cap import cap
from .cap_search import search
from .dcp import dcp
from .dcp_options import DcpOptions
from .options import PruneOptions
from .work import State, Work, widths

HELD_SAMPLES = 1000
"""Training samples, behind those to calibrate by, on which CaP measures the score."""
AUXILIARY = 0.3
"""For how many of the retraining's epochs DCP's auxiliary losses are trained before."""
ROUNDS = 16
"""In about so many rounds DCP chooses the channels of a group."""


def check_cap(options: PruneOptions, state: State) -> None:
    if options.sparsity is not None and options.max_drop is not None:
        raise GraphError(
            "--max-drop: with --sparsity the widths are given, so that nothing is searched; give one of both"
        )
    if options.max_drop is not None and not options.max_drop >= 0:
        raise GraphError(f"--max-drop: {options.max_drop:g} was given; it must be at least 0 points")
    widths(options, state)


def run_cap(work: Work, state: State) -> State:
    """The widths asked for, or the least that cost no more than ``max_drop`` points; no training unless epochs are."""
    options = work.options
    inputs = work.samples(options.calib)
    if options.sparsity is not None:
        cap(state.model, state.recipe, inputs, keep=widths(options, state))
    else:
        held, count = slice(options.calib, options.calib + HELD_SAMPLES), len(work.dataset.train_inputs)
        if options.calib >= count:
            raise GraphError(
                f"--calib: {options.calib} of {count} training samples leave none to measure the score by; give less"
            )
        search(
            state.model,
            state.recipe,
            inputs,
            torch.from_numpy(work.dataset.train_inputs[held]).float(),
            torch.from_numpy(work.dataset.train_targets[held]),
            max_drop=1.0 if options.max_drop is None else options.max_drop,
            round_to=options.round_to,
            excluded=options.excluded or (),
            progress=lambda trial: work.tell("choose", (trial.number - 1) / trial.groups, trial),
        )
    return work.fit("retrain", state, epochs=options.epochs) if options.epochs else state


def run_dcp(work: Work, state: State) -> State:
    """Channels that help to rebuild the features and to decide, then training of what is left."""
    options, folder, keep = work.options, work.folder("choose"), widths(work.options, state)
    with torch_state(work.threads, options.seed):
        dcp(
            state.model,
            state.recipe,
            work.dataset,
            keep,
            DcpOptions(
                auxiliary_epochs=auxiliary_epochs(options),
                channels_per_round=max(1, round(max(keep) / ROUNDS)),
            ),
            lambda at: work.tell("choose", (at.part + at.done / at.total) / at.parts, at),
            on_group=lambda checkpoint: save_checkpoint(folder, checkpoint, work.digest),
            start=load_last_checkpoint(folder, work.digest),
        )
    return work.fit("retrain", state, epochs=options.epochs) if options.epochs else state


def auxiliary_epochs(options: PruneOptions) -> int:
    return max(1, round(AUXILIARY * (options.epochs or 0)))
