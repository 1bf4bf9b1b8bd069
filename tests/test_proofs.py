"""The prover tells what holds from what does not, what induction cannot decide, and what holds for want of inputs."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from espalier.hw import queue
from proofs import Bench, prove, refute, with_fault

pytestmark = pytest.mark.synth


class Counter(Bench):
    """Counts from 0 to 2 and again; a count that is not reached may go anywhere."""

    def __init__(self, claim, *, reached=2, steps=1):
        self._claim, self._reached, self._steps = claim, reached, steps
        super().__init__({"step": 1})

    def elaborate(self, platform):
        m = Module()
        count = Signal(3)
        with m.If(self.step):
            m.d.sync += count.eq(Mux(count == 2, 0, count + 1))
        m.d.comb += [
            Assert(self._claim(count)),
            Assume(self.step == self._steps),
            self.reached.eq(count == self._reached),
        ]
        return m


def test_what_holds_is_proved(tmp_path):
    assert prove(Counter(lambda count: count <= 2), tmp_path, 2) == "proved"


def test_what_does_not_hold_is_refuted_with_its_inputs(tmp_path):
    bench = Counter(lambda count: count < 2)
    assert "model found for base case" in prove(bench, tmp_path, 5)
    assert "step" in refute(bench, tmp_path, 5)


def test_a_claim_that_holds_so_long_is_not_refuted(tmp_path):
    assert refute(Counter(lambda count: count < 2), tmp_path, 2) == ""


def test_what_only_follows_from_where_it_began_does_not_close(tmp_path):
    assert "induction does not close" in prove(Counter(lambda count: count != 5), tmp_path, 1)


def test_a_claim_about_what_never_happens_is_no_proof(tmp_path):
    assert "is not reached" in prove(Counter(lambda count: count <= 2, steps=0), tmp_path, 2)


def test_a_fault_needs_one_place_to_be_in():
    with pytest.raises(AssertionError, match="espalier.hw.queue: 'nonsense' stands there 0 times"):
        with_fault(queue, "nonsense", "sense")
