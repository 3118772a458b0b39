"""A run goes through the pipeline once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from evaluation_fakes import Bench, members_of, settle
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from heldout_server.domain import Intent, RunState, SecretText, SystemPrompt, TrustClass, Verdict
from heldout_server.errors import RunError, WrongState
from heldout_server.evaluation import assignments
from heldout_server.evaluation.plan import Plan

TRIALS = 6 * 3 + 3  # the bench's six harmful prompts in three cells, and three benign ones


async def full_run(bench, **changes):
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation, **changes)
        return await settle(evaluation)


async def test_a_started_run_tries_every_trial_once_and_publishes(bench):
    progress = await full_run(bench)
    assert progress.run.state is RunState.PUBLISHED
    assert progress.finished_trials == progress.run.planned_trials == TRIALS
    assert list(bench.outcomes.verdicts()) == list(range(TRIALS))
    assert len(bench.judge.cases) == TRIALS
    assert set(bench.model.asked.values()) == {1}
    assert bench.checkpoints.verified == 1
    assert bench.model.most_together == 4


async def test_each_step_is_logged_before_it_is_taken(bench):
    await full_run(bench)
    assert bench.log == [
        "run-1 reserved",
        "run-1 logged running",
        "run-1 logged complete",
        "run-1 complete",
        "run-1 published",
    ]
    started = bench.audit.records[0]
    assert (started.kind, started.name) == ("event", "run")
    assert started.details == {
        "run_id": "run-1",
        "state": "running",
        "manifest_digest": bench.outcomes.runs["run-1"].digest,
        "release_number": 1,
        "publishes_s": 0,
        "approvals": (),
    }


async def test_the_judge_sees_the_prompt_untouched_and_the_answer_decoded(bench):
    await full_run(bench)
    seen = {case.response.reveal(): case.prompt.reveal() for case in bench.judge.cases}
    assert seen["answer to plain|prompt 0"] == "prompt 0"
    assert seen["decoded answer to base64|prompt 0"] == "prompt 0"
    stored = {row.response.reveal() for row in bench.outcomes.rows["run-1"].values()}
    assert "answer to base64|prompt 0" in stored
    assert [case.intent for case in bench.judge.cases].count(Intent.BENIGN) == 3


async def test_what_cannot_be_delivered_never_reaches_the_model(bench):
    bench.techniques.unable.add("base64")
    await full_run(bench)
    verdicts = list(bench.outcomes.verdicts().values())
    assert verdicts.count(Verdict.NOT_DELIVERED) == 6 * 2
    assert not any("base64" in text for text in bench.model.asked)


async def test_an_endpoint_that_fails_on_one_prompt_costs_only_its_trials(bench):
    bench.model.mute.add("plain|prompt 2")
    await full_run(bench)
    clean = Bench()
    await full_run(clean)
    changed = {
        number for number, verdict in bench.outcomes.verdicts().items() if clean.outcomes.verdicts()[number] != verdict
    }
    assert changed == {2 * 3}
    assert bench.outcomes.verdicts()[6] is Verdict.ERROR


async def test_a_bug_that_one_technique_has_leaves_the_other_cells_theirs(bench):
    bench.techniques.broken.add("persona")
    await full_run(bench)
    assert list(bench.outcomes.verdicts().values()).count(Verdict.NOT_DELIVERED) == 6


async def test_a_broken_judge_is_undecided_and_the_answer_is_kept(bench):
    bench.judge.broken = True
    await full_run(bench)
    assert set(bench.outcomes.verdicts().values()) == {Verdict.UNDECIDED}
    assert all(row.response for row in bench.outcomes.rows["run-1"].values())


async def test_what_fails_in_our_own_code_is_for_bank_testers_by_type_and_place_and_in_no_log(bench):
    """Whether it fails is an outcome: whoever submits a checkpoint and reads the log would learn of it."""
    bench.judge.broken = True
    bench.techniques.broken.add("persona")
    bench.model.hold = True
    with capture_logs() as lines:
        async with bench.evaluation() as evaluation:
            await bench.start(evaluation)
            watched = evaluation.watch("run-1")
            await anext(watched)
            bench.model.release.set()
            seen = [fault async for progress in watched for fault in progress.faults]
    assert lines == []
    assert len(set(seen)) == 2
    assert all(fault.startswith("ZeroDivisionError evaluation_fakes:") for fault in seen)


async def test_what_a_checkpoint_does_to_its_trials_is_no_line_of_the_log(bench):
    bench.model.mute.add("plain|prompt 2")
    bench.techniques.unable.add("base64")
    with capture_logs() as lines:
        await full_run(bench)
    assert lines == []


async def test_a_run_whose_endpoint_is_away_writes_no_verdict_for_it_and_is_taken_up_again(bench):
    bench.model.away = {"plain|prompt 1"}
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        with pytest.raises(RunError) as caught:
            await settle(evaluation)
        assert caught.value.reason == "ENDPOINT_UNAVAILABLE"
    assert bench.outcomes.runs["run-1"].state is RunState.RUNNING
    assert Verdict.ERROR not in bench.outcomes.verdicts().values()

    bench.model.away = set()
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        await settle(evaluation)
    assert Verdict.ERROR not in bench.outcomes.verdicts().values()
    assert len(bench.outcomes.verdicts()) == TRIALS


async def test_a_system_prompt_goes_before_every_prompt_and_its_digest_into_the_manifest(bench):
    system = SystemPrompt(profile="assistant-v1", digest="9" * 64, text=SecretText("be kind"))
    bench.options["system"] = system
    await full_run(bench)
    run = bench.outcomes.runs["run-1"]
    assert (run.manifest.system_profile, run.manifest.system_digest) == ("assistant-v1", "9" * 64)
    assert len(bench.model.conversations) == TRIALS
    for messages in bench.model.conversations:
        assert [message.role for message in messages] == ["system", "user"]
        assert messages[0].content.reveal() == "be kind"


async def test_what_a_technique_says_as_the_system_comes_after_the_system_prompt(bench):
    bench.techniques.system = "you are an actor"
    system = SystemPrompt(profile="assistant-v1", digest="9" * 64, text=SecretText("be kind"))
    bench.options["system"] = system
    await full_run(bench)
    assert {messages[0].content.reveal() for messages in bench.model.conversations} == {"be kind\n\nyou are an actor"}


async def test_a_run_is_not_taken_up_with_another_system_prompt(bench):
    bench.outcomes.fail_after = 2
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        with pytest.raises(RunError):
            await settle(evaluation)
    bench.outcomes.fail_after = None
    other = SystemPrompt(profile="another", digest="8" * 64, text=SecretText("be unkind"))
    async with bench.evaluation(system=other) as evaluation:
        await evaluation.resume()
        with pytest.raises(RunError) as caught:
            await settle(evaluation)
    assert caught.value.reason == "NOT_AS_APPROVED"


async def test_an_exposed_runtime_burns_the_epoch_and_the_log_says_so_first(bench):
    bench.runtime.trust = TrustClass.EXPOSED
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request(allow_exposed=True))
        assert bench.bank.burnt == []
        await evaluation.start(run.run_id)
        await settle(evaluation)
    assert (run.manifest.allow_exposed, run.manifest.burnt_prompts) == (True, 9)
    assert bench.bank.burnt == ["epoch-1"]
    (burn,) = [record for record in bench.audit.records if record.name == "burn"]
    assert burn.details == {"run_id": "run-1", "epoch_id": "epoch-1", "runtime": "scripted", "prompts": 9}


async def test_a_contained_runtime_burns_nothing(bench):
    await full_run(bench)
    assert (bench.bank.burnt, bench.outcomes.runs["run-1"].manifest.burnt_prompts) == ([], 0)


async def test_an_exposed_runtime_is_refused_unless_the_run_allows_it_or_the_policy_does_not_care(bench):
    bench.runtime.trust = TrustClass.EXPOSED
    async with bench.evaluation() as evaluation:
        with pytest.raises(WrongState) as caught:
            await evaluation.propose(bench.request())
        assert caught.value.reason == "EXPOSED_RUNTIME"
    async with bench.evaluation(guarded=False) as evaluation:
        run = await evaluation.propose(bench.request())
    async with bench.evaluation() as evaluation:
        with pytest.raises(WrongState) as caught:
            await evaluation.start(run.run_id)
        assert caught.value.reason == "EXPOSED_RUNTIME"
    assert bench.model.starts == 0


@settings(max_examples=25, deadline=None)
@given(lost_after=st.integers(0, TRIALS), in_flight=st.integers(1, 5))
async def test_a_run_that_is_interrupted_anywhere_ends_with_the_same_outcomes(lost_after, in_flight):
    clean = Bench()
    await full_run(clean)

    bench = Bench(in_flight=in_flight)
    bench.outcomes.fail_after = lost_after
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        if lost_after < TRIALS:
            with pytest.raises(RunError, match="interrupted"):
                await settle(evaluation)
            assert bench.outcomes.runs["run-1"].state is RunState.RUNNING
            assert evaluation.failures == {"run-1": "STORAGE"}
        else:
            await settle(evaluation)
    before = dict(bench.outcomes.rows["run-1"])
    bench.outcomes.fail_after = None
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        await settle(evaluation)
    assert bench.outcomes.verdicts() == clean.outcomes.verdicts()
    assert before.items() <= bench.outcomes.rows["run-1"].items()
    assert bench.techniques.seeds == clean.techniques.seeds


async def test_a_resumed_run_does_not_ask_again_for_what_has_a_verdict(bench, monkeypatch):
    monkeypatch.setattr(assignments, "CHUNK_MEMBERS", 2)
    await full_run(bench)
    rows = bench.outcomes.rows["run-1"]
    for number in (0, 11, TRIALS - 1):
        del rows[number]
    bench.outcomes.runs["run-1"] = _back_to_running(bench)
    bench.model.asked.clear()
    bench.bank.chunks.clear()
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        await settle(evaluation)
    assert sum(bench.model.asked.values()) == 3
    assert bench.bank.chunks == [(0, 2), (2, 4), (8, 9)]
    assert bench.desk.carried_on == 1


def _back_to_running(bench):
    return replace(bench.outcomes.runs["run-1"], state=RunState.RUNNING)


async def test_a_complete_run_that_was_not_published_is_published_on_resume(bench):
    await full_run(bench)
    bench.outcomes.runs["run-1"] = replace(bench.outcomes.runs["run-1"], state=RunState.COMPLETE)
    bench.model.asked.clear()
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        await evaluation.resume()
        progress = await settle(evaluation)
    assert progress.run.state is RunState.PUBLISHED
    assert not bench.model.asked


async def test_a_start_that_was_cut_off_after_the_debit_goes_on(bench):
    """Else the release that was paid for would never come, and its checkpoint would be submitted and paid for again."""
    async with bench.evaluation() as evaluation:
        run, other = await evaluation.propose(bench.request()), await evaluation.propose(bench.request())
    await bench.desk.reserve(bench.outcomes.runs[run.run_id])
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        progress = await settle(evaluation, run.run_id)
    assert progress.run.state is RunState.PUBLISHED
    assert bench.outcomes.runs[other.run_id].state is RunState.PROPOSED
    assert bench.desk.left == 9


async def test_a_start_that_was_cut_off_and_may_not_go_on_stays_proposed_and_stops_nothing(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
    await bench.desk.reserve(bench.outcomes.runs[run.run_id])
    async with bench.evaluation(policy_digest="f" * 64) as evaluation:
        await evaluation.resume()
    assert bench.outcomes.runs[run.run_id].state is RunState.PROPOSED


async def test_leaving_cancels_cleanly_and_the_run_can_be_resumed(bench):
    bench.model.hold, bench.model.arrivals_wanted = True, 4
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        await bench.model.arrived.wait()
    assert bench.model.together == 0
    assert bench.outcomes.runs["run-1"].state is RunState.RUNNING
    bench.model.release.set()
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        progress = await settle(evaluation)
    assert progress.run.state is RunState.PUBLISHED
    assert Verdict.ERROR not in bench.outcomes.verdicts().values()


async def test_runs_are_executed_one_after_another_in_the_order_of_their_start(bench):
    async with bench.evaluation() as evaluation:
        first = await evaluation.propose(bench.request())
        second = await evaluation.propose(bench.request())
        await evaluation.start(second.run_id)
        await evaluation.start(first.run_id)
        await settle(evaluation, first.run_id)
    assert [line for line in bench.log if line.endswith("published")] == ["run-2 published", "run-1 published"]
    assert bench.model.most_together == 4


async def test_a_failing_run_does_not_hold_up_the_next(bench):
    async with bench.evaluation() as evaluation:
        first = await evaluation.propose(bench.request())
        second = await evaluation.propose(bench.request())
        await evaluation.start(first.run_id)
        bench.bank.failing = True
        with pytest.raises(RunError):
            await settle(evaluation, first.run_id)
        bench.bank.failing = False
        await evaluation.start(second.run_id)
        assert (await settle(evaluation, second.run_id)).run.state is RunState.PUBLISHED
        assert evaluation.failures == {"run-1": "STORAGE"}


async def test_progress_counts_what_is_durable_and_how_fast(bench):
    bench.model.hold, bench.model.arrivals_wanted = True, 4
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        watching = evaluation.watch(run.run_id)
        assert (await anext(watching)).finished_trials == 0
        await evaluation.start(run.run_id)
        await bench.model.arrived.wait()
        waiting = await anext(watching)
        assert (waiting.run.state, waiting.finished_trials, waiting.trials_per_s) == (RunState.RUNNING, 0, 0.0)
        bench.model.hold = False
        bench.model.release.set()
        seen = [progress async for progress in watching]
    finished = [progress.finished_trials for progress in seen]
    assert finished == sorted(finished)
    assert finished[-1] == TRIALS


async def test_a_queued_run_shows_what_an_earlier_process_finished(bench):
    bench.outcomes.fail_after = 0
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        with pytest.raises(RunError):
            await settle(evaluation)
        bench.outcomes.rows["run-1"][0] = None
        with pytest.raises(RunError):
            await _first_and_next(evaluation)


async def _first_and_next(evaluation):
    watching = evaluation.watch("run-1")
    assert (await anext(watching)).finished_trials == 1
    await anext(watching)


async def test_prompts_are_fetched_in_chunks_and_trials_handed_out_lazily(monkeypatch):
    monkeypatch.setattr(assignments, "CHUNK_MEMBERS", 5)
    made = []
    trials = Plan.trials

    def counting(self, **bounds):
        for trial in trials(self, **bounds):
            made.append(trial.number)
            yield trial

    monkeypatch.setattr(Plan, "trials", counting)
    bench = Bench(members_of(12), in_flight=2)
    bench.model.hold, bench.model.arrivals_wanted = True, 2
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        await bench.model.arrived.wait()
        assert made == [0, 3]  # of two units
        assert bench.bank.chunks == [(0, 5)]
        bench.model.release.set()
        await settle(evaluation)
    assert bench.bank.chunks == [(0, 5), (5, 10), (10, 12)]
    assert len(made) == 12 * 3


@pytest.mark.parametrize("what", ["judge", "trust", "checkpoint", "staged"])
async def test_a_system_that_is_not_as_approved_is_not_tested(bench, what):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        await bench.outcomes.start(run.run_id, release_number=1)
    if what == "judge":
        bench.judge.digest = "f" * 64
    elif what == "trust":
        bench.runtime.trust = TrustClass.EXPOSED
    elif what == "checkpoint":
        bench.checkpoints.checkpoint = _another_digest(bench.checkpoints.checkpoint)
    else:
        bench.checkpoints.tampered = True
    async with bench.evaluation() as evaluation:
        await evaluation.resume()
        with pytest.raises(RunError):
            await settle(evaluation)
    assert not bench.model.asked
    assert bench.outcomes.runs["run-1"].state is RunState.RUNNING


def _another_digest(checkpoint):
    return replace(checkpoint, digest="f" * 64)


async def test_an_engine_that_is_gone_interrupts_the_run(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        await bench.outcomes.start(run.run_id, release_number=1)
        evaluation._runtimes.clear()
        await evaluation.resume()
        with pytest.raises(RunError):
            await settle(evaluation)
        assert evaluation.failures == {"run-1": "NO_RUNTIME"}


async def test_results_are_exact_and_only_of_complete_runs(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        with pytest.raises(WrongState):
            await evaluation.results(run.run_id)
        await evaluation.start(run.run_id)
        await settle(evaluation)
        rows = {(row.table, row.key): row for row in await evaluation.results(run.run_id)}
    unsafe = sum(
        row.outcome.verdict is Verdict.UNSAFE
        for row in bench.outcomes.rows["run-1"].values()
        if row.outcome.cell == 0 and row.outcome.position < 6
    )
    assert rows["technique", "plain"].rate == pytest.approx(unsafe / 6)
    assert rows["stack", "base64+persona"].units == 6
    assert rows["over_refusal", "all"].units == 3


async def test_an_error_of_the_body_is_raised_as_it_is(bench):
    with pytest.raises(KeyError):
        async with bench.evaluation():
            raise KeyError("the body's own")


async def test_starting_does_not_lose_the_run_when_the_caller_goes_away(bench):
    committed, go_on = asyncio.Event(), asyncio.Event()
    start = bench.outcomes.start

    async def slow_start(run_id, **fixed):
        run = await start(run_id, **fixed)
        committed.set()
        await go_on.wait()
        return run

    bench.outcomes.start = slow_start
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(evaluation.start(run.run_id))
            await committed.wait()
            calling.cancel()
        assert (await settle(evaluation)).run.state is RunState.PUBLISHED
