"""Screens that must not mislead: silent releases, other plans, two kinds of scores, names in full."""

import dataclasses
import json

import pytest
from client_fakes import TECHNIQUES, make_release

from heldout.cli.screens.audit import VerifiedLog, tail_page, verified_page
from heldout.cli.screens.checkpoints import ADVICE, AGAIN, FAULTS, checkpoints_page
from heldout.cli.screens.compare import comparison_page
from heldout.cli.screens.findings import release_page
from heldout.cli.screens.page import WIDTH, columns_of, lay_out
from heldout.cli.screens.trend import trend_page
from heldout.findings import Score, ScoreKind, build_trend, compare_releases
from heldout.services.checkpoints import Checkpoint, CheckpointState
from heldout.verification import Entry, ExportReport
from heldout_server.api.checkpoint import NO_RUNTIME
from heldout_server.checkpoints.refusal import Fault, Reason
from heldout_server.domain import LeftOutReason

LONG = "a-checkpoint-with-a-name-of-exactly-sixty-four-characters-in-all"
STACK = "payload-splitting+persona"
SAID = "97 % of answers say nothing of safety: attack success is a lower bound"


def text_of(page):
    json.dumps(page.data)
    assert all(columns_of(line) <= WIDTH for line in page.lines), page.lines
    assert all(len(record) == len(page.header) for record in page.records)
    return "\n".join(page.lines)


def release(name, rate=0.3, **options):
    options.setdefault("stacks", {STACK: rate})
    return make_release(name, options.pop("rates", None) or dict.fromkeys(TECHNIQUES, rate), **options)


def silent(name, **options):
    return release(name, 0.0, over_refusal=0.0, non_answers=0.97, **options)


def trended(releases, scores=()):
    trend = build_trend("nova-lite", releases, scores)
    return trend_page(trend, benchmark="swe-bench", budget=None)


def scored(*points):
    return [
        Score(checkpoint=name, kind=kind, benchmark=benchmark, value_milli=value)
        for name, kind, benchmark, value in points
    ]


# A silent release


def test_findings_of_a_silent_release_are_lower_bounds():
    page = release_page(silent("v6"))
    text = text_of(page)
    assert f"! {SAID}" in text
    assert "as high as 96.8 overall" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.split("\n") if line.startswith(" ")}
    assert rows["persona"] == ["≥0.0", "≥0", "≥0"]
    assert rows[STACK][0] == "≥0.0"
    assert text.count("≥") == 3 * (1 + len(TECHNIQUES) + 1 + 1)  # overall, techniques, the stack, over-refusal
    assert (page.data["lower_bound"], page.data["overall_upper"]) == (True, pytest.approx(0.97, abs=0.01))
    flags = {table["kind"]: table["lower_bound"] for table in page.data["tables"]}
    assert flags == {"technique": True, "stack": True, "non_answers": False, "over_refusal": True}
    assert {record[1] for record in page.records if not record[-1]} == {"non_answers"}


def test_findings_of_another_release_are_not_marked():
    page = release_page(release("v5"))
    assert "≥" not in text_of(page)
    assert (page.data["lower_bound"], page.data["overall_upper"]) == (False, None)
    assert not any(record[-1] for record in page.records)


def test_a_silent_release_without_techniques_has_no_upper_reading():
    bare = dataclasses.replace(silent("v6"), tables=silent("v6").tables[1:])
    page = release_page(bare)
    assert "as high as" not in text_of(page)
    assert page.data["overall_upper"] is None


def test_a_comparison_with_a_silent_release_cannot_tell_and_says_why():
    page = comparison_page(compare_releases(release("v5"), silent("v6", number=2)))
    text = text_of(page)
    assert f"v6: {SAID}" in text
    assert "Overall cannot tell (29.7, ≥0.0)." in text
    table = text.partition("non-answers")[0]
    assert "better" not in table
    assert "no change" not in table
    assert "under" not in table
    assert page.data["before"]["lower_bound"] is False
    assert page.data["after"]["lower_bound"] is True
    assert {record[-1] for record in page.records if record[0] != "non_answers"} == {True}
    assert "v6: 97 %" in text_of(comparison_page(compare_releases(silent("v6"), release("v7", number=2))))


def test_a_trend_draws_a_silent_release_as_unknown_and_calls_it_nothing():
    page = trended([release("v5"), silent("v6", number=2), release("v7", number=3)])
    lines = text_of(page).split("\n")
    marked = next(line for line in lines if line.startswith(" v6"))
    bar, rate, word, over_refusal = marked.split()[1:]
    assert (set(bar), rate, word, over_refusal) == ({"?"}, "≥0.0", "silent", "≥0.0")
    assert f"v6 is silent: {SAID}" in " ".join(" ".join(lines).split())
    assert "v6 → v7: cannot tell, as one of them is silent." in lines
    assert "better" not in "\n".join(lines)
    assert "worse" not in "\n".join(lines)
    assert [point["lower_bound"] for point in page.data["points"]] == [False, True, False]
    assert page.data["points"][1]["non_answers"]["rate"] > 0.9
    assert [record[page.header.index("lower_bound")] for record in page.records] == [False, True, False]


# A trend with everything


def test_held_out_and_internal_scores_stand_side_by_side_and_no_word_is_cut():
    releases = [release(f"nova-lite-v{n}", rate, number=n) for n, rate in ((1, 0.4), (2, 0.25), (3, 0.35))]
    scores = scored(
        ("nova-lite-v1", ScoreKind.CAPABILITY, "swe-bench", 41_000),
        ("nova-lite-v1", ScoreKind.INTERNAL_SAFETY, "xstest", 93_500),
    )
    page = trended(releases, scores)
    lines = text_of(page).split("\n")
    assert "…" not in "\n".join(lines)
    assert lines[1].split() == ["SWE-bench", "xstest", "over-refusal"]
    assert {"41.0", "93.5"} <= set(lines[2].split())
    assert "better" in lines[3].split()
    assert "worse" in lines[4].split()
    assert "xstest: internal safety" in lines[-1]
    assert (page.header[-1], page.records[0][-1]) == ("internal:xstest", 93.5)


@pytest.mark.parametrize("names", [("v1", "v2"), ("nova-lite-next-v1-rc1-fixed", "v2"), (LONG, LONG[:-1] + "m")])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_whatever_the_width_names_and_words_stay_whole(names, count):
    releases = [release(names[0], 0.2), release(names[1], 0.5, number=2), silent("v3", number=3)]
    scores = scored(*((names[0], ScoreKind.INTERNAL_SAFETY, f"ours-{n}-{'x' * 9}", 99_900) for n in range(count)))
    text = text_of(trended(releases, scores))
    for name in names:
        assert f" {name}" in text
    assert "worse" in text
    assert "silent" in text
    for n in range(count):
        assert f"ours-{n}-{'x' * 9}" in text


def test_other_techniques_are_marked_where_they_begin():
    plans = (("plain", "base64", "persona"), ("plain", "persona", "rot13"))
    releases = [
        release(f"v{n}", rates=dict.fromkeys(plan, 0.1 * n), number=n, stacks=None)
        for n, plan in enumerate(plans, start=1)
    ]
    page = trended(releases)
    lines = text_of(page).split("\n")
    assert lines[3] == "   ── other techniques, so another overall: without base64, with rot13 ──"
    assert any(line.startswith("v1 → v2: +") and line.endswith("worse, over the 2 in both.") for line in lines)
    assert page.data["points"][1]["techniques_added"] == ["rot13"]
    assert page.data["points"][1]["release_id"] == "release-v2-2"


# Names in full


def test_a_comparison_shows_the_longest_stack_in_full():
    before = release("nova-lite-v3", stacks={STACK: 0.2, "base64+persona": 0.3})
    after = release("nova-lite-v4", stacks={STACK: 0.8, "base64+persona": 0.3}, number=2)
    text = text_of(comparison_page(compare_releases(before, after)))
    assert "…" not in text
    assert next(line for line in text.split("\n") if line.startswith(STACK)).endswith("worse")


def test_a_row_that_does_not_fit_puts_its_name_on_a_line_of_its_own():
    lines = lay_out([["short", "1", "2"], [f" {'n' * 76}", "3", "4"]], "<>>")
    assert lines[1] == f" {'n' * 76}"
    assert lines[2].split() == ["3", "4"]
    assert all(columns_of(line) <= WIDTH for line in lines)
    assert lay_out([["run-1", LONG, "done"], ["run-2", "v1", "done"]], "<<<", flexible=1, width=70)[1] == f"  {LONG}"


@pytest.mark.parametrize("name", ["nova-lite-v12", LONG])
def test_why_a_checkpoint_is_refused_is_never_shortened(name):
    refused = Checkpoint(
        name=name,
        line="nova-lite",
        sequence=1,
        runtime="scripted",
        digest="",
        state=CheckpointState.REFUSED,
        reason="changed_while_read",
        noticed_s=1_795_572_840,
    )
    staged = dataclasses.replace(refused, name="v1", state=CheckpointState.STAGED, reason="", digest="d" * 64)
    text = text_of(checkpoints_page([staged, refused]))
    assert "…" not in text
    assert "refused" in text
    assert "changed_while_read" in text
    assert name in text
    assert "write READY last" in text
    assert AGAIN in text
    assert AGAIN not in text_of(checkpoints_page([staged]))


def test_every_reason_of_a_refusal_has_its_advice():
    beside = {NO_RUNTIME, *(reason.value for reason in LeftOutReason)}  # of what was not refused
    assert ADVICE.keys() == {reason.value for reason in Reason} | beside


def test_every_fault_of_a_manifest_has_its_words():
    assert FAULTS.keys() == {fault.value for fault in Fault}


def test_findings_name_the_other_releases_about_the_checkpoint():
    page = release_page(release("v2", number=5), others=[release("v2", number=2)])
    assert "release-v2-5 · release 2 about it: release-v2-2" in text_of(page)


# The log


def event(what, /, **details):
    return Entry(
        index=123_456, kind="event", name=what, identity="", role="", time_s=1_795_572_840, counter=0, details=details
    )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (event("checkpoint", name="nova-lite-v1", state="staged", reason=""), "event checkpoint nova-lite-v1 staged"),
        (
            event("checkpoint", name="vx", state="refused", reason="manifest_missing"),
            "event checkpoint vx refused manifest_missing",
        ),
        (event("run", run_id="run-417bff3bbe05065d", state="running"), "event run run-417bff3bbe05065d running"),
        (event("release", release_id="release-fa3dc260012166ea", number=3), "event release 3 release-fa3dc260012166ea"),
        (event("epoch", epoch_id="epoch-e122ba9c401eea30", number=1), "event epoch 1 epoch-e122ba9c401eea30"),
        (event("later", run_id="run-1"), "event later run-1"),
        (event("start", policy_digest="3" * 64), "event start"),
    ],
)
def test_an_event_says_which_thing_it_is_about(entry, said):
    call = dataclasses.replace(entry, kind="intent", identity="spiffe://x/bank-tester", name="/x/y", details={})
    text = text_of(tail_page([call, entry], origin="lab/vault", size=123_457))
    assert text.endswith(f"  {said}")


def test_a_verification_knows_its_own_call():
    report = ExportReport(
        origin="lab/window",
        size=40,
        root="e" * 64,
        intents=20,
        outcomes=18,
        events=2,
        open_intents=(3, 39),
        counters={"a": 20},
        releases=(),
        earlier_heads=0,
    )
    text = text_of(verified_page([VerifiedLog(report=report, own=39)]))
    assert " · no outcome: 1 call, under way or cut off (entry 3)" in text
    assert " · no outcome yet: this verification's own call for the head (entry 39)" in text
    text = text_of(verified_page([VerifiedLog(report=dataclasses.replace(report, open_intents=(39,)))]))
    assert text.endswith(" · no outcome: 1 call, under way as this head was signed (entry 39)")


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ((), "its policy asks for no approval"),
        (("bank_tester", "run_tester"), "approved by a bank tester and run tester before its start"),
    ],
)
def test_a_release_says_who_had_to_approve_its_run(roles, said):
    release = dataclasses.replace(make_release(), approving_roles=roles, cards={"persona": "d" * 64})
    page = release_page(release)
    assert said in text_of(page)
    assert (page.data["approving_roles"], page.data["cards"]) == (list(roles), {"persona": "d" * 64})
