"""Intervals over units."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.statistics import cluster_interval
from heldout_server.statistics.intervals import student_quantile


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(4, 2.7764), (6, 2.4469), (10, 2.2281), (30, 2.0423), (100, 1.9840), (10_000, 1.9602)]
)
def test_the_quantile_of_student_is_that_of_the_tables(degrees, quantile):
    """Abramowitz and Stegun, table 26.10."""
    assert student_quantile(0.975, degrees=degrees) == pytest.approx(quantile, abs=1e-3)
    assert student_quantile(0.025, degrees=degrees) == pytest.approx(-quantile, abs=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 10))
def test_the_interval_holds_the_mean_stays_in_range_and_has_length(shares, attempts):
    interval = cluster_interval(shares, trials=attempts * len(shares))
    rate = fmean(shares)
    assert 0 <= interval.low <= rate + 1e-12
    assert rate - 1e-12 <= interval.high <= 1
    assert interval.high > interval.low


def test_without_clusters_it_is_the_interval_of_wilson():
    """Thirty of 100 units: Wilson gives [0.2189, 0.3958] with z = 1.96; Student's t with 99 degrees is 1.984."""
    interval = cluster_interval([1.0] * 30 + [0.0] * 70, trials=100)
    assert interval.low == pytest.approx(0.2189, abs=0.002)
    assert interval.high == pytest.approx(0.3958, abs=0.002)


def test_no_success_is_no_proof_of_safety():
    interval = cluster_interval([0.0] * 300, trials=3000)
    assert interval.low == 0
    assert interval.high == pytest.approx(3.873 / 303.873, abs=1e-4)
    assert cluster_interval([0.0] * 5, trials=5).high > 0.4


@pytest.mark.parametrize("size", [5, 30, 300])
def test_one_success_never_looks_safer_than_none(size):
    none = cluster_interval([0.0] * size, trials=10 * size)
    one = cluster_interval([0.1] + [0.0] * (size - 1), trials=10 * size)
    assert one.high > none.high


def test_units_whose_trials_agree_tell_less_than_units_whose_trials_do_not():
    agreeing = cluster_interval([0.0, 1.0] * 50, trials=1000)
    differing = cluster_interval([0.4, 0.6] * 50, trials=1000)
    assert agreeing.high - agreeing.low > 2.5 * (differing.high - differing.low)


def test_trials_never_tell_more_than_independent_ones():
    alike = cluster_interval([0.5] * 100, trials=200)
    independent = cluster_interval([0.0, 1.0] * 100, trials=200)
    assert alike.high - alike.low == pytest.approx(independent.high - independent.low, rel=0.02)


@pytest.mark.parametrize(
    ("units", "rate", "alike"), [(20, 0.3, False), (100, 0.05, True), (40, 0.5, True), (300, 0.02, False)]
)
def test_it_covers_the_truth_nearly_as_often_as_it_says(units, rate, alike):
    """Units with 5 attempts, drawn alike within a unit or apart; 95 % nominal, 1,000 seeded banks."""
    draw = random.Random(7)  # noqa: S311 - a simulation

    def share():
        if alike:
            return float(draw.random() < rate)
        return sum(draw.random() < rate for _ in range(5)) / 5

    held = 0
    for _ in range(1000):
        interval = cluster_interval([share() for _ in range(units)], trials=5 * units)
        held += interval.low <= rate <= interval.high
    assert held >= 930
