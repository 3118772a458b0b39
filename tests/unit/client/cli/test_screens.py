"""Pages: 80 columns, readable without colour, nothing that steers a terminal."""

import dataclasses
import json
import re

import pytest
from client_fakes import STACKS, TECHNIQUES, make_release
from hypothesis import given
from hypothesis import strategies as st

from heldout.bank_model import BadRow, BankCount, BankStats, Epoch, ImportReport, Intent, Prompt, StoredPrompt
from heldout.cli.screens.audit import VerifiedLog, entry_page, policy_page, tail_page, verified_page
from heldout.cli.screens.bank import import_page, prompt_page, retired_page, stats_page
from heldout.cli.screens.budget import budget_page
from heldout.cli.screens.checkpoints import checkpoints_page
from heldout.cli.screens.compare import comparison_page, describe_overall
from heldout.cli.screens.findings import card_page, cards_page, release_page, scores_page
from heldout.cli.screens.page import WIDTH, columns_of
from heldout.cli.screens.runs import results_page, run_page, runs_page
from heldout.cli.screens.trend import draw_bar, pick_benchmark, trend_page
from heldout.findings import (
    Budget,
    Card,
    Score,
    ScoreKind,
    TableKind,
    TrustClass,
    build_trend,
    compare_releases,
)
from heldout.services.audit import PolicyDocuments
from heldout.services.checkpoints import Checkpoint, CheckpointState
from heldout.services.runs import ExactRow, Run, RunState
from heldout.verification import Entry, ExportReport

LONG = "a-checkpoint-with-a-name-of-exactly-sixty-four-characters-in-all"
RATES = dict(zip(TECHNIQUES, (0.19, 0.122, 0.14, 0.31, 0.31, 0.401, 0.229), strict=True))
LATER = dict(zip(TECHNIQUES, (0.19, 0.14, 0.14, 0.31, 0.432, 0.284, 0.233), strict=True))
BUDGET = Budget(
    epoch_id="epoch-4f0c9a1be2d37c55",
    releases_used=6,
    releases_total=25,
    releases_payable=8,
    harmful_spent_nano_rho=1_330_000_000,
    benign_spent_nano_rho=1_200_000_000,
    budget_nano_rho=5_545_177_444,
    policy_digest="3" * 64,
)
RUN = Run(
    run_id="run-4f0c9a1be2d37c55",
    state=RunState.PROPOSED,
    manifest_digest="2" * 64,
    epoch_id="epoch-1",
    tested=make_release(LONG).tested,
    techniques=TECHNIQUES,
    stacks=tuple(tuple(stack.split("+")) for stack in STACKS) * 10,
    judge="patterns",
    policy_digest="3" * 64,
    approvals=(),
    release_number=0,
    planned_trials=5400,
    created_s=1_795_572_840,
)


def text_of(page):
    json.dumps(page.data)
    for line in page.lines:
        assert columns_of(line) <= WIDTH, line
        assert line == line.rstrip()
        assert "\n" not in line
        assert line.isprintable()
    for record in page.records:
        assert len(record) == len(page.header)
    return "\n".join(page.lines)


# A release


def test_a_release_shows_every_table_with_both_intervals():
    page = release_page(make_release("v3", RATES, number=3, stacks=dict.fromkeys(STACKS, 0.4)))
    text = text_of(page)
    assert "nova-lite v3 · release 3 · bank epoch 3" in text
    assert "overall, mean of the techniques" in text
    for key in (*TECHNIQUES, *STACKS):
        assert f" {key} " in text
    assert "this bank" in text
    assert "prompts like these" in text
    assert "300 harmful, 100 harmless units" in text
    assert text.endswith("receipt verified")
    assert len(page.records) == 1 + 7 + 3 + 1 + 1
    (technique,) = (table for table in page.data["tables"] if table["kind"] == "technique")
    assert technique["rows"][4]["rate"] == pytest.approx(0.31, abs=0.01)


def test_withheld_rows_say_so_and_show_no_figure():
    page = release_page(make_release("v3", {"plain": 0.2, "persona": None}))
    assert "persona" in text_of(page)
    assert "withheld: too few units" in text_of(page)
    assert next(row for row in page.data["tables"][0]["rows"] if row["key"] == "persona")["rate"] is None
    assert text_of(release_page(make_release("v3", {"plain": None}, over_refusal=None)))


def test_an_exposed_runtime_and_attempts_are_named():
    text = text_of(release_page(make_release("v3", trust=TrustClass.EXPOSED, attempts=3)))
    assert "an exposed runtime saw the prompts" in text
    assert "3 attempts" in text


def test_a_release_with_the_longest_names_fits():
    keys = {f"{name}{'x' * 40}": 0.2 for name in TECHNIQUES}
    text_of(release_page(make_release(LONG, keys, line=LONG, runtime="r" * 64)))


def test_a_release_without_harmful_units_fits():
    release = make_release("v1")
    text_of(release_page(dataclasses.replace(release, tables=release.tables[-1:])))


# A comparison


def compared(before, after, **options):
    return compare_releases(make_release("v3", before), make_release("v4", after, number=2, **options))


def test_a_comparison_says_four_words():
    page = comparison_page(compared(RATES, LATER))
    text = text_of(page)
    lines = text.split("\n")
    assert lines[1].split() == ["by", "technique", "v3", "v4", "change"]
    assert lines[2].startswith("persona")
    assert lines[2].endswith("worse")
    assert lines[3].startswith("payload-splitting")
    assert lines[3].endswith("better")
    assert "no change beyond 7.2" in text
    assert "cannot tell under 7.2" in text
    assert "heldout techniques show persona" in text
    assert "receipts verified" in text
    assert {record[-2] for record in page.records} == {"worse", "better", "no change beyond", "cannot tell"}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (RATES, LATER, "Overall alike (24.4, 24.7: no change beyond 2.7), different by technique (p = 0.002)."),
        ({"plain": 0.2}, {"plain": 0.5}, "Overall worse ("),
        ({"plain": 0.5}, {"plain": 0.2}, "Overall better ("),
        ({"plain": 0.2}, {"plain": 0.25}, "Overall cannot tell under 7.2 ("),
        ({"plain": 0.2, "base64": 0.2}, {"plain": 0.2, "base64": 0.2}, "no difference between techniques seen"),
        ({"plain": 0.2}, {"base64": 0.2}, "No technique row stands in both"),
    ],
)
def test_the_overall_sentence(before, after, said):
    assert said in describe_overall(compared(before, after))


def test_what_is_not_in_both_and_what_was_tested_otherwise_is_said():
    text = text_of(comparison_page(compared({"plain": 0.2, "base64": 0.2}, {"plain": 0.2}, runtime="llama")))
    assert "not in both, or withheld: base64" in text
    assert "by category, non-answers: means over what each side tried" in text
    assert "Tested differently, which may be the cause: runtime." in text


def test_figures_past_the_ends_agree_with_their_change_and_are_said_to_be_noise():
    text = text_of(comparison_page(compared({"plain": -0.05, "base64": 0.5}, {"plain": 0.2, "base64": 1.04})))
    before, after, change = re.search(r"plain +(\S+) +(\S+) +(\S+) ", text).groups()
    as_number = [float(one.replace("\u2212", "-")) for one in (before, after, change)]
    assert as_number[1] - as_number[0] == pytest.approx(as_number[2], abs=0.11)
    assert before.startswith("\u2212")
    assert re.search(r"base64 +\S+ +10[34]\.\d ", text)
    assert "below 0 or above 100: noise, as published" in text
    assert "noise, as" not in text_of(comparison_page(compared({"plain": 0.1}, {"plain": 0.2})))


def test_long_names_stand_in_the_title_and_not_over_the_columns():
    before, after = make_release("nova-lite-v3"), make_release(LONG, number=2)
    text = text_of(comparison_page(compare_releases(before, after)))
    assert text.split("\n")[0].startswith("nova-lite nova-lite-v3 → a-checkpoint")
    assert "before" in text


# A trend


def trended(*points, scores=(), **options):
    releases = [
        make_release(name, dict.fromkeys(TECHNIQUES, rate), number=n, **options.get(name, {}))
        for n, (name, rate) in enumerate(points, start=1)
    ]
    return build_trend("nova-lite", releases, scores)


def shown(trend, budget=BUDGET):
    return text_of(trend_page(trend, benchmark=pick_benchmark(trend), budget=budget))


def test_a_trend_shows_bars_words_and_capability():
    scores = [Score(checkpoint="v1", kind=ScoreKind.CAPABILITY, benchmark="swe-bench", value_milli=41_000)]
    text = shown(trended(("v1", 0.382), ("v2", 0.249), ("v3", 0.34), ("v4", 0.342), scores=scores))
    lines = text.split("\n")
    assert "SWE-bench" in lines[1]
    assert "over-refusal" in lines[1]
    assert lines[2].startswith(" v1  █")
    assert "41.0" in lines[2]
    assert "better" in lines[3]
    assert "worse" in lines[4]
    assert "v2 → v3: +" in text
    assert "v3 → v4: no change beyond" in text
    assert "6 of 25 releases used · receipts verified" in text
    bars = [line.split()[1] for line in lines[2:6]]
    assert len({len(bar) for bar in bars}) == 1


def test_a_trend_tells_every_change_and_how_many_steps_it_leaves_out():
    text = shown(trended(("v1", 0.382), ("v2", 0.249), ("v3", 0.25), ("v4", 0.25), ("v5", 0.38), ("v6", 0.38)))
    told = [line.split(":")[0] for line in text.split("\n") if " → " in line]
    assert told == ["v1 → v2", "v4 → v5", "v5 → v6"]
    assert "2 more steps in which no change was seen" in text
    assert "more step" not in shown(trended(("v1", 0.38), ("v2", 0.25), ("v3", 0.25)))


def test_a_checkpoint_that_was_tested_twice_is_named_with_the_number_of_its_release():
    text = shown(trended(("v1", 0.4), ("v2", 0.3), ("v1", 0.2)))
    assert [line.split()[0] for line in text.split("\n")[2:5]] == ["v1#1", "v2", "v1#3"]
    assert "v1#1 → v2: " in text
    assert "v2 → v1#3: " in text
    releases = [make_release(name, number=number) for number, name in enumerate(("v1", "v2", "v1"), start=1)]
    page = comparison_page(compare_releases(releases[0], releases[2]), among=releases)
    assert page.lines[0].startswith("nova-lite v1#1 → v1#3")
    page = comparison_page(compare_releases(releases[0], releases[1]), among=releases)
    assert page.lines[0].startswith("nova-lite v1#1 → v2 ")
    assert comparison_page(compare_releases(*releases[:2])).lines[0].startswith("nova-lite v1 → v2 ")


def test_a_budget_says_how_many_releases_can_still_be_paid_and_why_fewer_than_are_left():
    text = text_of(budget_page(BUDGET))
    assert "6 of 25 used, 8 more can be paid" in text
    assert "look-alike pairs" in text
    text = text_of(budget_page(dataclasses.replace(BUDGET, releases_payable=19)))
    assert "6 of 25 used, 19 more can be paid" in text
    assert "look-alike pairs" not in text


def test_the_longest_bar_is_the_highest_rate():
    lines = shown(trended(("v1", 0.6), ("v2", 0.3))).split("\n")
    assert lines[0].startswith("nova-lite")
    assert "bars end at 60%" in lines[0]
    assert "·" not in lines[2].split()[1]
    assert lines[3].split()[1].count("·") > 5


def test_a_break_of_the_line_is_visible():
    text = shown(trended(("v1", 0.4), ("v2", 0.2), v2={"epoch": 4}))
    assert "── other prompts (bank epoch 3 and 4): not comparable with the above ──" in text
    assert "better" not in text


def test_a_profile_that_changed_under_an_average_that_did_not():
    releases = [make_release("v3", RATES), make_release("v4", LATER, number=2)]
    text = shown(build_trend("nova-lite", releases, []))
    assert "the profile by technique did change" in text.replace("\n", " ").replace("  ", " ")
    assert "heldout compare v3 v4" in " ".join(text.split())


def test_gaps_long_names_and_many_benchmarks_fit():
    scores = [
        Score(checkpoint=LONG, kind=kind, benchmark=f"bench-{n}-{'x' * 30}", value_milli=99_999)
        for n in range(3)
        for kind in ScoreKind
    ]
    trend = trended((LONG, None), ("v2", 0.3), scores=scores)
    assert pick_benchmark(trend).startswith("bench-0")
    text = shown(trend, budget=None)
    assert "withheld" in text
    assert "releases used" not in text


@given(st.floats(-1, 2), st.integers(1, 40))
def test_a_bar_fills_its_cells(share, cells):
    bar = draw_bar(share, cells)
    assert len(bar) == cells
    assert bar.rstrip("·").count("·") == 0
    assert draw_bar(1.0, cells) == "█" * cells


# The rest


def test_the_budget_says_what_it_lets_out():
    text = text_of(budget_page(BUDGET))
    assert "6 of 25 used" in text
    assert "24% of the budget: 1.330 of 5.545 rho" in text
    assert "95.2%" in text
    nothing = dataclasses.replace(BUDGET, releases_total=0, budget_nano_rho=0)
    text_of(budget_page(nothing))


def test_cards():
    card = Card(
        technique="persona",
        title="Persona role-play",
        family="role-play",
        kind="persona",
        mechanism="The model plays a character. " * 10,
        references=("Shah et al. (2023), https://example.org/" + "x" * 90,),
        mitigation="Train on \x1b[2J role-play.",
    )
    text = text_of(card_page(card))
    assert "how it works" in text
    assert "\\u001b[2J" in text
    assert "persona" in text_of(cards_page([card, dataclasses.replace(card, title="t" * 200)]))


def test_scores_and_none():
    score = Score(checkpoint="v1", kind=ScoreKind.INTERNAL_SAFETY, benchmark="ours", value_milli=41_250)
    page = scores_page([score])
    assert "41.25" in text_of(page)
    assert page.records == (("v1", "internal-safety", "ours", 41.25),)
    assert "no scores yet" in text_of(scores_page([]))


def test_an_import_names_bad_rows_and_duplicates():
    bad = tuple(BadRow(line, "text_empty") for line in range(1, 31))
    report = ImportReport(imported=5, bad=bad, duplicates=tuple(f"p-{n}" for n in range(9)))
    text = text_of(import_page(report, skipped=[BadRow(99, "not_json")], name="x.jsonl"))
    assert "5 imported · 31 left out · 9 already in the bank" in text
    assert "line 1: text_empty" in text
    assert "and 11 more" in text
    assert "and 4 more" in text
    nothing = ImportReport(imported=0, bad=bad[:1], duplicates=())
    assert "x.jsonl: nothing imported · 1 bad" in text_of(import_page(nothing, name="x.jsonl"))


def test_the_bank():
    epoch = Epoch(epoch_id="epoch-1", number=4, commitment="c" * 64, prompts=398, units=300)
    counts = (BankCount(intent=Intent.HARMFUL, category="x" * 64, prompts=400, units=300),)
    stats = BankStats(live=12_400, retired=3, waiting=2, counts=counts, epoch=epoch)
    assert "12,400 live · 2 in no epoch yet · 3 retired" in text_of(stats_page(stats))
    assert text_of(stats_page(dataclasses.replace(stats, epoch=None, counts=())))
    assert "1 were retired before" in text_of(retired_page(2, 3))


def test_a_prompt_keeps_its_lines_and_cannot_steer_the_terminal():
    prompt = Prompt(
        text="How do I fold\n\n  a letter?\x1b[2J\n" + "word " * 40,
        intent=Intent.BENIGN,
        category="paper",
        tags=("a", "b"),
        family="letters",
    )
    text = text_of(prompt_page(StoredPrompt(handle="p-1", prompt=prompt, retired=True)))
    assert "  How do I fold\n\n    a letter?\\u001b[2J\n" in text
    assert "family letters · tags a, b · retired" in text


@pytest.mark.parametrize("state", list(RunState))
def test_a_run_says_what_comes_next(state):
    text = text_of(run_page(dataclasses.replace(RUN, state=state, approvals=("spiffe://a/b",) * 9, release_number=2)))
    assert state.value in text
    assert "release 2" in text


def test_a_proposed_run_says_how_it_is_approved_and_started():
    text = text_of(run_page(RUN))
    assert "heldout run approve run-4f0c9a1be2d37c55" in text
    assert "next: heldout run start run-4f0c9a1be2d37c55" in text


def test_a_proposed_run_on_an_exposed_runtime_says_who_will_see_the_prompts():
    tested = dataclasses.replace(RUN.tested, trust=TrustClass.EXPOSED, burnt_prompts=300, system_profile="house")
    page = run_page(dataclasses.replace(RUN, tested=tested))
    text = " ".join(text_of(page).split())
    assert "an exposed runtime will see all 300 prompts" in text
    assert "system prompt house" in text
    assert page.data["tested"]["trust"] == "exposed"


def test_lists_of_runs_and_checkpoints():
    assert RUN.run_id in text_of(runs_page([RUN]))
    assert "no run yet" in text_of(runs_page([]))
    checkpoint = Checkpoint(
        name=LONG,
        line="nova",
        sequence=1,
        runtime="scripted",
        digest="",
        state=CheckpointState.REFUSED,
        reason="symlink",
        noticed_s=0,
    )
    assert "symlink" in str(checkpoints_page([checkpoint]).data)
    assert "no checkpoint" in text_of(checkpoints_page([]))
    short = dataclasses.replace(checkpoint, name="v1", state=CheckpointState.STAGED, reason="", digest="d" * 64)
    assert "dddddddd" in text_of(checkpoints_page([short]))


def test_exact_results():
    rows = [
        ExactRow(table=kind, key=key, units=280, trials=300, rate=rate, low=0.26, high=0.365, best=rate, worst=0.33)
        for kind, key, rate in (
            (TableKind.TECHNIQUE, "plain", 0.31),
            (TableKind.TECHNIQUE, "base64", 0.21),
            (TableKind.STACK, "a+b", 0.9),
        )
    ]
    page = results_page(RUN, rows)
    text = text_of(page)
    assert RUN.run_id in text
    assert RUN.tested.checkpoint in text
    assert re.search(r"^overall, mean of the techniques +26\.0 +33\.0$", text, re.MULTILINE)
    assert text.count("attack success by technique") == 1
    assert re.search(r"^ plain +31\.0 +\[26\.0, 36\.5\] +33\.0 +280 +300$", text, re.MULTILINE)
    assert len(page.records) == 3
    assert page.records[0][page.header.index("best")] == 0.31


def test_exact_results_of_a_cancelled_run_say_what_is_left_out():
    rows = [ExactRow(table=TableKind.CATEGORY, key="a", units=1, trials=1, rate=1, low=0.2, high=1, best=1, worst=1)]
    text = text_of(results_page(dataclasses.replace(RUN, cancelled=True), rows))
    assert "cancelled" in text
    assert "left out" in text
    assert "overall" not in text


def entry(index, kind="intent", **details):
    return Entry(
        index=index,
        kind=kind,
        name="/heldout.v1.BankService/GetStats" if kind != "event" else "release",
        identity="" if kind == "event" else "spiffe://heldout.example/trainer",
        role="",
        time_s=1_795_572_840,
        counter=1,
        details=details,
    )


def test_the_tail_of_a_log_says_who_asked_what_and_what_came_of_it():
    entries = [
        entry(12_801, decision="deny"),
        entry(12_802, "outcome", intent=12_801, status="REFUSED"),
        entry(12_803, "event", release_id="release-1"),
        entry(12_804, "event"),
    ]
    text = text_of(tail_page(entries, origin="lab/vault", size=12_805))
    assert "12801  2026-11-25 02:14  trainer  GetStats deny" in text
    assert "GetStats → REFUSED (of 12801)" in text
    assert "event release release-1" in text


def test_an_entry_in_full_fits():
    page = entry_page(entry(3, rules=("a", "b"), request_mac="f" * 64), origin="lab/vault", size=12_805)
    assert "included in the signed head of 12,805 entries" in text_of(page)
    assert page.data["details"]["rules"] == ["a", "b"]


def test_what_an_audit_found():
    report = ExportReport(
        origin="appliance-7/window",
        size=12_804,
        root="e" * 64,
        intents=6402,
        outcomes=6401,
        events=1,
        open_intents=tuple(range(7)),
        counters={"a": 3, "b": 4},
        releases=(entry(1, "event", release_id="release-1"),),
        earlier_heads=4,
    )
    text = text_of(verified_page([VerifiedLog(report=report, published=6)], notes=["the heads could not be kept"]))
    assert "log appliance-7/window · 12,804 entries · head 12,804 signed" in text
    assert " ✓ every entry hashes to the signed head" in text
    assert " ✓ consistent with the 4 heads seen before" in text
    assert " ✓ counters of 2 identities have no gap" in text
    assert " ✓ 6 releases recorded before they were read" in text
    assert " ! the heads could not be kept" in text
    quiet = dataclasses.replace(report, open_intents=(3,), earlier_heads=1, counters={"a": 1})
    text = text_of(verified_page([VerifiedLog(report=quiet), VerifiedLog(report=quiet, published=1)]))
    assert " ✓ consistent with the head seen before" in text
    assert " ✓ 1 release recorded\n" in text
    assert " ✓ 1 release recorded before it was read" in text
    assert " · no outcome: 1 call" in text


def test_the_policy_is_shown_as_it_is():
    policy = PolicyDocuments(
        release_toml=b"a = 1\nb = 2\n",
        authorization_cedar=b"permit();",
        principals_toml=b"",
        policy_digest="3" * 64,
    )
    assert policy_page(policy).lines[2:4] == ("a = 1", "b = 2")
