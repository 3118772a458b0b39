"""A model line over its checkpoints."""

import pytest
from client_fakes import TECHNIQUES, make_release

from heldout.findings import Score, ScoreKind, Verdict, build_trend
from heldout.findings.claims import state_claims
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
    """release.md section 1: rho 5.545 is 2.0 bits, 8 by the general bound, 95.2 % for one question."""
    claims = state_claims(5_545_177_444)
    assert claims.tight_bits == pytest.approx(2.0, abs=1e-6)
    assert claims.general_bits == pytest.approx(8.0, abs=1e-6)
    assert claims.one_question_accuracy == pytest.approx(0.952, abs=1e-3)
    assert state_claims(0).one_question_accuracy == 0.5
