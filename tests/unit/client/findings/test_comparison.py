"""Four words for a trainer."""

import dataclasses
import math

import pytest
from client_fakes import TECHNIQUES, make_release, make_table
from hypothesis import given
from hypothesis import strategies as st

from heldout.errors import NotComparable
from heldout.findings import TableKind, TrustClass, Verdict, compare_releases
from heldout.findings.compare import Z_ONE_SIDED, decide_verdict
from heldout.findings.intervals import Z95

HALF_WIDTH = Z95 * math.sqrt(2 * (7.75**2 + (7.75 / 2) ** 2 / 12)) / 300
"""Of a change of one technique row: 7.2 points at 300 units under the default policy."""


def compare(before, after, **options):
    first = make_release("v3", {**dict.fromkeys(TECHNIQUES, 0.3), **before}, **options)
    return compare_releases(first, make_release("v4", {**dict.fromkeys(TECHNIQUES, 0.3), **after}, number=2, **options))


def verdicts(comparison, kind=TableKind.TECHNIQUE):
    return {change.key: change.verdict for change in comparison.table(kind).changes}


def test_half_width_is_that_of_the_published_table():
    change = compare({}, {}).table(TableKind.TECHNIQUE).changes[0]
    assert change.half_width == pytest.approx(HALF_WIDTH)
    assert change.half_width == pytest.approx(0.072, abs=1e-3)


def test_the_four_words():
    comparison = compare(
        {"persona": 0.31, "payload-splitting": 0.401, "base64": 0.122, "many-shot": 0.229},
        {"persona": 0.432, "payload-splitting": 0.297, "base64": 0.15, "many-shot": 0.233},
    )
    found = verdicts(comparison)
    assert found["persona"] is Verdict.WORSE
    assert found["payload-splitting"] is Verdict.BETTER
    assert found["base64"] is Verdict.CANNOT_TELL
    assert found["many-shot"] is Verdict.NO_CHANGE


def test_rows_are_sorted_by_the_bound_nearest_to_zero():
    changes = (
        compare({"persona": 0.2, "base64": 0.5}, {"persona": 0.5, "base64": 0.36}).table(TableKind.TECHNIQUE).changes
    )
    assert [change.key for change in changes[:2]] == ["persona", "base64"]
    bounds = [change.nearest_bound for change in changes]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[1] == pytest.approx(0.14 - HALF_WIDTH, abs=0.02)
    assert bounds[-1] == 0.0


@given(st.floats(-5, 5))
def test_words_depend_on_the_change_in_spreads_alone(z):
    word = decide_verdict(z * 0.02, spread=0.02, significant=abs(z) > Z95)
    if z > Z95:
        assert word is Verdict.WORSE
    elif z < -Z95:
        assert word is Verdict.BETTER
    elif abs(z) < Z95 - Z_ONE_SIDED - 1e-6:
        assert word is Verdict.NO_CHANGE
    elif abs(z) > Z95 - Z_ONE_SIDED + 1e-6:
        assert word is Verdict.CANNOT_TELL


def test_worse_and_better_never_hold_zero_in_their_interval():
    for after in (0.31, 0.36, 0.372, 0.375, 0.38, 0.4, 0.6):
        for change in compare({}, {"persona": after}).table(TableKind.TECHNIQUE).changes:
            if change.verdict in {Verdict.WORSE, Verdict.BETTER}:
                assert change.interval.low * change.interval.high > 0
                assert change.nearest_bound > 0


def test_one_row_just_past_its_own_interval_is_not_news_among_many():
    """z = 2.1 is p = 0.036: significant alone, not among seven rows."""
    spread = HALF_WIDTH / Z95
    grid = 7.75 / 2 / 300
    steps = round(2.1 * spread / grid)
    change = compare({"persona": 0.31}, {"persona": 0.31 + steps * grid}).table(TableKind.TECHNIQUE).changes[0]
    assert change.key == "persona"
    assert 0.05 / 7 < change.p_value < 0.05
    assert change.verdict is Verdict.CANNOT_TELL


def test_each_release_brings_its_own_noise():
    before, after = make_release("v1", sigma=3.0), make_release("v2", sigma=4.0, number=2)
    change = compare_releases(before, after).table(TableKind.TECHNIQUE).changes[0]
    assert change.half_width == pytest.approx(Z95 * math.sqrt(9 + 2.25 / 12 + 16 + 4 / 12) / 300)


def test_profile_sees_what_the_average_hides():
    comparison = compare({"persona": 0.31, "fiction": 0.43}, {"persona": 0.43, "fiction": 0.31})
    assert comparison.overall is not None
    assert comparison.overall.verdict is Verdict.NO_CHANGE
    assert comparison.profile_changed
    assert comparison.profile_p is not None
    assert comparison.profile_p < 0.01


def test_overall_is_seen_sooner_than_its_rows():
    comparison = compare({}, dict.fromkeys(TECHNIQUES, 0.35))
    assert comparison.overall is not None
    assert comparison.overall.verdict is Verdict.WORSE
    assert set(verdicts(comparison).values()) == {Verdict.CANNOT_TELL}
    assert not comparison.profile_changed
    assert comparison.overall.half_width == pytest.approx(HALF_WIDTH / math.sqrt(7))


def test_over_refusal_and_non_answers_are_compared_too():
    before = make_release("v1", over_refusal=0.05)
    after = make_release("v2", over_refusal=0.25, number=2)
    assert verdicts(compare_releases(before, after), TableKind.OVER_REFUSAL) == {"all": Verdict.WORSE}


def test_only_tables_of_both_are_compared():
    full = make_release("v1", stacks={"base64+persona": 0.4})
    comparison = compare_releases(full, make_release("v2", number=2))
    assert comparison.table(TableKind.STACK) is None


def test_rows_that_one_side_lacks_are_named_and_left_out_of_the_overall():
    before = make_release("v1", {"plain": 0.1, "base64": 0.9, "fiction": 0.2})
    after = make_release("v2", {"plain": 0.1, "fiction": None, "persona": 0.9}, number=2)
    comparison = compare_releases(before, after)
    table = comparison.table(TableKind.TECHNIQUE)
    assert [change.key for change in table.changes] == ["plain"]
    assert table.only_before == ("base64", "fiction")
    assert table.only_after == ("fiction", "persona")
    assert comparison.overall is not None
    assert comparison.overall.before == pytest.approx(0.1, abs=0.01)
    assert comparison.profile_p is None


def test_nothing_in_common_has_no_overall():
    comparison = compare_releases(make_release("v1", {"plain": 0.1}), make_release("v2", {"base64": 0.1}, number=2))
    assert comparison.overall is None
    assert comparison.table(TableKind.TECHNIQUE).changes == ()


def test_a_release_without_techniques_has_no_overall():
    before = make_release("v1")
    bare = dataclasses.replace(before, tables=before.tables[1:])
    comparison = compare_releases(bare, bare)
    assert (comparison.overall, comparison.profile_p) == (None, None)


def test_rows_over_other_units_are_not_the_same_rows():
    before = make_release("v1")
    other = make_table(TableKind.TECHNIQUE, dict.fromkeys(TECHNIQUES, 0.3), units=200)
    after = dataclasses.replace(make_release("v2", number=2), tables=(other,))
    assert compare_releases(before, after).table(TableKind.TECHNIQUE).changes == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epoch": 4}, "other prompts"),
        ({"judge_digest": "6" * 64}, "another judge"),
        ({"attempts": 3}, "another number of attempts"),
    ],
)
def test_other_prompts_or_judges_are_refused(options, said):
    with pytest.raises(NotComparable, match=said):
        compare_releases(make_release("v1"), make_release("v2", number=2, **options))


def test_other_settings_are_compared_and_named():
    after = make_release("v2", number=2, runtime="llama", trust=TrustClass.EXPOSED)
    assert compare_releases(make_release("v1"), after).other_settings == ("runtime", "trust")
