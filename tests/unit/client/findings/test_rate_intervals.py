"""The intervals of published rates: their formulas, and how often they hold what is true."""

import math
import random

import pytest
from client_fakes import make_table
from hypothesis import given
from hypothesis import strategies as st

from heldout.findings.intervals import (
    Z95,
    Interval,
    clamp,
    estimate_overall,
    estimate_row,
    noise_interval,
    sampling_interval,
)
from heldout.findings.model import Row, TableKind

RATES = st.floats(-0.3, 1.3)
UNITS = st.integers(5, 5000)
SPREADS = st.floats(0.0, 0.2)


def is_in_set(p, rate, *, units, variance, slack=1e-9):
    """The definition itself, with no sampling variance outside [0, 1]."""
    distance = max(0.0, abs(rate - p) - 0.5 / units)
    return distance**2 <= Z95**2 * (max(0.0, p * (1 - p)) / units + variance) + slack


def test_noise_alone_gives_the_figure_of_the_published_table():
    """Sigma 7.75 over 300 units is 5.1 points."""
    interval = noise_interval(0.4, variance=(7.75 / 300) ** 2)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.0506, abs=5e-4)


def test_noise_and_sampling_give_the_figure_of_the_published_table():
    """7.6 points at 300 units, for a rate of one half; the half unit adds 0.17."""
    interval = sampling_interval(0.5, units=300, variance=(7.75 / 300) ** 2)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.076 + 0.0017, abs=1e-3)


def test_an_interval_without_noise_is_the_score_interval_with_a_half_unit():
    """Solved by hand: n = 4, published 0.5, so 0.125 off each side: (0.375 - p)² = z²·p(1 - p)/4 for the lower end."""
    low = sampling_interval(0.5, units=4, variance=0.0).low
    assert (0.375 - low) ** 2 == pytest.approx(Z95**2 * low * (1 - low) / 4)
    assert low == pytest.approx(0.0917, abs=5e-4)


@given(rate=RATES, units=UNITS, spread=SPREADS)
def test_the_ends_are_where_the_set_ends(rate, units, spread):
    variance = spread * spread
    interval = sampling_interval(rate, units=units, variance=variance)
    step = 1e-4
    for end, outward in ((interval.low, -step), (interval.high, step)):
        assert is_in_set(end, rate, units=units, variance=variance)
        assert not is_in_set(end + outward, rate, units=units, variance=variance, slack=0.0)


@given(rate=RATES, units=UNITS, spread=SPREADS)
def test_the_interval_holds_the_published_rate_and_more_than_noise_alone(rate, units, spread):
    wide = sampling_interval(rate, units=units, variance=spread * spread)
    narrow = noise_interval(rate, variance=spread * spread)
    assert wide.low <= narrow.low <= rate <= narrow.high <= wide.high


@given(rate=RATES, more=st.floats(0.0, 0.2), units=UNITS, spread=SPREADS)
def test_the_ends_move_up_with_the_rate(rate, more, units, spread):
    variance = spread * spread
    lower, higher = (sampling_interval(each, units=units, variance=variance) for each in (rate, rate + more))
    assert higher.low >= lower.low - 1e-9
    assert higher.high >= lower.high - 1e-9


@given(rate=RATES, units=UNITS, spread=SPREADS, more=st.floats(0.0, 0.1))
def test_more_noise_never_makes_the_interval_narrower(rate, units, spread, more):
    quiet = sampling_interval(rate, units=units, variance=spread**2)
    loud = sampling_interval(rate, units=units, variance=(spread + more) ** 2)
    assert loud.low <= quiet.low + 1e-9
    assert loud.high >= quiet.high - 1e-9


@given(rate=RATES, units=UNITS, spread=SPREADS)
def test_the_interval_of_the_complement_is_turned_round(rate, units, spread):
    interval = sampling_interval(rate, units=units, variance=spread**2)
    other = sampling_interval(1 - rate, units=units, variance=spread**2)
    assert other.low == pytest.approx(1 - interval.high, abs=1e-9)


@pytest.mark.parametrize(("rate", "units", "sigma"), [(-0.5, 20, 0.0), (1.7, 5, 0.1), (40.0, 1, 0.0), (1.02, 2000, 0)])
def test_a_rate_far_outside_still_has_an_interval(rate, units, sigma):
    interval = sampling_interval(rate, units=units, variance=sigma**2)
    assert math.isfinite(interval.low)
    assert interval.low <= rate <= interval.high


def test_display_clamps_and_nothing_else_does():
    table = make_table(TableKind.TECHNIQUE, {"plain": -0.04})
    estimate = estimate_row(table, table.rows[0])
    assert estimate.rate < 0
    assert estimate.this_bank.low < 0
    assert estimate.this_bank.clamped().low == 0.0
    assert 0 <= estimate.this_bank.clamped().high <= 1


@given(rate=st.floats(-0.6, 1.6), half=st.floats(0.001, 0.3))
def test_a_shown_interval_holds_all_that_is_possible_and_never_shrinks_to_a_point(rate, half):
    shown = Interval(rate - half, rate + half).clamped()
    assert shown.low <= clamp(rate - half) <= clamp(rate + half) <= shown.high
    assert 0 <= shown.low <= clamp(rate) <= shown.high <= 1
    assert shown.high - shown.low >= half - 1e-12


@pytest.mark.parametrize(
    ("rate", "units", "sigma"), [(0.02, 30, 1.5), (0.2, 100, 4.0), (0.5, 300, 7.75), (0.97, 60, 0.0)]
)
def test_the_interval_covers_the_truth_about_95_times_in_100(rate, units, sigma):
    """The worst coverage in a simulation was 94.2 %."""
    source = random.Random(20_261_125)  # noqa: S311 - draws to be repeated
    grid = sigma / 2
    covered, draws = 0, 1500
    for _ in range(draws):
        total = sum(source.random() < rate for _ in range(units)) + source.gauss(0, sigma)
        if grid:
            total = round(total / grid) * grid
        variance = (sigma**2 + grid**2 / 12) / units**2
        interval = sampling_interval(total / units, units=units, variance=variance)
        covered += interval.low <= rate <= interval.high
    assert covered / draws >= 0.935


def test_overall_is_the_mean_with_the_noise_of_the_mean():
    table = make_table(TableKind.TECHNIQUE, {"plain": 0.1, "base64": 0.2, "persona": 0.6, "fiction": None})
    overall = estimate_overall(table)
    rates = [table.published(row) for row in table.rows[:3]]
    assert overall is not None
    assert overall.rate == pytest.approx(sum(rates) / 3)
    half_width = (overall.this_bank.high - overall.this_bank.low) / 2
    assert half_width == pytest.approx(Z95 * math.sqrt(table.noise_variance(300) / 3))


def test_overall_of_chosen_rows_alone():
    table = make_table(TableKind.TECHNIQUE, {"plain": 0.1, "persona": 0.6})
    chosen = estimate_overall(table, keys=["persona"])
    assert chosen is not None
    assert chosen.rate == table.published(table.rows[1])
    assert estimate_overall(table, keys=[]) is None


def test_noise_variance_counts_the_grid():
    table = make_table(TableKind.TECHNIQUE, {"plain": 0.1}, sigma=6.0)
    assert table.noise_variance(10) == pytest.approx((36 + 9 / 12) / 100)
    assert table.published(Row(key="x", units=10, count=-1)) == pytest.approx(-0.3)
