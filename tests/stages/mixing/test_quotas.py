"""Quotas are exact: integers that sum to the budget, never above a limit, as near to the weights as integers are."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.mixing._quotas import (
    PhaseShare,
    Shortage,
    exact,
    largest_budget,
    natural_weights,
    normalised,
    plan_quotas,
)

GROUPS = "abcde"


def phases_of(*weights, shares=None):
    shares = shares or [1] * len(weights)
    whole = sum(map(Fraction, shares))
    return [
        PhaseShare(
            Fraction(share) / whole, normalised({g: exact(w) for g, w in zip(GROUPS, each, strict=False)})
        )
        for share, each in zip(shares, weights, strict=True)
    ]


def total(quotas):
    return sum(sum(quota.values()) for quota in quotas)


def taken(quotas, group):
    return sum(quota.get(group, 0) for quota in quotas)


def test_thirds_of_ten_sum_to_ten():
    assert plan_quotas(dict.fromkeys("abc", 100), phases_of([1, 1, 1]), 10) == [{"a": 4, "b": 3, "c": 3}]


def test_without_a_budget_all_is_taken_in_natural_proportions():
    limits = {"a": 7, "b": 11, "c": 1}
    assert plan_quotas(limits, [PhaseShare(Fraction(1), natural_weights(limits))], None) == [limits]


def test_without_a_budget_the_scarcest_group_decides():
    assert plan_quotas({"a": 10, "b": 1000}, phases_of([1, 3]), None) == [{"a": 10, "b": 30}]


def test_phases_follow_each_other():
    quotas = plan_quotas({"a": 100, "b": 100}, phases_of([1, 0], [1, 1], [0, 1], shares=[1, 2, 1]), 40)
    assert quotas == [{"a": 10, "b": 0}, {"a": 10, "b": 10}, {"a": 0, "b": 10}]


def test_too_large_a_budget_says_what_to_write():
    with pytest.raises(Shortage) as error:
        plan_quotas({"a": 3, "b": 9}, phases_of([1, 1]), 10)
    assert str(error.value) == (
        "budget 10 asks too much: 'a' may give 3 of the 5 asked. Give a budget of at most 6, raise "
        "max_epochs, or set scarce to shrink or redistribute"
    )


def test_scarce_shrink_keeps_proportions():
    assert plan_quotas({"a": 3, "b": 9}, phases_of([1, 2]), 100, "shrink") == [{"a": 3, "b": 6}]


def test_scarce_redistribute_takes_what_there_is():
    assert plan_quotas({"a": 3, "b": 9, "c": 90}, phases_of([1, 1, 2]), 60, "redistribute") == [
        {"a": 3, "b": 9, "c": 48}
    ]
    assert plan_quotas({"a": 3, "b": 9}, phases_of([1, 1]), 60, "redistribute") == [{"a": 3, "b": 9}]


def test_temperature_flattens():
    sizes = {"a": 10_000, "b": 100}
    assert natural_weights(sizes)["b"] == Fraction(1, 101)
    assert natural_weights(sizes, 2.0)["b"] == Fraction(1, 11)
    assert float(natural_weights(sizes, 1e9)["b"]) == pytest.approx(0.5)


def test_a_unit_that_rounding_lost_is_found_in_another_phase():
    phases = phases_of([1.15625, 9.0], [1.0, 0.0], shares=[Fraction(2), Fraction(5)])
    quotas = plan_quotas({"a": 154, "b": 53}, phases, None)
    assert quotas == [{"a": 6, "b": 52}, {"a": 148, "b": 0}]


def test_of_very_few_units_none_is_lost():
    phases = phases_of([1, 1], [1, 0], [0, 1], [1, 1], [0, 1], shares=[1, 2, 1, 2, 1])
    quotas = plan_quotas({"a": 1, "b": 1}, phases, None)
    assert [taken(quotas, g) for g in "ab"] == [1, 1]
    assert not quotas[1]["b"]
    assert not quotas[2]["a"] + quotas[4]["a"]


@given(
    limits=st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
    weights=st.lists(st.lists(st.floats(0, 10), min_size=5, max_size=5), min_size=1, max_size=4),
    shares=st.lists(st.floats(0.001, 9), min_size=4, max_size=4),
    budget=st.none() | st.integers(1, 10**7),
    scarce=st.sampled_from(["shrink", "redistribute"]),
)
def test_quotas_are_exact(limits, weights, shares, budget, scarce):
    names = GROUPS[: len(limits)]
    weights = [each[: len(limits)] for each in weights]
    weights = [each if any(each) else [1.0] * len(each) for each in weights]
    phases = phases_of(*weights, shares=[exact(s) for s in shares[: len(weights)]])
    held = dict(zip(names, limits, strict=True))
    quotas = plan_quotas(held, phases, budget, scarce)
    most = largest_budget(held, phases)
    assert all(quota >= 0 for each in quotas for quota in each.values())
    assert all(taken(quotas, g) <= held[g] for g in names)
    if budget is None or scarce == "shrink":
        wanted = int(most) if budget is None else min(budget, int(most))
        assert total(quotas) == wanted
        ends = [int(sum(p.share for p in phases[: k + 1]) * wanted) for k in range(len(phases))]
        assert all(abs(total(quotas[: k + 1]) - end) <= 1 for k, end in enumerate(ends))
        for phase, quota in zip(phases, quotas, strict=True):
            whole = sum(quota.values())
            assert all(abs(quota[g] - phase.weights[g] * whole) <= len(names) for g in names)
    else:
        assert total(quotas) <= budget
        assert total(quotas) == budget or all(
            taken(quotas, g) == held[g] or any(not p.weights[g] for p in phases) for g in names
        )
