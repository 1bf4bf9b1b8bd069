"""A plan and its design, such that what timing adds to it, deeper queues above all, fits into the limits as well."""

from dataclasses import dataclass
from math import ceil

from ..errors import PlanError
from .budget import KINDS, NAMES, Spent, spent
from .choose import Chosen
from .design import Design, generate
from .estimate import estimate, total
from .planning import Planning
from .resources import Resources

ROUNDS = 10
"""How often a plan is made again, with limits lower by the most that a design before took beyond its plan."""


@dataclass(frozen=True)
class Fitted:
    """planning: with limits as low as they had to be for the choice; stages: what each of the design is predicted to
    take; spent: together."""

    planning: Planning
    chosen: Chosen
    design: Design
    stages: dict[str, Resources]
    spent: Spent


def fit(planning: Planning, fps: float | None = None) -> Fitted:
    """The plan for ``fps``, else the fastest; raises PlanError where none fits."""
    limits, tried, most, least = planning.budget, planning, dict.fromkeys(KINDS, 0), 0
    for _ in range(ROUNDS):
        chosen, design = _design(tried, fps, least)
        stages = estimate(design, limits.family)
        taken = spent(total(stages), limits.family)
        over = limits.exceeded(taken)
        if not over:
            return Fitted(tried, chosen, design, stages, taken)
        most = {kind: max(more, getattr(taken, kind) - getattr(chosen.spent, kind)) for kind, more in most.items()}
        tried, least = planning.lowered(Spent(**most)), 0 if fps else chosen.cycles
    lacking = " and ".join(f"{ceil(more):,} {NAMES[kind]}" for kind, more in over.items())
    raise PlanError(
        f"the plan of {planning.describe(chosen)} fits but for its queues, which take {lacking} too many; give more of "
        "the device (--fill, --budget-...), or lower --fps"
    )


def _design(planning: Planning, fps: float | None, least: int) -> tuple[Chosen, Design]:
    """The choice for ``fps``, else the fastest, of ``least`` cycles per frame, and its design.

    Stages that no option tells of, such as converters and joins, may be slower than all that was chosen. Their beats
    are those of their neighbours, so that a faster choice makes them faster too; the first one stays if none does.
    """
    chosen = planning.fastest(least) if fps is None else planning.at_rate(fps)
    first = chosen, generate(planning.graph, planning.plan_of(chosen))
    if fps is None:
        return first
    found, most = first, planning.cycles_for(fps)
    while (slots := _slots(found[1])) > most:
        before = found[0].cycles
        # Not slower than the fastest that there is, unless this was it.
        aim = min(before - 1, max(before * most // slots, planning.chooser.levels[0]))
        if (chosen := planning.chooser.choose(aim)) is None:
            return first
        found = chosen, generate(planning.graph, planning.plan_of(chosen))
    return found


def _slots(design: Design) -> int:
    """Of the slowest stage."""
    return max(schedule.slots for schedule in design.schedules.values())
