"""What plans may take: of a device by its name, or of single resources."""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ..boards.devices import find_device
from ..errors import PlanError
from .options import PlanOptions

if TYPE_CHECKING:
    from ..boards.devices import Device
    from ..hw.budget import Budget
    from ..hw.resources import Family

DEFAULT_FILL = 0.8
"""Of a device's lookup tables: predictions are not exact, and a full device is hard to route."""


def find_budget(options: PlanOptions) -> "Budget | None":
    """None where no option names one. Block RAM and DSP blocks can be used up, lookup tables and flip-flops to the
    share of ``fill``; a number given for one of them goes before the device's."""
    from ..hw.budget import REFERENCE, Budget, Spent

    given = {"lut": options.budget_lut, "bram": options.budget_bram, "dsp": options.budget_dsp}
    limits = {kind: most for kind, most in given.items() if most is not None}
    if options.device is None:
        return replace(REFERENCE, limits=limits) if limits else None
    device = find_device(options.device)
    share = DEFAULT_FILL if options.fill is None else options.fill
    whole = Spent(device.lut, device.ff, device.bram, device.dsp)
    own = {"lut": int(device.lut * share), "ff": int(device.ff * share), "bram": device.bram, "dsp": device.dsp}
    return Budget(model_of(device), whole, own | limits)


def model_of(device: "Device") -> "Family":
    """The family whose fitted model predicts areas on ``device``."""
    # UltraScale+ is taken for 7-series, whose lookup tables have as many inputs.
    names = {"ecp5": "ecp5", "xc7": "xc7", "xcup": "xc7", "gowin": "gowin", "ice40": "ice40"}
    if device.family not in names:
        raise PlanError(
            f"{device.name}: no areas were measured for {device.family}, so that nothing can be planned for it; known: "
            f"{', '.join(names)}"
        )
    has_no_products = device.family == "ice40" and not device.dsp
    return cast("Family", "ice40-hx" if has_no_products else names[device.family])


def check_budget(options: PlanOptions) -> None:
    """Raise for budgets that mean nothing."""
    for name in ("lut", "bram", "dsp"):
        most = getattr(options, f"budget_{name}")
        if most is not None and most < 0:
            raise PlanError(f"--budget-{name} {most}: must be a number of at least 0")
    if options.fill is None:
        return
    if options.device is None:
        raise PlanError(f"--fill {options.fill:g}: of which device? Name it with --device")
    if not 0 < options.fill <= 1:
        raise PlanError(f"--fill {options.fill:g}: must be above 0 and at most 1")
