"""Settings of each family's PLL for a wanted clock.

Ranges are those of the vendors' data sheets: Lattice FPGA-TN-02200 and the ECP5 data sheet, Lattice FPGA-TN-02052 for
iCE40, Gowin UG286 with the data sheets of GW1NR and GW2AR.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil

from ..errors import PlanError


@dataclass(frozen=True)
class Pll:
    """Settings that make ``mhz`` of a clock. parameters: of the cell; distance: of its oscillator from the middle of
    its range, in MHz."""

    mhz: float
    distance: float
    parameters: dict[str, int] = field(compare=False)


Settings = Callable[[float, float], Iterator[Pll]]
"""From the source's rate and the wanted one, in MHz, settings with clocks up to that."""


def choose_pll(family: str, source_mhz: float, wanted_mhz: float) -> Pll:
    """The settings of ``family``'s PLL (a key of PLLS) with the fastest clock that is not above the wanted one.

    Of several with the same clock that whose oscillator is nearest to the middle of its range. Raises PlanError where
    there is none.
    """
    found = list(PLLS[family](source_mhz, wanted_mhz * (1 + 1e-9)))
    if not found:
        raise PlanError(
            f"clock {wanted_mhz:g} MHz: the PLL cannot make it, nor a little less, of the board's {source_mhz:g} MHz; "
            f"choose a faster one, or {source_mhz:g}, which needs no PLL"
        )
    return min(found, key=lambda pll: (-round(pll.mhz, 6), round(pll.distance, 6)))


def _ecp5(source: float, wanted: float) -> Iterator[Pll]:
    """EHXPLLL: CLKOP is the feedback, CLKOS the clock."""
    for divide in range(1, int(source / 10) + 1):
        for multiply in range(1, 81):
            for feedback in range(1, 129):
                oscillator = source / divide * multiply * feedback
                output = ceil(oscillator / wanted)
                fits = 400 <= oscillator <= 800 and output <= 128 and 3.125 <= oscillator / output <= 400
                if fits and oscillator / feedback <= 400:
                    settings = {"CLKI_DIV": divide, "CLKFB_DIV": multiply, "CLKOP_DIV": feedback, "CLKOS_DIV": output}
                    settings |= {"CLKOP_CPHASE": feedback - 1, "CLKOS_CPHASE": output - 1}
                    yield Pll(oscillator / output, abs(oscillator - 600), settings)


# Up to which rate of the phase detector, in MHz, the code of the loop's filter.
_FILTERS = ((17, 1), (26, 2), (44, 3), (66, 4), (101, 5), (134, 6))


def _ice40(source: float, wanted: float) -> Iterator[Pll]:
    """SB_PLL40 with simple feedback."""
    for divide in range(16):
        detector = source / (divide + 1)
        if not 10 <= detector <= 133:
            continue
        code = next(code for limit, code in _FILTERS if detector < limit)
        for multiply in range(128):
            oscillator = detector * (multiply + 1)
            for shift in range(1, 7):
                clock = oscillator / 2**shift
                if 533 <= oscillator <= 1066 and 16 <= clock <= min(275, wanted):
                    settings = {"DIVR": divide, "DIVF": multiply, "DIVQ": shift, "FILTER_RANGE": code}
                    yield Pll(clock, abs(oscillator - 800), settings)


def _gowin(source: float, wanted: float, slowest: float, fastest: float) -> Iterator[Pll]:
    """RPLL: the oscillator runs ODIV_SEL times as fast as the clock."""
    for divide in range(64):
        if not 3 <= source / (divide + 1) <= 400:
            continue
        for multiply in range(64):
            clock = source / (divide + 1) * (multiply + 1)
            for output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                if slowest <= clock * output <= fastest and 3.125 <= clock <= min(fastest / 2, wanted):
                    settings = {"IDIV_SEL": divide, "FBDIV_SEL": multiply, "ODIV_SEL": output}
                    yield Pll(clock, abs(clock * output - (slowest + fastest) / 2), settings)


PLLS: dict[str, Settings] = {
    "ecp5": _ecp5,
    "ice40": _ice40,
    "GW1N-9C": lambda source, wanted: _gowin(source, wanted, 400, 1200),
    "GW2A-18C": lambda source, wanted: _gowin(source, wanted, 500, 1250),
}
