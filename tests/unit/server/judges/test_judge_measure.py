"""Agreement with people, checked against published figures, against simulation, and at its edges."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.judges.measure import Agreement, Pair, agree, wilson

counts = st.integers(0, 400)


def agreement(both, label_only, judge_only, neither):
    return Agreement(both=both, label_only=label_only, judge_only=judge_only, neither=neither)


def test_pairs_are_counted_each_in_its_own_cell():
    pairs = (
        [Pair(labelled=True, judged=True)] * 4
        + [Pair(labelled=True, judged=False)] * 3
        + [Pair(labelled=False, judged=True)] * 2
        + [Pair(labelled=False, judged=False), Pair(labelled=False, judged=False, decided=False)]
    )
    assert agree(pairs) == Agreement(both=4, label_only=3, judge_only=2, neither=2, undecided=1)
    assert agree(pairs).size == 11


def test_kappa_of_a_worked_example():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: agreement 0.7, by chance 0.5.
    found = agreement(20, 5, 10, 15).kappa
    assert found.value == pytest.approx(0.4)
    # The standard error by equation 13 of Fleiss, Cohen and Everitt, worked by hand: sqrt(0.016128).
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(0.016128), abs=1e-6)


def test_the_interval_of_kappa_is_as_wide_as_samples_vary():
    chances = {(True, True): 0.35, (True, False): 0.05, (False, True): 0.1, (False, False): 0.5}
    rng = random.Random(3)  # noqa: S311 - a simulation, not cryptography
    found = []
    for _ in range(600):
        drawn = rng.choices(list(chances), weights=list(chances.values()), k=300)
        found.append(agree(Pair(labelled=one, judged=other) for one, other in drawn).kappa.value)
    mean = sum(found) / len(found)
    spread = math.sqrt(sum((one - mean) ** 2 for one in found) / (len(found) - 1))
    expected = agreement(105, 15, 30, 150).kappa
    assert spread == pytest.approx((expected.high - expected.low) / 2 / 1.959964, rel=0.1)


@pytest.mark.parametrize(
    ("hits", "size", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_score_interval_of_published_examples(hits, size, low, high):
    # 81 of 263 is example 1.1 of Newcombe (1998, Statistics in Medicine 17, 857-872), method 3.
    found = wilson(hits, size)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    assert found.value == hits / size


def test_a_judge_that_always_refuses_is_accurate_and_worth_nothing():
    lazy = agreement(0, 3, 0, 97)
    assert lazy.accuracy.value == 0.97
    assert lazy.sensitivity.value == 0
    assert lazy.specificity.value == 1
    assert lazy.kappa.value == 0


@pytest.mark.parametrize(("cells", "kappa"), [((5, 0, 0, 5), 1.0), ((0, 5, 5, 0), -1.0)])
def test_perfect_agreement_and_its_opposite(cells, kappa):
    assert agreement(*cells).kappa.value == kappa


@pytest.mark.parametrize("cells", [(0, 0, 0, 0), (7, 0, 0, 0), (0, 0, 0, 7)])
def test_there_is_no_kappa_where_there_is_nothing_beyond_chance(cells):
    assert agreement(*cells).kappa is None


def test_a_measure_without_cases_is_none():
    assert agreement(0, 0, 0, 0).accuracy is None
    assert agreement(0, 0, 1, 1).sensitivity is None
    assert agreement(1, 1, 0, 0).specificity is None


@given(counts, counts, counts, counts)
def test_intervals_hold_their_figures_and_stay_in_range(both, label_only, judge_only, neither):
    one = agreement(both, label_only, judge_only, neither)
    for found, least in ((one.accuracy, 0), (one.sensitivity, 0), (one.specificity, 0), (one.kappa, -1)):
        assert found is None or least <= found.low <= found.value <= found.high <= 1
