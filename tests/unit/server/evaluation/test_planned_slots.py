"""A started run publishes at its slot: neither earlier, nor later, nor not at all, whatever the checkpoint does."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from evaluation_fakes import Bench

from heldout_policy.schedule import Schedule
from heldout_server.domain import RunState, TrustClass, Verdict
from heldout_server.errors import RunUnderWay, WrongState

HOUR_S = 3_600
TRIALS = 21


class WallClock:
    """Tell the time that a test sets; monotonic time goes with it."""

    def __init__(self) -> None:
        self.time_s = 10_000.0

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


class PlannedBench(Bench):
    def __init__(self, **options):
        super().__init__(schedule=Schedule(slot_s=HOUR_S), **options)
        self.clock = WallClock()
        self.moved = []
        move = self.outcomes.move

        async def move_at(run_id, **states):
            self.moved.append((run_id, states["state"].value, self.clock.time_s))
            return await move(run_id, **states)

        self.outcomes.move = move_at

    async def until(self, condition):
        """Let everybody go on until a condition holds, or fail."""
        for _ in range(5_000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to that")

    async def idle(self):
        """Let everybody go on for as long as a short run takes many times over."""
        for _ in range(500):
            await asyncio.sleep(0)

    def state(self, run_id="run-1"):
        return self.outcomes.runs[run_id].state

    def finished(self, run_id="run-1"):
        return len(self.outcomes.rows[run_id])


@pytest.fixture
def planned():
    return PlannedBench()


async def test_a_run_that_is_done_early_waits_for_its_slot_and_says_nothing_before(planned):
    async with planned.evaluation() as evaluation:
        run = await planned.start(evaluation)
        assert run.publishes_s == 10_800
        await planned.until(lambda: planned.finished() == TRIALS)
        planned.clock.time_s = 10_799.0
        await planned.idle()
        assert planned.state() is RunState.RUNNING
        assert planned.log == ["run-1 reserved", "run-1 logged running"], "and nothing was logged or moved"
        planned.clock.time_s = 10_800.0
        await planned.until(lambda: planned.state() is RunState.PUBLISHED)
    assert planned.moved == [("run-1", "complete", 10_800.0), ("run-1", "published", 10_800.0)]
    assert planned.audit.records[0].details["publishes_s"] == 10_800


@pytest.mark.parametrize("behaviour", ["answers", "hangs", "is away", "does not come up", "breaks our code"])
async def test_whatever_the_checkpoint_does_its_run_publishes_at_the_same_slot(planned, behaviour):
    match behaviour:
        case "hangs":
            planned.model.hold = True
        case "is away":
            planned.model.away = {f"plain|prompt {number}" for number in range(9)}
        case "does not come up":
            planned.model.refuse_starts = 10**6
        case "breaks our code":
            planned.judge.judge = None
            planned.options["judging"] = BrokenJudging()
    async with planned.evaluation() as evaluation:
        assert (await planned.start(evaluation)).publishes_s == 10_800
        await planned.idle()
        planned.clock.time_s = 10_770.0  # the last half minute is for scoring what is left
        await planned.until(lambda: planned.finished() == TRIALS)
        assert planned.state() is RunState.RUNNING
        planned.clock.time_s = 10_800.0
        await planned.until(lambda: planned.state() is RunState.PUBLISHED)
    assert planned.moved == [("run-1", "complete", 10_800.0), ("run-1", "published", 10_800.0)]
    left = list(planned.outcomes.verdicts().values()).count(Verdict.ERROR)
    assert (left == 0) == (behaviour == "answers")
    assert planned.log == [
        "run-1 reserved", "run-1 logged running", "run-1 logged complete", "run-1 complete", "run-1 published"
    ]  # fmt: skip


async def test_between_a_start_and_its_slot_no_checkpoint_is_asked_whatever_the_tried_one_does(planned):
    """What is asked would run beside what is tried, and be told to people who may know nothing of that yet."""
    planned.options["preflight"] = True
    staged = planned.checkpoints.checkpoint

    async def get(name):
        return replace(staged, name=name)

    planned.checkpoints.get = get
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        assert planned.outcomes.preflights["run-1"].answered
        asked = planned.model.starts
        for moment_s, done in ((10_000.0, False), (10_799.0, True)):
            if done:
                await planned.until(lambda: planned.finished() == TRIALS)
            planned.clock.time_s = moment_s
            with pytest.raises(RunUnderWay):
                await evaluation.preflight("nova-v1")
        with pytest.raises(RunUnderWay):
            await evaluation.submit("nova-v2", planned.request())
        second = await planned.start(evaluation, checkpoint="nova-v3")
        assert set(planned.outcomes.preflights) == {"run-1"}, "people may start one unasked"
        assert planned.model.starts - asked <= 2, "for trials alone"
        planned.clock.time_s = float(second.publishes_s)
        await planned.until(lambda: planned.state(second.run_id) is RunState.PUBLISHED)
        assert (await evaluation.preflight("nova-v1")).answered
        assert (await evaluation.submit("nova-v2", planned.request())).run_id == "run-2", "it was proposed before"
        assert planned.outcomes.preflights["run-2"].answered


async def test_a_run_starts_only_when_questions_that_were_being_asked_are_answered(planned):
    planned.options["preflight"] = True
    planned.model.hold = True
    async with planned.evaluation() as evaluation:
        asking = asyncio.create_task(evaluation.preflight("nova-v1"))
        await planned.idle()
        run = await evaluation.propose(planned.request())
        starting = asyncio.create_task(evaluation.start(run.run_id))
        behind = asyncio.create_task(evaluation.preflight("nova-v1"))
        await planned.idle()
        assert (planned.model.starts, planned.state()) == (1, RunState.PROPOSED)
        planned.model.release.set()
        assert (await asking).answered
        await starting
        with pytest.raises(RunUnderWay):
            await behind


async def test_a_proposed_run_is_told_its_slot_before_its_start_and_by_nothing_that_a_checkpoint_did(planned):
    async with planned.evaluation() as evaluation:
        proposed = await evaluation.propose(planned.request())
        told = await evaluation.plan_time(proposed)
        assert (told.publishes_s, told.units, told.deadline_s) == (10_800, 9, 5.0)
        first = await planned.start(evaluation)
        assert first.publishes_s == told.publishes_s
        assert await evaluation.plan_time(first) is None, "it has its slot"
        behind = (await evaluation.plan_time(proposed)).publishes_s
        await planned.until(lambda: planned.finished(first.run_id) == TRIALS)
        assert (await evaluation.plan_time(proposed)).publishes_s == behind == first.publishes_s + HOUR_S


class BrokenJudging:
    def open(self):
        raise ZeroDivisionError


async def test_an_endpoint_that_comes_back_in_time_gets_the_rest_of_the_trials(planned):
    planned.model.away = {"plain|prompt 1"}
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        await planned.until(lambda: evaluation._execution.find("run-1").paused)
        (progress,) = [await anext(evaluation.watch("run-1"))]
        assert progress.paused == "ENDPOINT_UNAVAILABLE"
        planned.model.away = set()
        await planned.until(lambda: planned.finished() == TRIALS)
        assert evaluation._execution.find("run-1").paused == ""
    assert Verdict.ERROR not in planned.outcomes.verdicts().values()


async def test_slots_of_a_queue_are_known_at_its_starts_and_no_run_changes_those_of_others():
    slots, moments = [], []
    for quick in (True, False):
        bench = PlannedBench()
        bench.model.hold = not quick
        async with bench.evaluation() as evaluation:
            runs = [await bench.start(evaluation) for _ in range(3)]
            slots.append([run.publishes_s for run in runs])
            for slot in slots[-1]:
                bench.clock.time_s = slot - 30.0
                await bench.idle()
                bench.clock.time_s = float(slot)
                await bench.idle()
        moments.append(bench.moved)
    assert slots == [[10_800, 14_400, 18_000]] * 2
    assert moments[0] == moments[1]
    assert [(run, when) for run, state, when in moments[0] if state == "published"] == [
        ("run-1", 10_800), ("run-2", 14_400), ("run-3", 18_000)
    ]  # fmt: skip


async def test_the_next_run_is_tried_while_the_one_before_it_waits(planned):
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        await planned.start(evaluation)
        await planned.until(lambda: planned.finished("run-2") == TRIALS)
        assert planned.state("run-1") is RunState.RUNNING


async def test_a_slot_that_was_missed_is_made_up_for_at_the_next_one(planned):
    planned.model.hold, planned.model.arrivals_wanted = True, 4
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        await planned.model.arrived.wait()
    planned.model.release.set()
    planned.clock.time_s = 20_000.0
    async with planned.evaluation() as evaluation:
        await evaluation.resume()
        await planned.until(lambda: planned.finished() == TRIALS)
        await planned.idle()
        assert planned.state() is RunState.RUNNING
        planned.clock.time_s = 21_600.0
        await planned.until(lambda: planned.state() is RunState.PUBLISHED)
    assert Verdict.ERROR not in planned.outcomes.verdicts().values()


async def test_a_run_whose_turn_does_not_come_before_its_slot_is_scored_and_publishes(planned):
    planned.model.hold = True
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        await planned.start(evaluation)
    planned.clock.time_s = 20_000.0  # both slots were missed
    async with planned.evaluation() as evaluation:
        await evaluation.resume()
        planned.clock.time_s = 21_570.0
        await planned.idle()
        planned.clock.time_s = 21_600.0
        await planned.until(lambda: planned.state("run-2") is RunState.PUBLISHED)
    assert planned.state("run-1") is RunState.PUBLISHED
    assert set(planned.outcomes.verdicts("run-2").values()) == {Verdict.ERROR}


async def test_cancelling_returns_at_once_and_publishes_no_figure_at_the_same_slot(planned):
    planned.model.hold = True
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        await planned.start(evaluation)
        for run_id in ("run-2", "run-1"):
            cancelled = await evaluation.cancel(run_id)
            assert (cancelled.state, cancelled.cancelled) == (RunState.RUNNING, True)
        planned.clock.time_s = 10_800.0
        await planned.until(lambda: planned.state("run-1") is RunState.PUBLISHED)
        await planned.idle()
        assert planned.state("run-2") is RunState.RUNNING
        planned.clock.time_s = 14_400.0
        await planned.until(lambda: planned.state("run-2") is RunState.PUBLISHED)
    assert planned.log.count("run-1 logged cancelled") == 1
    assert not planned.outcomes.rows["run-1"]


async def test_exact_results_are_there_before_the_slot_once_every_trial_has_a_verdict(planned):
    planned.model.hold = True
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        with pytest.raises(WrongState):
            await evaluation.results("run-1")
        planned.model.release.set()
        await planned.until(lambda: planned.finished() == TRIALS)
        assert await evaluation.results("run-1")
        assert planned.state() is RunState.RUNNING


async def test_prompts_are_burnt_at_the_start_so_that_the_log_tells_no_turn(planned):
    planned.runtime.trust = TrustClass.EXPOSED
    planned.model.hold = True
    async with planned.evaluation() as evaluation:
        for _ in range(2):
            await planned.start(evaluation, allow_exposed=True)
        assert [line for line in planned.log if "burn" in line] == ["run-1 logged burn", "run-2 logged burn"]


async def test_a_policy_without_slots_publishes_a_run_that_was_planned_under_another(planned):
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        await planned.until(lambda: planned.finished() == TRIALS)
    async with planned.evaluation(schedule=Schedule(slot_s=0)) as evaluation:
        await evaluation.resume()
        await planned.until(lambda: planned.state() is RunState.PUBLISHED)


async def test_a_clock_that_is_set_forward_meanwhile_is_seen(planned):
    async with planned.evaluation() as evaluation:
        await planned.start(evaluation)
        for moment_s in itertools.chain(range(10_000, 10_800, 100), [10_800]):
            planned.clock.time_s = float(moment_s)
            await asyncio.sleep(0)
        await planned.until(lambda: planned.state() is RunState.PUBLISHED)
