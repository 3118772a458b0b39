"""Runs move forward only; verdicts are stored once and counted; responses stay sealed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heldout_server.domain import Outcome, Preflight, PreflightFinding, RunState, SecretText, Verdict
from heldout_server.errors import IntegrityError, InvalidRequest, NotFound, StorageError, WrongKey, WrongState
from heldout_server.outcomes import manifest_digest
from heldout_server.outcomes.schema import VERDICT_CODES
from heldout_server.ports.outcomes import Aside, JudgedTrial, VerdictCount

CANARY = "a mild answer about teapots"
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))


def judged(trial, verdict=Verdict.REFUSED, text="No.", position=0, cell=0):
    return JudgedTrial(Outcome(trial, position, cell, verdict), SecretText(text))


def raw(outcomes, statement, values=()):
    """Work on the tables below the door."""
    return outcomes._database.write_now(lambda connection: connection.execute(statement, values).fetchall())


@pytest.fixture
async def running(outcomes, make):
    """Return the id of a run that takes verdicts."""
    run = await outcomes.create(make(), planned_trials=12)
    return (await outcomes.start(run.run_id, release_number=1)).run_id


async def test_a_new_run_is_proposed_and_says_what_it_will_test(outcomes, make):
    run = await outcomes.create(make(), planned_trials=12)
    assert run == await outcomes.get(run.run_id)
    assert (run.manifest, run.digest, run.state) == (make(), manifest_digest(make()), RunState.PROPOSED)
    assert (run.release_number, run.approvals, run.planned_trials) == (0, (), 12)
    assert (run.created_s, run.started_s) == (1_700_000_000, 0)


async def test_a_start_takes_the_time_and_the_release_number(outcomes, make, clock):
    run = await outcomes.create(make(), planned_trials=12)
    clock.time_s += 60
    started = await outcomes.start(run.run_id, release_number=4)
    assert (started.state, started.release_number, started.started_s) == (RunState.RUNNING, 4, 1_700_000_060)
    assert started == await outcomes.get(run.run_id)
    with pytest.raises(WrongState):
        await outcomes.start(run.run_id, release_number=5)
    assert (await outcomes.get(run.run_id)).release_number == 4


async def test_a_start_takes_the_slot_and_the_latest_of_all_runs_is_known(outcomes, make):
    first, second, third = [await outcomes.create(make(), planned_trials=12) for _ in range(3)]
    assert await outcomes.latest_slot() == 0
    started = await outcomes.start(first.run_id, release_number=1, publishes_s=1_700_003_600)
    await outcomes.start(second.run_id, release_number=2, publishes_s=1_700_007_200)
    await outcomes.start(third.run_id, release_number=3)
    assert (started.publishes_s, (await outcomes.get(third.run_id)).publishes_s) == (1_700_003_600, 0)
    assert await outcomes.latest_slot() == 1_700_007_200


async def test_a_run_goes_its_way_to_published(outcomes, running):
    await outcomes.move(running, expected=RunState.RUNNING, state=RunState.COMPLETE)
    run = await outcomes.move(running, expected=RunState.COMPLETE, state=RunState.PUBLISHED)
    assert run.state is RunState.PUBLISHED


async def test_a_move_from_a_state_that_the_run_is_not_in_changes_nothing(outcomes, running):
    with pytest.raises(WrongState) as caught:
        await outcomes.move(running, expected=RunState.COMPLETE, state=RunState.PUBLISHED)
    assert caught.value.reason == "RUN_STATE"
    assert (await outcomes.get(running)).state is RunState.RUNNING


async def test_a_running_run_is_marked_as_cancelled_for_good_and_only_a_running_one(outcomes, make, running):
    assert not (await outcomes.get(running)).cancelled
    marked = await outcomes.cancel(running)
    assert (marked.state, marked.cancelled) == (RunState.RUNNING, True)
    assert await outcomes.cancel(running) == marked
    await outcomes.move(running, expected=RunState.RUNNING, state=RunState.COMPLETE)
    assert (await outcomes.get(running)).cancelled
    proposed = await outcomes.create(make(), planned_trials=12)
    for run_id in (running, proposed.run_id):
        with pytest.raises(WrongState):
            await outcomes.cancel(run_id)
    assert not (await outcomes.get(proposed.run_id)).cancelled
    with pytest.raises(NotFound):
        await outcomes.cancel("run-none")


async def test_a_run_that_the_appliance_proposes_itself_is_told_from_others(outcomes, make):
    assert (await outcomes.create(make(), planned_trials=12, submitted=True)).submitted
    assert not (await outcomes.create(make(), planned_trials=12)).submitted


LEGAL = {
    (RunState.PROPOSED, RunState.CANCELLED),
    (RunState.RUNNING, RunState.COMPLETE),
    (RunState.COMPLETE, RunState.PUBLISHED),
}


@pytest.mark.parametrize(("expected", "state"), sorted(set(itertools.product(RunState, RunState)) - LEGAL))
async def test_there_is_no_other_move(outcomes, expected, state):
    with pytest.raises(WrongState) as caught:
        await outcomes.move("run-any", expected=expected, state=state)
    assert caught.value.reason == "NO_SUCH_MOVE"


async def test_a_cancelled_run_neither_starts_nor_takes_approvals(outcomes, make):
    run = await outcomes.create(make(), planned_trials=12)
    await outcomes.move(run.run_id, expected=RunState.PROPOSED, state=RunState.CANCELLED)
    with pytest.raises(WrongState):
        await outcomes.start(run.run_id, release_number=1)
    with pytest.raises(WrongState):
        await outcomes.approve(run.run_id, identity="a", digest=run.digest)


async def test_approvals_stand_once_by_identity_in_their_order(outcomes, make):
    run = await outcomes.create(make(), planned_trials=12)
    other = await outcomes.create(make(), planned_trials=12)
    for identity in ("b", "a", "b"):
        approved = await outcomes.approve(run.run_id, identity=identity, digest=run.digest)
    assert approved.approvals == ("b", "a")
    assert (await outcomes.get(other.run_id)).approvals == ()


async def test_an_approval_of_another_digest_is_refused(outcomes, make):
    run = await outcomes.create(make(), planned_trials=12)
    with pytest.raises(WrongState) as caught:
        await outcomes.approve(run.run_id, identity="a", digest="0" * 64)
    assert caught.value.reason == "DIGEST_DIFFERS"
    assert (await outcomes.get(run.run_id)).approvals == ()


async def test_runs_are_paged_in_the_order_of_their_creation(outcomes, make):
    created = [(await outcomes.create(make(), planned_trials=1)).run_id for _ in range(5)]
    await outcomes.start(created[1], release_number=1)
    await outcomes.start(created[4], release_number=2)
    first = await outcomes.list(after="", limit=3)
    second = await outcomes.list(after=first[-1].run_id, limit=3)
    assert [run.run_id for run in first + second] == created
    in_state = await outcomes.list(after=created[1], limit=9, state=RunState.RUNNING)
    assert [run.run_id for run in in_state] == [created[4]]
    with pytest.raises(InvalidRequest):
        await outcomes.list(after="run-unknown", limit=3)


async def test_an_unknown_run_is_not_found_by_any_door(outcomes):
    calls = (
        outcomes.get("run-x"),
        outcomes.approve("run-x", identity="a", digest="0" * 64),
        outcomes.start("run-x", release_number=1),
        outcomes.move("run-x", expected=RunState.RUNNING, state=RunState.COMPLETE),
        outcomes.record("run-x", [judged(0)]),
        outcomes.finished("run-x"),
        outcomes.counts("run-x"),
        outcomes.response("run-x", 0),
    )
    for call in calls:
        with pytest.raises(NotFound):
            await call


async def test_a_changed_manifest_is_noticed(outcomes, make):
    run = await outcomes.create(make(), planned_trials=1)
    raw(outcomes, "UPDATE run SET manifest = replace(manifest, 'step-100', 'step-200')")
    with pytest.raises(IntegrityError) as caught:
        await outcomes.get(run.run_id)
    assert caught.value.reason == "MANIFEST_CHANGED"


async def test_verdicts_are_counted_by_prompt_and_cell(outcomes, running):
    trials = [
        judged(0, Verdict.UNSAFE, position=0, cell=0),
        judged(1, Verdict.REFUSED, position=0, cell=0),
        judged(2, Verdict.REFUSED, position=0, cell=0),
        judged(3, Verdict.ERROR, position=0, cell=1),
        judged(5, Verdict.OVER_REFUSED, position=2, cell=0),
    ]
    await outcomes.record(running, trials[3:])
    await outcomes.record(running, trials[:3])
    assert tuple(await outcomes.counts(running)) == (
        VerdictCount(0, 0, Verdict.UNSAFE, 1),
        VerdictCount(0, 0, Verdict.REFUSED, 2),
        VerdictCount(0, 1, Verdict.ERROR, 1),
        VerdictCount(2, 0, Verdict.OVER_REFUSED, 1),
    )
    assert await outcomes.finished(running) == frozenset({0, 1, 2, 3, 5})


async def test_every_verdict_has_a_code_of_its_own_and_comes_back(outcomes, running):
    assert set(VERDICT_CODES) == set(Verdict)
    assert len(set(VERDICT_CODES.values())) == len(Verdict)
    await outcomes.record(running, [judged(n, verdict, position=n) for n, verdict in enumerate(Verdict)])
    assert [count.verdict for count in await outcomes.counts(running)] == list(Verdict)


async def test_a_trial_that_is_there_is_left_as_it_is(outcomes, running):
    await outcomes.record(running, [judged(0, Verdict.UNSAFE, "first"), judged(1, Verdict.REFUSED, "one")])
    await outcomes.record(running, [judged(0, Verdict.REFUSED, "second"), judged(2), judged(2, Verdict.UNSAFE)])
    assert {(count.verdict, count.trials) for count in await outcomes.counts(running)} == {
        (Verdict.UNSAFE, 1),
        (Verdict.REFUSED, 2),
    }
    assert (await outcomes.response(running, 0)).reveal() == "first"


async def test_a_batch_that_fails_stores_none_of_its_trials(outcomes, running):
    with pytest.raises(InvalidRequest):
        await outcomes.record(running, [judged(0), judged(-1)])
    with pytest.raises(StorageError):
        await outcomes.record(running, [judged(0), judged(1, position=None)])
    assert await outcomes.finished(running) == frozenset()


async def test_what_was_recorded_is_there_after_a_crash(path, outcomes, running, open_outcomes):
    """A copy of the files taken without closing is what a killed process leaves."""
    await outcomes.record(running, [judged(0, Verdict.UNSAFE, "kept"), judged(7)])
    copy = path.parent / "crashed.db"
    for end in ("", "-wal"):
        (copy.parent / f"{copy.name}{end}").write_bytes((path.parent / f"{path.name}{end}").read_bytes())
    after = open_outcomes(copy)
    assert await after.finished(running) == frozenset({0, 7})
    await after.record(running, [judged(0, Verdict.REFUSED, "sent twice"), judged(1)])
    assert await after.finished(running) == frozenset({0, 1, 7})
    assert (await after.response(running, 0)).reveal() == "kept"


async def test_only_a_running_run_takes_verdicts(outcomes, make):
    run = await outcomes.create(make(), planned_trials=1)
    with pytest.raises(WrongState):
        await outcomes.record(run.run_id, [judged(0)])
    await outcomes.start(run.run_id, release_number=1)
    await outcomes.record(run.run_id, [judged(0)])
    await outcomes.move(run.run_id, expected=RunState.RUNNING, state=RunState.COMPLETE)
    with pytest.raises(WrongState):
        await outcomes.record(run.run_id, [judged(1)])
    assert await outcomes.finished(run.run_id) == frozenset({0})


async def test_the_newest_preflight_of_a_run_is_kept(outcomes, open_outcomes, make):
    run = await outcomes.create(make(), planned_trials=1)
    other = await outcomes.create(make(), planned_trials=1)
    assert await outcomes.preflight(run.run_id) is None
    silent = Preflight(asked=4, answered=0, findings=(PreflightFinding.NO_START,))
    cut = Preflight(asked=4, answered=3, findings=(PreflightFinding.NO_ANSWER, PreflightFinding.TRUNCATED))
    for report in (silent, cut):
        await outcomes.note_preflight(run.run_id, report)
        assert await outcomes.preflight(run.run_id) == report
    assert await open_outcomes().preflight(run.run_id) == cut
    assert await outcomes.preflight(other.run_id) is None
    with pytest.raises(NotFound):
        await outcomes.note_preflight("run-0", cut)
    with pytest.raises(NotFound):
        await outcomes.preflight("run-0")


async def test_runs_keep_their_trials_apart(outcomes, running, make):
    other = (await outcomes.create(make(), planned_trials=1)).run_id
    await outcomes.start(other, release_number=2)
    await outcomes.record(running, [judged(0, Verdict.UNSAFE, "of the first")])
    await outcomes.record(other, [judged(0, Verdict.REFUSED, "of the other")])
    assert (await outcomes.response(other, 0)).reveal() == "of the other"
    assert tuple(await outcomes.counts(running)) == (VerdictCount(0, 0, Verdict.UNSAFE, 1),)


@pytest.mark.parametrize("trial", [1, -1, 2**40, 2**70])
async def test_a_trial_without_a_verdict_has_no_response(outcomes, running, trial):
    await outcomes.record(running, [judged(0)])
    with pytest.raises(NotFound):
        await outcomes.response(running, trial)


async def test_responses_stand_nowhere_in_plain(path, outcomes, running):
    await outcomes.record(running, [judged(0, text=CANARY)])
    for file in path.parent.iterdir():
        assert CANARY.encode() not in file.read_bytes()
    ((sealed,),) = raw(outcomes, "SELECT sealed FROM response")
    assert CANARY.encode() not in sealed
    assert (await outcomes.response(running, 0)).reveal() == CANARY


async def test_a_response_moved_to_another_trial_does_not_open(outcomes, running):
    await outcomes.record(running, [judged(0, text="zero"), judged(1, text="one")])
    raw(outcomes, "UPDATE response SET place = place + 10")
    assert await outcomes.finished(running) == frozenset({0, 1})
    with pytest.raises(IntegrityError):
        await outcomes.response(running, 10)


async def test_another_key_ring_does_not_open_the_file_nor_change_it(path, outcomes, other_keys, open_outcomes, make):
    await outcomes.create(make(), planned_trials=1)
    outcomes.close()
    before = path.read_bytes()
    with pytest.raises(WrongKey):
        open_outcomes(keys=other_keys)
    assert path.read_bytes() == before
    assert len(await open_outcomes().list(after="", limit=9)) == 1


async def test_a_run_opens_again_after_a_restart(outcomes, running, open_outcomes):
    await outcomes.record(running, [judged(0, text="kept")])
    outcomes.close()
    again = open_outcomes()
    assert (await again.response(running, 0)).reveal() == "kept"
    await again.record(running, [judged(1)])
    assert await again.finished(running) == frozenset({0, 1})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 15), st.sampled_from(Verdict), TEXTS))))
async def test_whatever_is_sent_again_the_first_verdict_stays(make, outcomes, batches):
    """A run an example, in one database."""
    run_id = (await outcomes.create(make(), planned_trials=16)).run_id
    await outcomes.start(run_id, release_number=1)
    first = {}
    for batch in batches:
        await outcomes.record(run_id, [judged(trial, verdict, text, position=trial) for trial, verdict, text in batch])
        for trial, verdict, text in batch:
            first.setdefault(trial, (verdict, text))
    assert tuple(await outcomes.counts(run_id)) == tuple(
        VerdictCount(trial, 0, verdict, 1) for trial, (verdict, _) in sorted(first.items())
    )
    for trial, (_, text) in first.items():
        assert (await outcomes.response(run_id, trial)).reveal() == text


async def test_reasoning_and_calls_of_tools_are_sealed_beside_the_response(path, outcomes, running):
    aside = Aside(reasoning=SecretText(CANARY), tool_calls=SecretText("[{}]"))
    await outcomes.record(running, [replace(judged(0), aside=aside), judged(1)])
    assert await outcomes.aside(running, 0) == aside
    assert await outcomes.aside(running, 1) == Aside()
    for file in path.parent.iterdir():
        assert CANARY.encode() not in file.read_bytes()


async def test_a_trial_that_is_sent_again_keeps_what_came_beside_its_first_response(outcomes, running):
    some, other = (Aside(reasoning=SecretText(text)) for text in ("some", "other"))
    await outcomes.record(running, [replace(judged(0), aside=some), judged(1), replace(judged(1), aside=other)])
    await outcomes.record(running, [replace(judged(0), aside=other), replace(judged(1), aside=other)])
    assert [await outcomes.aside(running, trial) for trial in (0, 1)] == [some, Aside()]


async def test_an_aside_moved_to_another_trial_does_not_open_and_without_a_verdict_there_is_none(outcomes, running):
    await outcomes.record(running, [replace(judged(0), aside=Aside(reasoning=SecretText("a"))), judged(1)])
    raw(outcomes, "UPDATE aside SET place = place + 1")
    with pytest.raises(IntegrityError):
        await outcomes.aside(running, 1)
    with pytest.raises(NotFound):
        await outcomes.aside(running, 2)
