"""A runtime that dies costs the culprit its verdict, and nobody else."""

from __future__ import annotations

import pytest
from evaluation_fakes import Bench, members_of, settle

from heldout_server.domain import RunState, Verdict
from heldout_server.evaluation import attack

TRIALS = 21


async def run_through(bench):
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
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
    bench.model.refuse_starts = attack.MAX_FAILED_STARTS - 1
    verdicts = await run_through(bench)
    assert Verdict.ERROR not in verdicts.values()
    assert bench.checkpoints.verified == bench.model.starts == attack.MAX_FAILED_STARTS


async def test_a_runtime_that_never_comes_up_is_scored_by_the_fixed_rule_and_published(bench):
    bench.model.refuse_starts = 1000
    verdicts = await run_through(bench)
    assert len(verdicts) == TRIALS
    assert set(verdicts.values()) == {Verdict.ERROR}
    assert bench.model.starts == attack.MAX_FAILED_STARTS
    assert not bench.model.asked


async def test_restarts_are_bounded(monkeypatch):
    monkeypatch.setattr(attack, "MAX_RESTARTS", 5)
    bench = Bench(members_of(50), in_flight=2)
    bench.model.poison |= {f"plain|prompt {position}" for position in range(50)}
    verdicts = await run_through(bench)
    assert bench.model.starts == 6
    assert len(verdicts) == 150
    assert list(verdicts.values()).count(Verdict.ERROR) > 50
