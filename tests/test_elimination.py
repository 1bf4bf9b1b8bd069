from itertools import product

import elimination
import numpy as np
import pytest
from elimination import choose_cheapest


def random_problem(seed, things=6, links=8):
    rng = np.random.default_rng(seed)
    alone = {f"t{i}": [int(c) << 60 for c in rng.integers(0, 9, rng.integers(1, 4))] for i in range(things)}
    pairs = {}
    for _ in range(links):
        one, other = (f"t{i}" for i in sorted(rng.choice(things, 2, replace=False)))
        pairs[one, other] = rng.integers(0, 20, (len(alone[one]), len(alone[other]))).astype(object) * (1 << 60)
    return alone, pairs


def cost(alone, pairs, chosen):
    singles = sum(costs[chosen[name]] for name, costs in alone.items())
    return singles + sum(costs[chosen[one], chosen[other]] for (one, other), costs in pairs.items())


@pytest.mark.parametrize("seed", range(30))
def test_no_choice_is_cheaper(seed):
    alone, pairs = random_problem(seed)
    every = [dict(zip(alone, options)) for options in product(*(range(len(costs)) for costs in alone.values()))]
    best = min(cost(alone, pairs, chosen) for chosen in every)
    assert cost(alone, pairs, choose_cheapest(alone, pairs)) == best


def test_long_chain_takes_no_time():
    alone = {f"t{i}": [0, 1, 2] for i in range(300)}
    pairs = {(f"t{i}", f"t{i + 1}"): np.array(1 - np.eye(3), object) for i in range(299)}
    assert set(choose_cheapest(alone, pairs).values()) == {0}


def test_too_large_a_table_still_gives_a_choice(monkeypatch):
    monkeypatch.setattr(elimination, "LARGEST_TABLE", 8)
    alone, pairs = random_problem(3, links=14)
    assert choose_cheapest(alone, pairs).keys() == alone.keys()
