"""A model line over its checkpoints."""

import dataclasses

import pytest
from client_fakes import TECHNIQUES, make_release

from heldout.cli.screens.trend import trend_page
from heldout.findings import Score, ScoreKind, Verdict, build_trend
from heldout.findings.claims import state_claims
from heldout.findings.model import release_label
from heldout.findings.trend import list_lines


def score(checkpoint, value_milli, kind=ScoreKind.CAPABILITY, benchmark="swe-bench"):
    return Score(checkpoint=checkpoint, kind=kind, benchmark=benchmark, value_milli=value_milli)


def test_points_stand_in_order_with_the_change_from_the_one_before():
    releases = [make_release(f"v{n}", dict.fromkeys(TECHNIQUES, rate), number=n) for n, rate in ((1, 0.4), (2, 0.2))]
    trend = build_trend("nova-lite", releases, [])
    assert [point.release.tested.checkpoint for point in trend.points] == ["v1", "v2"]
    assert trend.points[0].change is None
    assert trend.points[1].change is not None
    assert trend.points[1].change.overall.verdict is Verdict.BETTER
    assert trend.points[1].over_refusal.rate == pytest.approx(0.05, abs=0.01)


def test_other_lines_are_left_out():
    releases = [make_release("v1"), make_release("big-1", line="nova-big", number=2), make_release("v2", number=3)]
    trend = build_trend("nova-lite", releases, [])
    assert [point.release.tested.checkpoint for point in trend.points] == ["v1", "v2"]
    assert trend.points[1].change.before is releases[0]
    assert list_lines(releases) == ("nova-lite", "nova-big")


@pytest.mark.parametrize(("options", "said"), [({"epoch": 4}, "other prompts"), ({"judge_digest": "6" * 64}, "judge")])
def test_other_prompts_or_judges_break_the_line(options, said):
    trend = build_trend("nova-lite", [make_release("v1"), make_release("v2", number=2, **options)], [])
    assert said in trend.points[1].broken
    assert trend.points[1].change is None
    assert not trend.points[0].broken


def test_the_last_score_of_a_benchmark_counts():
    scores = [score("v1", 40_000), score("v1", 41_250), score("v1", 90_000, ScoreKind.INTERNAL_SAFETY, "ours")]
    (point,) = build_trend("nova-lite", [make_release("v1")], scores).points
    assert dict(point.capability) == {"swe-bench": 41.25}
    assert dict(point.internal) == {"ours": 90.0}


def test_withheld_tables_leave_gaps_and_no_zeroes():
    release = make_release("v1", dict.fromkeys(TECHNIQUES, None), over_refusal=None)
    (point,) = build_trend("nova-lite", [release], []).points
    assert point.overall is None
    assert point.over_refusal is None


def test_the_three_figures_of_the_default_budget():
    """SECURITY.md: rho 5.545 is 2.0 bits, 8 by the general bound, 95.2 % for one question."""
    claims = state_claims(5_545_177_444)
    assert claims.tight_bits == pytest.approx(2.0, abs=1e-6)
    assert claims.general_bits == pytest.approx(8.0, abs=1e-6)
    assert claims.one_question_accuracy == pytest.approx(0.952, abs=1e-3)
    assert state_claims(0).one_question_accuracy == 0.5


def restate(release, *, epoch, number, rate):
    """Return another release of the same weights about another epoch."""
    again = make_release(release.tested.checkpoint, dict.fromkeys(TECHNIQUES, rate), epoch=epoch, number=number)
    return dataclasses.replace(again, release_id=f"{again.release_id}-again", anchor=True)


def test_an_anchor_ties_two_epochs_and_says_by_how_much_they_differ():
    """The line breaks between the epochs; the restated weights say what the break itself does, with sampling in it."""
    first = make_release("v1", dict.fromkeys(TECHNIQUES, 0.30))
    again = restate(first, epoch=4, number=1, rate=0.40)
    after = make_release("v2", dict.fromkeys(TECHNIQUES, 0.60), epoch=4, number=2)
    after = dataclasses.replace(after, tested=dataclasses.replace(after.tested, checkpoint_digest="7" * 64))
    one, two, three = build_trend("nova-lite", [first, again, after], []).points

    assert one.restated is None is three.restated
    assert "other prompts" in two.broken
    assert two.restated.earlier is first
    assert two.restated.cause == "the prompts"
    assert two.restated.difference == pytest.approx(0.10, abs=0.02)
    widths = [one.overall.prompts_like_these, two.overall.prompts_like_these]
    half = (two.restated.interval.high - two.restated.interval.low) / 2
    assert half > max(width.high - width.low for width in widths) / 2
    assert three.change.before is again
    assert three.change.overall.verdict is Verdict.WORSE


def test_an_anchor_that_ties_nothing_here_says_nothing():
    lonely = restate(make_release("v1"), epoch=4, number=1, rate=0.4)
    (point,) = build_trend("nova-lite", [lonely], []).points
    assert point.restated is None


def test_releases_of_a_checkpoint_about_two_epochs_are_told_apart_by_epoch():
    first = make_release("v1")
    again = restate(first, epoch=4, number=1, rate=0.4)
    later = make_release("v1", number=2)
    assert [release_label(one, [first, again, later]) for one in (first, again, later)] == [
        "v1#3.1",
        "v1#4.1",
        "v1#3.2",
    ]


def test_the_page_of_a_trend_says_what_a_break_did():
    first = make_release("v1", dict.fromkeys(TECHNIQUES, 0.30))
    again = restate(first, epoch=4, number=1, rate=0.40)
    page = trend_page(build_trend("nova-lite", [first, again], []), benchmark="swe-bench", budget=None)
    text = " ".join(line.strip() for line in page.lines)
    assert "the same weights as v1 of bank epoch 3, restated: +" in text
    assert "by the prompts, not by the model" in text
    assert page.data["points"][1]["restated"]["epoch"] == 3
