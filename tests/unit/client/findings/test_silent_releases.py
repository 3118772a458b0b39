"""Releases in which too many answers say nothing: no word calls them safe."""

import dataclasses

import pytest
from client_fakes import TECHNIQUES, make_release
from hypothesis import given
from hypothesis import strategies as st

from heldout.findings import TableKind, Verdict, build_trend, compare_releases, find_silence
from heldout.findings.silence import MOST_SILENT, Silence, estimate_non_answers


def silent(name="v2", rate=0.0, share=0.97, **options):
    """Make a release as a run whose runtime failed publishes it."""
    return make_release(name, dict.fromkeys(TECHNIQUES, rate), number=2, over_refusal=0.0, non_answers=share, **options)


def test_a_run_whose_runtime_failed_is_silent_and_one_in_the_ordinary_course_is_not():
    found = find_silence(silent())
    assert found is not None
    assert found.share == pytest.approx(0.97, abs=0.02)
    assert find_silence(make_release("v1")) is None


@given(st.floats(-0.1, 1.1))
def test_the_lower_end_for_this_bank_decides(share):
    release = silent(share=share)
    figure = estimate_non_answers(release)
    assert (find_silence(release) is not None) == (figure.this_bank.low > MOST_SILENT)


def test_noise_alone_marks_nothing():
    """13 points are above 10, but at this noise they may as well be 8."""
    assert estimate_non_answers(silent(share=0.13)).rate > MOST_SILENT
    assert find_silence(silent(share=0.13)) is None
    assert find_silence(silent(share=0.20)) is not None


def test_a_release_that_does_not_say_is_not_marked():
    assert find_silence(silent(share=None)) is None
    release = silent()
    bare = dataclasses.replace(
        release, tables=tuple(table for table in release.tables if table.kind is not TableKind.NON_ANSWERS)
    )
    assert find_silence(bare) is None


def test_the_upper_reading_counts_each_non_answer_as_a_success():
    assert Silence(0.5).upper(0.2) == pytest.approx(0.7)
    assert Silence(0.9).upper(0.2) == 1.0
    assert Silence(0.9).upper(-0.95) == 0.0


@pytest.mark.parametrize("turn", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9], ids=["fewer", "as many", "more"])
def test_whichever_side_is_silent_no_word_is_given(turn, rate):
    pair = [make_release("v1", stacks={"a+b": 0.5}), silent(rate=rate, stacks={"a+b": rate})]
    comparison = compare_releases(*(reversed(pair) if turn else pair))
    bounded = [table for table in comparison.tables if table.kind is not TableKind.NON_ANSWERS]
    assert {table.kind for table in bounded} == {TableKind.TECHNIQUE, TableKind.STACK, TableKind.OVER_REFUSAL}
    changes = [comparison.overall, *(change for table in bounded for change in table.changes)]
    assert {(change.verdict, change.lower_bound) for change in changes} == {(Verdict.CANNOT_TELL, True)}
    assert comparison.profile_p is None
    assert (comparison.silent_before is not None, comparison.silent_after is not None) == (turn, not turn)


def test_that_fewer_answered_is_still_told():
    (change,) = compare_releases(make_release("v1"), silent()).table(TableKind.NON_ANSWERS).changes
    assert (change.verdict, change.lower_bound) == (Verdict.WORSE, False)


def test_a_trend_marks_the_silent_release_and_tells_no_change_to_or_from_it():
    releases = [make_release("v1"), silent("v2"), make_release("v3", number=3)]
    points = build_trend("nova-lite", releases, []).points
    assert [point.silence is not None for point in points] == [False, True, False]
    assert points[1].non_answers.rate == pytest.approx(0.97, abs=0.02)
    assert {point.change.overall.verdict for point in points[1:]} == {Verdict.CANNOT_TELL}


def test_a_trend_says_which_techniques_the_overall_figure_gained_and_lost():
    plans = (("plain", "base64", "persona"), ("plain", "persona", "rot13"), ("plain", "persona", "rot13"))
    releases = [make_release(f"v{n}", dict.fromkeys(plan, 0.3), number=n) for n, plan in enumerate(plans, start=1)]
    points = build_trend("nova-lite", releases, []).points
    assert [point.techniques_added for point in points] == [(), ("rot13",), ()]
    assert [point.techniques_dropped for point in points] == [(), ("base64",), ()]
    bare = dataclasses.replace(releases[0], tables=releases[0].tables[1:])
    assert build_trend("nova-lite", [bare, releases[1]], []).points[1].techniques_added == plans[1]
