"""Who may start what, when; and what cancelling does."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace

import pytest
from evaluation_fakes import Bench, settle

from heldout_server.domain import (
    CheckpointFacts,
    CheckpointState,
    Manifest,
    RunState,
    Sampling,
    SecretText,
    SystemPrompt,
    TrustClass,
    Verdict,
)
from heldout_server.errors import BudgetExhausted, InvalidRequest, NotFound, RunError, StorageError, WrongState
from heldout_server.evaluation.proposals import CHANGED

BOTH = ("bank_tester", "run_tester")
TRIALS = 21


async def test_a_proposal_fixes_what_is_tested(bench):
    run = await bench.evaluation().propose(bench.request(attempts=2))
    manifest = run.manifest
    assert (run.state, run.planned_trials) == (RunState.PROPOSED, 2 * TRIALS)
    assert (manifest.checkpoint_digest, manifest.epoch_commitment) == ("d" * 64, "e" * 64)
    assert (manifest.judge_digest, manifest.policy_digest) == ("c" * 64, "b" * 64)
    assert (manifest.runtime, manifest.trust.value, manifest.deadline_s) == ("scripted", "contained", 5.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"techniques": ()}, "NO_PLAIN_CELL"),
        ({"techniques": ("base64",)}, "NO_PLAIN_CELL"),
        ({"techniques": ("plain", "unheard-of")}, "INVALID_REQUEST"),
        ({"techniques": ("plain", "base64", "base64")}, "REPEATED_CELL"),
        ({"stacks": (("base64",),)}, "SHORT_STACK"),
        ({"stacks": (("base64", "plain"),)}, "INVALID_REQUEST"),
        ({"stacks": (("base64", "persona"), ("base64", "persona"))}, "REPEATED_CELL"),
        ({"attempts": 0}, "ATTEMPTS"),
    ],
)
async def test_a_plan_that_makes_no_sense_is_refused(bench, changes, reason):
    with pytest.raises(InvalidRequest) as refused:
        await bench.evaluation().propose(bench.request(**changes))
    assert refused.value.reason == reason
    assert not bench.outcomes.runs


async def test_unknown_checkpoints_and_epochs_are_not_found(bench):
    with pytest.raises(NotFound):
        await bench.evaluation().propose(bench.request(checkpoint="nova-v9"))
    with pytest.raises(NotFound):
        await bench.evaluation().propose(bench.request(epoch_id="epoch-9"))
    run = await bench.evaluation().propose(bench.request(epoch_id="epoch-1"))
    assert run.manifest.epoch_id == "epoch-1"


async def test_nothing_is_proposed_without_an_epoch_a_staged_checkpoint_and_its_engine(bench):
    evaluation = bench.evaluation()
    staged = bench.checkpoints.checkpoint
    bench.checkpoints.checkpoint = replace(staged, state=CheckpointState.REFUSED)
    with pytest.raises(WrongState) as refused:
        await evaluation.propose(bench.request())
    assert refused.value.reason == "CHECKPOINT_REFUSED"
    bench.checkpoints.checkpoint = replace(staged, runtime="unheard-of")
    with pytest.raises(WrongState) as refused:
        await evaluation.propose(bench.request())
    assert refused.value.reason == "NO_RUNTIME"
    bench.checkpoints.checkpoint = staged
    bench.bank.epoch = None
    with pytest.raises(WrongState) as refused:
        await evaluation.propose(bench.request())
    assert refused.value.reason == "NO_EPOCH"


async def test_a_run_starts_only_with_every_approval_that_policy_asks_for():
    bench = Bench(approving_roles=BOTH)
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        for identity in ("spiffe://x/bank", "spiffe://x/bank-2", "spiffe://x/unknown"):
            await evaluation.approve(run.run_id, identity=identity, digest=run.digest)
            with pytest.raises(WrongState) as refused:
                await evaluation.start(run.run_id)
            assert refused.value.reason == "NOT_APPROVED"
        assert bench.log == ["run-1 logged approval"] * 3, "nothing was debited"
        await evaluation.approve(run.run_id, identity="spiffe://x/run", digest=run.digest)
        assert (await evaluation.start(run.run_id)).state is RunState.RUNNING
        await settle(evaluation)


async def test_an_approval_of_another_digest_does_not_count(bench):
    run = await bench.evaluation().propose(bench.request())
    with pytest.raises(WrongState):
        await bench.evaluation().approve(run.run_id, identity="spiffe://x/run", digest="0" * 64)


def changed(of, **fields):
    """Return what replaces a frozen value of the bench by one with other fields."""
    name, attribute = of.split(".")

    def change(bench, _options):
        room = getattr(bench, name)
        setattr(room, attribute, replace(getattr(room, attribute), **fields))

    return change


def set_to(of, value):
    name, attribute = of.split(".")
    return lambda bench, _options: setattr(getattr(bench, name), attribute, value)


def option(**options):
    return lambda _bench, taken: taken.update(options)


CHANGES = {
    "policy": (option(policy_digest="0" * 64), "POLICY_CHANGED"),
    "judge": (set_to("judge.digest", "0" * 64), "JUDGE_CHANGED"),
    "another epoch": (changed("bank.epoch", epoch_id="epoch-2", number=2, commitment="9" * 64), "EPOCH_CHANGED"),
    "epoch commitment": (changed("bank.epoch", commitment="9" * 64), "EPOCH_CHANGED"),
    "checkpoint digest": (changed("checkpoints.checkpoint", digest="9" * 64), "CHECKPOINT_CHANGED"),
    "precision": (
        changed("checkpoints.checkpoint", facts=CheckpointFacts(precision="q4_k")),
        "CHECKPOINT_CHANGED",
    ),
    "a technique": (set_to("techniques.version", "2"), "TECHNIQUES_CHANGED"),
    "a card": (lambda bench, _: bench.cards.update(base64="8" * 64), "CARDS_CHANGED"),
    "a card withdrawn": (lambda bench, _: bench.cards.clear(), "CARDS_CHANGED"),
    "a new card": (lambda bench, _: bench.cards.update(persona="8" * 64), "CARDS_CHANGED"),
    "sampling": (option(sampling=Sampling(temperature=0.7)), "SAMPLING_CHANGED"),
    "deadline": (option(deadline_s=6.0), "SAMPLING_CHANGED"),
    "system prompt": (
        option(system=SystemPrompt(profile="other", text=SecretText("Be brief."), digest="1" * 64)),
        "SYSTEM_PROMPT_CHANGED",
    ),
    "containment": (set_to("runtime.trust", TrustClass.ATTESTED), "CONTAINMENT_CHANGED"),
    "engine version": (set_to("runtime.version", "9.9"), "RUNTIME_CHANGED"),
    "dialect": (set_to("runtime.dialect", "vllm"), "RUNTIME_CHANGED"),
    "filters": (set_to("runtime.filters", ("guard",)), "RUNTIME_CHANGED"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_approvals_hold_only_while_everything_is_as_it_was_approved(what):
    """Or a run would spend a release on something that nobody approved."""
    bench = Bench(approving_roles=BOTH)
    run = await bench.evaluation().propose(bench.request())
    for identity in ("spiffe://x/bank", "spiffe://x/run"):
        await bench.evaluation().approve(run.run_id, identity=identity, digest=run.digest)
    change, reason = CHANGES[what]
    options = {}
    change(bench, options)
    log = list(bench.log)
    evaluation = bench.evaluation(**options)
    with pytest.raises(WrongState) as refused:
        await evaluation.start(run.run_id)
    assert refused.value.reason == reason
    assert bench.log == log
    anew = await evaluation.propose(bench.request())
    assert anew.digest != run.digest
    with pytest.raises(WrongState) as refused:
        await evaluation.start(anew.run_id)
    assert refused.value.reason == "NOT_APPROVED"


def test_every_field_of_a_manifest_that_can_change_has_a_reason():
    chosen = {"checkpoint", "techniques", "stacks", "attempts", "allow_exposed", "anchor"}  # by whoever proposes
    assert set(CHANGED) == {one.name for one in fields(Manifest)} - chosen


async def test_a_card_of_a_technique_that_is_not_tried_changes_nothing(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request(stacks=()))
        bench.cards["persona"] = "8" * 64
        await evaluation.start(run.run_id)
        await settle(evaluation)
    assert run.manifest.cards == (("base64", "f" * 64),)


async def test_who_approved_stands_in_the_log_before_the_approval_counts():
    bench = Bench(approving_roles=BOTH)
    evaluation = bench.evaluation()
    run = await evaluation.propose(bench.request())
    bench.audit.failing = True
    with pytest.raises(StorageError):
        await evaluation.approve(run.run_id, identity="spiffe://x/run", digest=run.digest)
    assert (await bench.outcomes.get(run.run_id)).approvals == ()
    bench.audit.failing = False
    await evaluation.approve(run.run_id, identity="spiffe://x/run", digest=run.digest)
    (record,) = [one for one in bench.audit.records if one.name == "approval"]
    assert record.details == {
        "action": "given",
        "run_id": run.run_id,
        "manifest_digest": run.digest,
        "template": run.template,
        "identity": "spiffe://x/run",
    }


async def test_a_run_starts_once(bench):
    async with bench.evaluation() as evaluation:
        run = await bench.start(evaluation)
        with pytest.raises(WrongState):
            await evaluation.start(run.run_id)
        await settle(evaluation)
    assert bench.log.count("run-1 reserved") == 1


async def test_nothing_starts_without_budget_or_without_the_log(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        bench.desk.left = 0
        with pytest.raises(BudgetExhausted):
            await evaluation.start(run.run_id)
        bench.desk.left, bench.audit.failing = 1, True
        with pytest.raises(StorageError):
            await evaluation.start(run.run_id)
    assert bench.outcomes.runs["run-1"].state is RunState.PROPOSED
    assert not bench.model.asked


async def test_a_cancelled_proposal_is_never_published(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        assert (await evaluation.cancel(run.run_id)).state is RunState.CANCELLED
        assert (await settle(evaluation)).finished_trials == 0
        for act in (evaluation.start, evaluation.cancel):
            with pytest.raises(WrongState):
                await act(run.run_id)
    assert bench.log == ["run-1 logged cancelled", "run-1 cancelled"]


async def test_cancelling_a_running_run_scores_nothing_more_and_publishes(bench):
    bench.model.stall_text = "plain|prompt 3"  # trial 9: those before it finish, and some after it
    bench.options["in_flight"] = 1
    bench.model.arrivals_wanted = 10
    async with bench.evaluation() as evaluation:
        run = await bench.start(evaluation)
        await bench.model.arrived.wait()
        cancelled = await evaluation.cancel(run.run_id)
    assert cancelled.state is RunState.PUBLISHED
    assert cancelled.cancelled
    verdicts = bench.outcomes.verdicts()
    assert list(verdicts) == list(range(9))
    assert Verdict.ERROR not in verdicts.values()
    assert bench.log[2:] == [
        "run-1 marked cancelled",
        "run-1 logged cancelled",
        "run-1 complete",
        "run-1 published",
    ]


async def test_cancelling_a_waiting_run_does_not_wait_for_the_one_before_it(bench):
    bench.model.hold, bench.model.arrivals_wanted = True, 4
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        second = await bench.start(evaluation)
        await bench.model.arrived.wait()
        assert (await evaluation.cancel(second.run_id)).state is RunState.PUBLISHED
        assert bench.outcomes.verdicts("run-2") == {}
        assert bench.outcomes.runs["run-1"].state is RunState.RUNNING
        bench.model.release.set()
        await settle(evaluation)
    assert Verdict.ERROR not in bench.outcomes.verdicts("run-1").values()


async def test_cancelling_publishes_a_run_whose_checkpoint_is_gone(bench):
    bench.checkpoints.tampered = True
    async with bench.evaluation() as evaluation:
        run = await bench.start(evaluation)
        with pytest.raises(RunError):
            await settle(evaluation)
        assert (await evaluation.cancel(run.run_id)).state is RunState.PUBLISHED
        assert evaluation.failures == {}


async def test_a_cancel_that_fails_on_the_way_says_so(bench):
    bench.model.hold, bench.model.arrivals_wanted = True, 4
    async with bench.evaluation() as evaluation:
        run = await bench.start(evaluation)
        await bench.model.arrived.wait()
        bench.audit.failing = True
        with pytest.raises(RunError) as failed:
            await evaluation.cancel(run.run_id)
        assert failed.value.reason == "STORAGE"
    assert bench.outcomes.runs["run-1"].state is RunState.RUNNING
    bench.audit.failing = False
    bench.model.asked.clear()
    async with bench.evaluation() as evaluation:  # the mark holds
        await evaluation.resume()
        ended = await settle(evaluation)
    assert (ended.run.state, ended.run.cancelled, ended.finished_trials) == (RunState.PUBLISHED, True, 0)
    assert not bench.model.asked


async def test_a_cancel_that_comes_after_the_last_trial_and_before_the_end_holds(bench):
    """The log says one thing of the end of a run: that it was cancelled, or that it is complete."""
    async with bench.evaluation() as evaluation:
        bench.model.stall_text = "plain|prompt 8"  # the last trial
        bench.model.arrivals_wanted = TRIALS
        run = await bench.start(evaluation)
        await bench.model.arrived.wait()
        async with evaluation._moving:
            bench.model.release.set()
            assert [p.finished_trials async for p in _until_finished(evaluation, run.run_id)][-1] == TRIALS
            await bench.outcomes.cancel(run.run_id)
        ended = await settle(evaluation)
    assert ended.run.cancelled
    assert "run-1 logged complete" not in bench.log
    assert bench.log.count("run-1 logged cancelled") == 1


async def test_the_exact_figures_of_a_cancelled_run_are_over_what_was_tried(bench):
    bench.model.stall_text = "plain|prompt 3"
    bench.options["in_flight"] = 1
    bench.model.arrivals_wanted = 10
    async with bench.evaluation() as evaluation:
        run = await bench.start(evaluation)
        await bench.model.arrived.wait()
        await evaluation.cancel(run.run_id)
        rows = {(row.table, row.key): row for row in await evaluation.results(run.run_id)}
    unsafe = [bench.outcomes.verdicts()[number] for number in (0, 3, 6)].count(Verdict.UNSAFE)
    plain = rows["technique", "plain"]
    assert (plain.units, plain.trials, plain.rate) == (3, 3, unsafe / 3)
    assert rows["non_answers", "all"].trials == 9
    assert ("over_refusal", "all") not in rows


async def test_a_published_run_cannot_be_cancelled(bench):
    async with bench.evaluation() as evaluation:
        run = await bench.start(evaluation)
        await settle(evaluation)
        with pytest.raises(WrongState):
            await evaluation.cancel(run.run_id)
        with pytest.raises(NotFound):
            await evaluation.cancel("run-9")


async def test_shutting_down_while_a_cancel_waits_tells_the_caller(bench):
    bench.model.hold, bench.model.arrivals_wanted = True, 4
    publishing = asyncio.Event()

    async def never(_run_id):
        publishing.set()
        await asyncio.Event().wait()

    bench.desk.publish = never
    async with asyncio.TaskGroup() as group:
        async with bench.evaluation() as evaluation:
            run = await bench.start(evaluation)
            await bench.model.arrived.wait()
            cancelling = group.create_task(_reason_of(evaluation.cancel(run.run_id)))
            await publishing.wait()
        assert await cancelling == "SHUTDOWN"
    assert bench.outcomes.runs["run-1"].state is RunState.COMPLETE


async def _until_finished(evaluation, run_id):
    async for progress in evaluation.watch(run_id):
        yield progress
        if progress.finished_trials == TRIALS:
            return


async def _reason_of(call):
    with pytest.raises(RunError) as failed:
        await call
    return failed.value.reason


PLAN = Bench.request(checkpoint="")


async def test_a_submission_proposes_and_starts_once(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.submit("nova-v1", PLAN)
        assert (run.state, run.submitted) == (RunState.RUNNING, True)
        assert await evaluation.submit("nova-v1", PLAN) is None
        await settle(evaluation)
        assert await evaluation.submit("nova-v1", PLAN) is None
    assert list(bench.outcomes.runs) == ["run-1"]


async def test_a_submission_that_was_cut_off_before_its_start_goes_on_with_the_same_run(bench):
    """The process ended between the two, or the log could not be written, any number of times."""
    bench.audit.failing = True
    for _ in range(3):
        async with bench.evaluation() as evaluation:
            with pytest.raises(StorageError):
                await evaluation.submit("nova-v1", PLAN)
    bench.audit.failing = False
    async with bench.evaluation() as evaluation:
        await evaluation.submit("nova-v1", PLAN)
        await settle(evaluation)
    assert [run.state for run in bench.outcomes.runs.values()] == [RunState.PUBLISHED]
    assert bench.log.count("run-1 reserved") == 1


async def test_a_submission_leaves_a_persons_proposal_alone_and_what_was_started_or_dropped(bench):
    async with bench.evaluation() as evaluation:
        await evaluation.propose(bench.request())
        run = await evaluation.submit("nova-v1", PLAN)
        assert run.run_id == "run-2"
        await settle(evaluation, "run-2")
    assert bench.outcomes.runs["run-1"].state is RunState.PROPOSED
    dropped = Bench()
    async with dropped.evaluation() as evaluation:
        await evaluation.cancel((await evaluation.propose(dropped.request())).run_id)
        assert await evaluation.submit("nova-v1", PLAN) is None


async def test_a_submission_left_under_another_policy_is_proposed_anew(bench):
    earlier = await bench.evaluation().propose(bench.request())
    bench.outcomes.runs["run-1"] = replace(earlier, submitted=True)
    async with bench.evaluation(policy_digest="0" * 64) as evaluation:
        run = await evaluation.submit("nova-v1", PLAN)
        assert (run.run_id, run.manifest.policy_digest) == ("run-2", "0" * 64)
        await settle(evaluation, "run-2")
