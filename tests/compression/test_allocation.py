"""Budgets, and how they are spread."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss.compression import Budget, allocation
from keras_dss.compression.allocation import allocate


@st.composite
def tables(draw):
    """Costs and errors of a few choices for each of a few layers, and a budget that suffices."""
    layers = draw(st.integers(1, 4))
    sizes = draw(st.lists(st.integers(1, 5), min_size=layers, max_size=layers))
    number = st.floats(0.0, 10.0)
    costs = [draw(st.lists(st.integers(1, 50), min_size=k, max_size=k)) for k in sizes]
    errors = [draw(st.lists(number, min_size=k, max_size=k)) for k in sizes]
    least = sum(map(min, costs))
    return costs, errors, least + draw(st.integers(0, 120))


def totals(costs, errors, chosen):
    picked = list(zip(costs, errors, chosen, strict=True))
    return sum(c[k] for c, _, k in picked), sum(e[k] for _, e, k in picked)


@given(tables())
@settings(deadline=None)
def test_no_choice_within_the_budget_is_better(table):
    costs, errors, budget = table
    chosen = allocate(costs, errors, budget)
    cost, error = totals(costs, errors, chosen)
    assert cost <= budget
    every = itertools.product(*(range(len(c)) for c in costs))
    pairs = [totals(costs, errors, choice) for choice in every]
    assert error == pytest.approx(min(e for c, e in pairs if c <= budget), abs=1e-12)
    assert allocate(costs, errors, budget) == chosen


@given(tables(), st.integers(0, 60))
@settings(deadline=None)
def test_a_larger_budget_is_no_worse(table, more):
    costs, errors, budget = table
    error = totals(costs, errors, allocate(costs, errors, budget))[1]
    assert totals(costs, errors, allocate(costs, errors, budget + more))[1] <= error + 1e-12


def test_equal_errors_cost_as_little_as_can_be():
    assert allocate([[5, 3, 4], [2, 1]], [[1.0, 1.0, 1.0], [0.0, 0.0]], 100) == [1, 1]


def test_many_different_costs_keep_within_the_budget(monkeypatch):
    rng = np.random.default_rng(0)
    costs = [np.sort(rng.integers(1, 10**6, 40)) for _ in range(6)]
    errors = [np.sort(rng.uniform(0, 1, 40))[::-1] for _ in range(6)]
    budget = int(sum(c[15] for c in costs))
    exact = totals(costs, errors, allocate(costs, errors, budget))
    monkeypatch.setattr(allocation, "RESOLUTION", 1 << 8)
    coarse = totals(costs, errors, allocate(costs, errors, budget))
    assert coarse[0] <= budget and exact[0] <= budget
    assert exact[1] <= coarse[1] <= 1.2 * exact[1]


def test_a_budget_that_is_too_small():
    with pytest.raises(ValueError, match="at least 5. Received: 4"):
        allocate([[2, 3], [3, 4]], [[1.0, 0.0], [1.0, 0.0]], 4)


def test_limits():
    assert Budget(states=100).limit(4000) == 100
    assert Budget(states=0.25).limit(4002) == 1000
    assert Budget(states=0.29).limit(100) == 29 and Budget(states=1 / 49).limit(49) == 1
    assert Budget(parameters=1.0).limit(4002) == 4002
    assert Budget.of(7) == Budget(states=7) and Budget.of(Budget(states=7)) == Budget(states=7)


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, "one of states and parameters. Received: states=None, parameters=None"),
        ({"states": 2, "parameters": 3}, "Received: states=2, parameters=3"),
        ({"states": 0}, "integer from 1 or a fraction in .0, 1.. Received: states=0"),
        ({"states": 1.5}, "Received: states=1.5"),
        ({"states": float("nan")}, "Received: states=nan"),
        ({"states": True}, "Received: states=True"),
        ({"parameters": -0.5}, "budget of parameters .* Received: parameters=-0.5"),
        ({"parameters": "all"}, "Received: parameters='all'"),
    ],
)
def test_budgets_that_are_none(given, message):
    with pytest.raises(ValueError, match=message):
        Budget(**given)
