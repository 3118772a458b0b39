"""Tests of hypotheses in closed form."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout.findings.significance import chi_square_survival, homogeneity_p, select_discoveries, two_sided_p


@pytest.mark.parametrize(("z", "p"), [(0.0, 1.0), (1.959963984540054, 0.05), (-2.5758293035489004, 0.01)])
def test_two_sided_p(z, p):
    assert two_sided_p(z) == pytest.approx(p)


def test_the_example_of_benjamini_and_hochberg():
    """Their 1995 paper, section 4.1: at 5 % the first four of fifteen are rejected."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
        0.7590, 1.0,
    ]  # fmt: skip
    assert select_discoveries(p_values) == (True,) * 4 + (False,) * 11


def test_a_larger_p_under_its_line_carries_the_smaller_ones_over_theirs():
    assert select_discoveries([0.04, 0.045]) == (True, True)
    assert select_discoveries([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_what_is_found_is_always_under_5_per_cent_and_downward_closed(p_values):
    found = select_discoveries(p_values)
    for p, hit in zip(p_values, found, strict=True):
        if hit:
            assert p <= 0.05
            assert all(other for q, other in zip(p_values, found, strict=True) if q <= p)


@pytest.mark.parametrize(
    ("value", "degrees", "p"),
    [
        (3.841458820694124, 1, 0.05),
        (5.991464547107979, 2, 0.05),
        (7.814727903251179, 3, 0.05),
        (18.307038053275146, 10, 0.05),
        (13.815510557964274, 2, 0.001),
        (0.0, 4, 1.0),
        (-1.0, 4, 1.0),
    ],
)
def test_chi_square_against_printed_tables(value, degrees, p):
    assert chi_square_survival(value, degrees=degrees) == pytest.approx(p)


@given(value=st.floats(0, 3000), degrees=st.integers(1, 80), more=st.floats(0, 50))
def test_chi_square_survival_is_a_falling_probability(value, degrees, more):
    first = chi_square_survival(value, degrees=degrees)
    assert 0.0 <= chi_square_survival(value + more, degrees=degrees) <= first + 1e-12 <= 1.0 + 1e-12
    assert chi_square_survival(value, degrees=degrees + 1) >= first - 1e-12


def test_great_values_do_not_underflow_on_the_way():
    assert chi_square_survival(1800.0, degrees=1700) == pytest.approx(0.045, abs=0.01)


def test_profile_statistic_by_hand():
    """Changes 1, 2, 6, variance 2: mean 3, squares 4 + 1 + 9 = 14, over 2 gives 7 with 2 degrees: exp(-3.5)."""
    assert homogeneity_p([1.0, 2.0, 6.0], [2.0, 2.0, 2.0]) == pytest.approx(math.exp(-3.5))


def test_profile_does_not_see_a_change_that_all_rows_share():
    assert homogeneity_p([5.0, 5.0, 5.0], [1.0, 1.0, 1.0]) == 1.0


def test_profile_needs_two_rows():
    assert homogeneity_p([5.0], [1.0]) is None
