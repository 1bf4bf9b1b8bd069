"""Who chooses the points: nobody in a grid, which is queued as a whole; else one of Optuna's samplers."""

from typing import Any

from .settings import Exploration

FEWEST = 4


def make_sampler(exploration: Exploration, number: int) -> Any:
    """The sampler of the trial of that ``number``, seeded for it, so that a search goes on as if it never stopped."""
    from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

    seed = (exploration.seed * 1_000_003 + number) % 2**32
    if exploration.sampler == "tpe":
        # A quarter at random before it begins to learn, as far as Optuna would go.
        return TPESampler(seed=seed, n_startup_trials=min(10, max(FEWEST, exploration.trials // 4)))
    if exploration.sampler == "nsga2":
        # With Optuna's generations of 50 a usual search would end within the first, which is random.
        return NSGAIISampler(seed=seed, population_size=min(50, max(FEWEST, exploration.trials // 5)))
    return RandomSampler(seed)
