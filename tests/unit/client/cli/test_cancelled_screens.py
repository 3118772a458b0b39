"""A release whose run was cancelled holds no figures, and no screen makes up any."""

import dataclasses
import json

import pytest
from client_fakes import make_release, to_message

from heldout.cli.screens.findings import release_page
from heldout.cli.screens.page import WIDTH, columns_of
from heldout.cli.screens.trend import trend_page
from heldout.errors import NotComparable
from heldout.findings import Score, ScoreKind, build_trend, compare_releases
from heldout.findings.documents import release_from
from heldout.findings.model import CANCELLED

LONG = "a-checkpoint-with-a-name-of-exactly-sixty-four-characters-in-all"


def cancelled(name, **options):
    return dataclasses.replace(make_release(name, **options), tables=(), cancelled=True)


def text_of(page):
    json.dumps(page.data)
    assert all(columns_of(line) <= WIDTH for line in page.lines), page.lines
    assert all(len(record) == len(page.header) for record in page.records)
    return "\n".join(page.lines)


def test_what_the_appliance_sends_is_read():
    assert release_from(to_message(cancelled("v2"))) == cancelled("v2")
    assert not release_from(to_message(make_release("v1"))).cancelled


def test_findings_say_in_one_line_that_nothing_was_published():
    page = release_page(cancelled("v2"), others=[make_release("v2", number=7)])
    text = text_of(page)
    assert f"{CANCELLED} · receipt verified" in text
    assert "release-v2-7" in text  # the release with figures is one command away
    assert not any(word in text for word in ("per cent", "overall", "intervals"))
    assert (page.data["cancelled"], page.data["overall"], page.data["tables"]) == (True, None, [])
    assert page.records == ()
    assert release_page(make_release("v1")).data["cancelled"] is False


@pytest.mark.parametrize("turn", [False, True])
def test_a_comparison_with_it_is_refused(turn):
    pair = [make_release("v1"), cancelled("v2")]
    with pytest.raises(NotComparable, match=f"^v2: {CANCELLED}, so there is nothing to compare$"):
        compare_releases(*(reversed(pair) if turn else pair))


def test_a_trend_keeps_its_row_and_compares_across_it():
    releases = [make_release("v1", dict.fromkeys(("plain", "base64"), 0.1)), cancelled("v2")]
    releases.append(make_release("v3", dict.fromkeys(("plain", "base64"), 0.9), number=3))
    scores = [Score(checkpoint="v2", kind=ScoreKind.CAPABILITY, benchmark="swe-bench", value_milli=44_000)]
    trend = build_trend("nova-lite", releases, scores)
    first, second, third = trend.points
    assert (second.overall, second.change, second.broken, second.techniques_dropped) == (None, None, "", ())
    assert third.change.before is first.release
    page = trend_page(trend, benchmark="swe-bench", budget=None)
    text = text_of(page)
    assert f"v2  {CANCELLED}" in text
    assert "v1 → v3: " in text
    assert [point["cancelled"] for point in page.data["points"]] == [False, True, False]
    assert page.data["points"][1]["capability"] == {"swe-bench": 44.0}
    at = page.header.index("cancelled")
    assert [record[at] for record in page.records] == [False, True, False]


def test_a_trend_of_long_names_fits():
    releases = [make_release(LONG), cancelled(LONG, number=2)]
    assert CANCELLED in text_of(trend_page(build_trend("nova-lite", releases, []), benchmark="x", budget=None))


def test_a_trend_that_begins_and_ends_with_it_says_what_changed_between():
    ends = [make_release("v1"), make_release("v2", number=2)]
    releases = [cancelled("v0"), *ends, cancelled("v3", number=3)]
    text = text_of(trend_page(build_trend("nova-lite", releases, []), benchmark="x", budget=None))
    assert "v1 → v2: no change beyond" in text
