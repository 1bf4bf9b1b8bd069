"""From rate to rate: the plans that no other one beats in rate and area, and what the next step up takes."""

from typing import Any

from .budget import KINDS
from .choose import Chosen
from .planning import Planning

STEP = 1.1
"""Between the rates of a front: steps closer together would tell nothing new."""


def find_front(planning: Planning) -> list[Chosen]:
    """From the fastest that the budgets allow to the smallest plan there is; each the least area at its rate, and at
    least ``STEP`` times as fast as the next one."""
    front = [planning.fastest()]
    cycles, slowest = front[0].cycles, planning.chooser.levels[-1]
    while cycles < slowest:
        cycles = min(slowest, int(cycles * STEP) + 1)
        found = planning.chooser.choose(cycles)
        assert found  # what fits at one rate fits at lower ones
        if found.area < front[-1].area:
            front.append(found)
    return front


def explain(planning: Planning, chosen: Chosen) -> dict[str, Any]:
    """What limits the rate, and what more would cost: the smallest step up, and twice the rate. None where there is no
    such plan, with what is missing."""
    limiting = [name for name, option in chosen.options.items() if option.fold.cycles == chosen.cycles]
    steps = {"next_step": chosen.cycles - 1, "twice_as_fast": chosen.cycles // 2}
    return {
        "limited_by": limiting,
        "is_best": chosen.is_best,
        "steps": {name: step_to(planning, chosen, cycles) for name, cycles in steps.items()},
    }


def step_to(planning: Planning, chosen: Chosen, cycles: int) -> dict[str, Any]:
    """What a rate takes more than ``chosen``, and of which layers the fold changes; or why it cannot be."""
    fastest = planning.chooser.levels[0]
    if cycles < fastest:
        return {"reason": f"no fold of these layers takes fewer than {fastest:,} cycles per frame"}
    faster = planning.chooser.choose(cycles)
    if faster is None:
        return {"reason": f"the rate {planning.missing(cycles)}"}
    more = faster.spent - chosen.spent
    return {
        "cycles": faster.cycles,
        "fps": planning.fps(faster.cycles),
        "more": {kind: getattr(more, kind) for kind in KINDS},
        "layers": [name for name, option in faster.options.items() if option.layer != chosen.options[name].layer],
    }


def front_rows(planning: Planning, front: list[Chosen]) -> list[dict[str, Any]]:
    """The front as a table: rate, cycles, resources, and their sum as shares of the device."""
    return [
        {
            "fps": planning.fps(one.cycles),
            "cycles": one.cycles,
            **{kind: getattr(one.spent, kind) for kind in KINDS},
            "share": one.area / planning.budget.device.lut,
            "limited_by": [name for name, option in one.options.items() if option.fold.cycles == one.cycles],
        }
        for one in front
    ]
