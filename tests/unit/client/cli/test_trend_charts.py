"""The trend as an HTML page with charts."""

from __future__ import annotations

import dataclasses
import re

import pytest
from client_fakes import TECHNIQUES, make_release

from heldout.cli.screens.trend_charts import capability_chart, checkpoints_chart
from heldout.cli.screens.trend_html import trend_html
from heldout.findings import build_trend
from heldout.findings.model import Score, ScoreKind

RATES = (0.38, 0.25, 0.35)


def trend_of(*releases, scores=()):
    recorded = [
        Score(checkpoint=checkpoint, kind=ScoreKind.CAPABILITY, benchmark="swe-bench", value_milli=round(1000 * value))
        for checkpoint, value in scores
    ]
    return build_trend(releases[0].tested.line, releases, recorded)


def release(number, rate=0.3, **options):
    return make_release(f"v{number}", dict.fromkeys(TECHNIQUES, rate), number=number, **options)


@pytest.fixture
def trend():
    releases = [release(number, rate) for number, rate in enumerate(RATES, start=1)]
    return trend_of(*releases, scores=[("v1", 41.0), ("v2", 44.5), ("v3", 40.0)])


def circles(chart, kind="one"):
    """Return the points of a series, as x and y from the top left corner."""
    found = re.findall(r'<circle class="([^"]*)" cx="([\d.]+)" cy="([\d.]+)"', chart)
    return [(float(x), float(y)) for css, x, y in found if kind in css.split()]


def test_the_command_writes_the_page_and_says_where(published, tmp_path):
    file = tmp_path / "trend.html"
    out = published("trend", "--html", str(file))
    assert out.startswith("nova")
    assert "one page that needs no network" in out
    page = file.read_text()
    assert all(f">{name}<" in page for name in ("v1", "v2", "v3", "v4"))
    assert re.search(r"\+10\.\d \[[^<]* worse<", page)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=", page)


def test_a_page_that_cannot_be_written_is_one_line(published, tmp_path):
    assert "No such file" in published("trend", "--html", str(tmp_path / "none" / "trend.html"), code=1)


def test_points_stand_in_the_order_of_the_checkpoints_and_higher_where_more_attacks_succeed(trend):
    drawn = circles(checkpoints_chart(trend))
    assert len(drawn) == 3
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert drawn[0][1] < drawn[2][1] < drawn[1][1]


def test_capability_runs_from_left_to_right(trend):
    (first, _), (second, _), (third, _) = circles(capability_chart(trend, "swe-bench", title="SWE-bench"))
    assert third < first < second


def test_one_score_draws_no_chart_and_the_page_says_what_is_missing(trend):
    lone = trend_of(*(point.release for point in trend.points), scores=[("v1", 41.0)])
    assert capability_chart(lone, "swe-bench", title="SWE-bench") == ""
    assert "heldout scores record" in trend_html(lone, benchmark="swe-bench")


def test_a_broken_line_is_drawn_broken(trend):
    whole = checkpoints_chart(trend)
    broken = checkpoints_chart(trend_of(release(1), release(2, judge_digest="6" * 64)))
    assert "not comparable" not in whole
    assert "not comparable" in broken
    assert len(re.findall(r'<path class="one" [^>]*d="M[^"]*M', broken)) == 1


def test_a_cancelled_release_has_a_name_and_no_point(trend):
    cancelled = dataclasses.replace(release(4), cancelled=True, tables=())
    chart = checkpoints_chart(trend_of(*(point.release for point in trend.points), cancelled))
    assert ">v4<" in chart
    assert len(circles(chart)) == 3


def test_names_are_escaped(trend):
    tested = dataclasses.replace(trend.points[0].release.tested, checkpoint='<b>"x')
    hostile = dataclasses.replace(trend.points[0].release, tested=tested)
    page = trend_html(trend_of(hostile), benchmark="<i>")
    assert "<b>" not in page
    assert "<i>" not in page


def test_many_checkpoints_are_named_now_and_then_and_the_newest_always():
    chart = checkpoints_chart(trend_of(*(release(number) for number in range(1, 41))))
    named = re.findall(r">(v\d+)</text>", chart)
    assert len(named) <= 9
    assert named[-1] == "v40"
    assert len(circles(chart)) == 40
