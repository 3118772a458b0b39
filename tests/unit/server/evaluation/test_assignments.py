"""No worker is idle while there is a unit that nobody tries, and nobody waits for what never comes."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from evaluation_fakes import FakeBank, manifest_of, member, members_of

from heldout_server.evaluation.assignments import CHUNK_MEMBERS, HELD_A_WORKER, Assignments
from heldout_server.evaluation.plan import Plan
from heldout_server.evaluation.tally import Tally


def assignments_of(members, *, in_flight):
    plan, tally = Plan(manifest_of(), members), Tally()
    tally.load(len(plan), (), now_s=0.0)
    bank = FakeBank(members)
    units = [one.unit for one in members]
    given = Assignments(bank=bank, epoch_id="epoch-1", plan=plan, units=units, tally=tally, in_flight=in_flight)
    return given, plan, bank


@pytest.mark.parametrize("family", [1, HELD_A_WORKER])
async def test_as_many_units_as_workers_are_tried_at_a_time_however_many_that_are(family):
    width = 3 * CHUNK_MEMBERS + 5
    members = [member(place, unit=f"u-{place // family}") for place in range(width * family)]
    assignments, _, _ = assignments_of(members, in_flight=width)
    taken = [await assignments.take() for _ in range(width)]
    assert len({one.unit for one in taken}) == width


async def test_prompts_are_held_for_the_workers_there_are_and_no_more():
    assignments, _, bank = assignments_of(members_of(20 * CHUNK_MEMBERS), in_flight=2)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(assignments.take()) for _ in range(2)]
    assert all(worker.result() for worker in workers)
    assert bank.chunks == [(0, CHUNK_MEMBERS)]


@pytest.mark.parametrize(("units", "in_flight"), [(1, 5), (3, 2), (7, 7), (40, 3), (200, 90)])
async def test_every_trial_goes_out_once_and_every_worker_comes_to_its_end(units, in_flight):
    members = [member(place, unit=f"u-{place % units}") for place in range(200)]
    assignments, plan, _ = assignments_of(members, in_flight=in_flight)
    tried, busy = Counter(), Counter()

    async def work():
        while (assignment := await assignments.take()) is not None:
            tried[assignment.trial.number] += 1
            busy[assignment.unit] += 1
            assert busy[assignment.unit] == 1
            await asyncio.sleep(0)
            busy[assignment.unit] -= 1
            assignments.done(assignment)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())
    assert tried == dict.fromkeys(range(len(plan)), 1)


async def test_a_worker_that_is_cancelled_while_it_rests_takes_nobody_elses_turn():
    assignments, _, _ = assignments_of([member(0, unit="u"), member(1, unit="u")], in_flight=3)
    first = await assignments.take()
    resting = [asyncio.create_task(assignments.take()) for _ in range(2)]
    await asyncio.sleep(0)
    resting[0].cancel()
    assignments.done(first)
    assert (await resting[1]).trial.number == first.trial.number + 1
