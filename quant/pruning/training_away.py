"""The methods that prune while the network trains: joint, with STR's budgets, and trained rank pruning."""

from dataclasses import replace

from ...errors import GraphError
from ..bits import FLOAT
from ..fit import count_batches
from ..override import override
from ..transfer import transfer
from .criteria import find_criterion
from .options import PruneOptions
from .rank import EVERYTHING, RankRule, RankTraining, factorize
from .scheduled import ScheduledPruning
from .schedules import find_schedule
from .soft_threshold import SoftThreshold, learned_keep, sparsity_by_layer
from .work import State, Work, widths

WINDOW = (0.0, 0.4)
"""Shares of the training between which channels are dropped; the rest of it makes up for them."""
SGD_RATE = 0.1
"""The highest learning rate of STR's budget and of TRP, which train by SGD with a decay of weights."""
STR_DECAY = 2.5
"""Of STR, over all of its steps: each layer loses a fifth to two thirds of its weights, however long it trains."""


def check_joint(options: PruneOptions, state: State) -> None:
    widths(options, state)
    _check_schedule(options, state)


def run_joint(work: Work, state: State) -> State:
    """Channels go while the network trains, by any criterion on any schedule."""
    return _train_away(work, state, widths(work.options, state))


def check_str(options: PruneOptions, state: State) -> None:
    if not isinstance(options.sparsity, int | float):
        raise GraphError("--sparsity: str finds the shares of the layers by itself; give one for all channels, as 0.5")
    widths(options, state)
    _check_schedule(options, state)


def run_str(work: Work, state: State) -> State:
    """A copy learns how many weights each layer needs; then channels go in these proportions, as in joint."""
    options, overall = work.options, work.options.sparsity
    assert isinstance(overall, int | float)
    recipe = override(state.recipe, weight_bits=FLOAT, activation_bits=FLOAT)
    learner = State(transfer(state.model, recipe), recipe, state.history)
    steps = max(1, (options.epochs or 0) * count_batches(recipe, work.dataset))
    method = SoftThreshold(STR_DECAY / steps)
    learner = work.fit("budget", learner, method, epochs=options.epochs, learning_rate=SGD_RATE)
    keep = learned_keep(recipe.network, sparsity_by_layer(learner.model), overall, options.round_to)
    return _train_away(work, replace(state, history=learner.history), keep)


def check_trp(options: PruneOptions, state: State) -> None:
    _rule(options)


def run_trp(work: Work, state: State) -> State:
    """Layers train at a low rank, and each that this saves weights in becomes two."""
    options = work.options
    state = work.fit("prune", state, RankTraining(_rule(options)), epochs=options.epochs, learning_rate=SGD_RATE)
    model, recipe = factorize(state.model, state.recipe, replace(EVERYTHING, round_to=options.round_to))
    return State(model, recipe, state.history)


def _rule(options: PruneOptions) -> RankRule:
    return RankRule(1.0 if options.energy is None else options.energy, round_to=options.round_to)


def _check_schedule(options: PruneOptions, state: State) -> None:
    find_schedule(options.schedule or "")
    find_criterion(options.criterion or "").check(state.model.groups())


def _train_away(work: Work, state: State, keep: tuple[int, ...]) -> State:
    options = work.options
    criterion, schedule = find_criterion(options.criterion or ""), find_schedule(options.schedule or "")
    method = ScheduledPruning(criterion, schedule, keep, WINDOW, options.seed)
    return work.fit("prune", state, method, epochs=options.epochs)
