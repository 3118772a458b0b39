"""A runtime that dies costs the culprit its verdict, and nobody else."""

from __future__ import annotations

import pytest
from evaluation_fakes import Bench, member, members_of, settle

from heldout_policy.schedule import STRIKES
from heldout_server.domain import RunState, Verdict
from heldout_server.evaluation.trials import MAX_FAILED_STARTS

TRIALS = 21
CELLS = ("plain", "base64", "base64+persona")


async def run_through(bench, **changes):
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation, **changes)
        progress = await settle(evaluation)
    assert progress.run.state is RunState.PUBLISHED
    return bench.outcomes.verdicts()


@pytest.mark.parametrize("in_flight", [1, 4, 64])
@pytest.mark.parametrize("poison", [{"plain|prompt 0"}, {"base64|prompt 3"}, {"plain|prompt 2", "plain|prompt 8"}])
async def test_a_prompt_that_kills_the_runtime_changes_no_other_outcome(in_flight, poison):
    clean = await run_through(Bench(in_flight=in_flight))
    bench = Bench(in_flight=in_flight)
    bench.model.poison |= poison
    verdicts = await run_through(bench)
    changed = {number for number in clean if verdicts[number] != clean[number]}
    assert {verdicts[number] for number in changed} == {Verdict.ERROR}
    assert len(changed) == len(poison)
    assert all(bench.model.asked[text] == 2 for text in poison), "once among others, once alone"


async def test_what_was_in_flight_is_retried_one_at_a_time(bench):
    bench.model.poison.add("base64|prompt 0")
    verdicts = await run_through(bench)
    assert verdicts[1] is Verdict.ERROR
    assert "base64|prompt 0" in {text for text, _ in bench.model.asked_again}
    assert len(bench.model.asked_again) > 1
    assert {together for _, together in bench.model.asked_again} == {1}


async def test_a_runtime_that_comes_up_late_is_waited_for(bench):
    bench.model.refuse_starts = MAX_FAILED_STARTS - 1
    verdicts = await run_through(bench)
    assert Verdict.ERROR not in verdicts.values()
    assert bench.checkpoints.verified == bench.model.starts == MAX_FAILED_STARTS


async def test_a_runtime_that_never_comes_up_is_scored_by_the_fixed_rule_and_published(bench):
    bench.model.refuse_starts = 1000
    verdicts = await run_through(bench)
    assert len(verdicts) == TRIALS
    assert set(verdicts.values()) == {Verdict.ERROR}
    assert bench.model.starts == MAX_FAILED_STARTS
    assert not bench.model.asked


async def test_each_unit_that_ends_the_runtime_costs_itself_and_only_three_restarts():
    units = 50
    bench = Bench(members_of(units), in_flight=4)
    guilty = {position for position in range(units) if position != 49}
    bench.model.poison |= {f"{cell}|prompt {position}" for position in guilty for cell in CELLS}
    verdicts = await run_through(bench, attempts=2)
    assert [number for number, verdict in verdicts.items() if verdict is not Verdict.ERROR] == list(range(294, 300))
    # Each death once beside others and once alone, at most.
    assert bench.model.starts <= 1 + 2 * STRIKES * len(guilty)


async def test_a_unit_with_many_deadly_trials_leaves_every_other_trial_its_verdict():
    """One prompt in many cells and attempts cannot use up what others need."""
    clean = await run_through(Bench(in_flight=4), attempts=40)
    bench = Bench(in_flight=4)
    bench.model.poison |= {f"{cell}|prompt 2" for cell in CELLS}
    verdicts = await run_through(bench, attempts=40)
    assert {number // 120 for number in clean if verdicts[number] is not clean[number]} == {2}
    assert {verdicts[number] for number in range(240, 360)} == {Verdict.ERROR}
    assert sum(bench.model.asked[f"{cell}|prompt 2"] for cell in CELLS) <= 2 * STRIKES


async def test_a_unit_that_keeps_the_endpoint_for_itself_in_vain_does_so_three_times():
    """The time that a run is given covers so many deadlines a unit, and no more."""
    clean = await run_through(Bench(in_flight=4), attempts=40)
    bench = Bench(in_flight=4)
    bench.model.slow |= {f"{cell}|prompt 2" for cell in CELLS}
    verdicts = await run_through(bench, attempts=40)
    assert {number // 120 for number in clean if verdicts[number] is not clean[number]} == {2}
    assert {verdicts[number] for number in range(240, 360)} == {Verdict.ERROR}
    assert sum(bench.model.asked[f"{cell}|prompt 2"] for cell in CELLS) == STRIKES


@pytest.mark.parametrize("in_flight", [1, 3, 64])
@pytest.mark.parametrize("family", ["", "one"])
async def test_which_trials_of_a_deadly_unit_are_left_untried_depends_on_nothing_else(in_flight, family):
    """Whatever else is in flight, its trials are tried in the order of the plan until the third death."""
    members = [member(position, unit=family if position in {1, 6} else "") for position in range(8)]
    bench = Bench(members, in_flight=in_flight)
    bench.model.poison |= {"plain|prompt 1", "base64+persona|prompt 1", "base64|prompt 6"}
    verdicts = await run_through(bench)
    failed = [number for number, verdict in verdicts.items() if verdict is Verdict.ERROR]
    assert failed == ([3, 5, 19, 20] if family else [3, 5, 19])


async def test_the_trials_of_one_unit_are_never_tried_side_by_side():
    bench = Bench([member(position, unit="family") for position in range(200)], in_flight=8)
    await run_through(bench)
    assert bench.model.most_together == 1
    assert bench.bank.chunks == [(0, 64), (64, 128), (128, 192), (192, 200)]
