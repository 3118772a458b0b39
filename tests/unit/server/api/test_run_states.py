"""What a run says of itself depends on who asks, on its plan and on the clock, and on nothing that it found."""

from __future__ import annotations

import dataclasses

import pytest

from heldout_policy.disclosure import verify_disclosable
from heldout_proto.v1 import evaluation_pb2 as pb
from heldout_proto.v1 import findings_pb2
from heldout_server.api.edge import Call
from heldout_server.api.evaluation import EvaluationServicer
from heldout_server.domain import Manifest, Principal, Role, Run, RunState, TrustClass
from heldout_server.ports.evaluation import PlannedTime, PlanRequest

STARTED_S, SLOT_S = 10_000, 20_000
RUN = Run(
    run_id="run-1",
    manifest=Manifest(
        checkpoint="nova-v1",
        checkpoint_digest="d" * 64,
        line="nova",
        epoch_id="epoch-1",
        epoch_commitment="e" * 64,
        techniques=("plain",),
        stacks=(),
        judge="patterns",
        judge_digest="c" * 64,
        policy_digest="b" * 64,
        runtime="scripted",
        trust=TrustClass.CONTAINED,
    ),
    digest="a" * 64,
    state=RunState.RUNNING,
    release_number=1,
    approvals=(),
    created_s=9_999,
    started_s=STARTED_S,
    planned_trials=21,
    publishes_s=SLOT_S,
)


class OneRun:
    """Know one run."""

    def __init__(self, run: Run) -> None:
        self.run = run

    async def get(self, _run_id):
        return self.run

    async def preflight(self, _run_id):
        return None

    async def plan_time(self, run):
        if run.state is not RunState.PROPOSED:
            return None
        return PlannedTime(publishes_s=SLOT_S, run_s=41.5, width=4, units=9, deadline_s=0.5, start_s=0.0)


class SetClock:
    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        return self._now_s


async def seen(run: Run, *, now_s: float, role: Role = Role.RUN_TESTER) -> pb.Run:
    return (await answered(run, now_s=now_s, role=role)).run


async def answered(run: Run, *, now_s: float, role: Role = Role.RUN_TESTER) -> pb.GetRunResponse:
    standing = PlanRequest(checkpoint="", techniques=("plain",), stacks=())
    one = OneRun(run)
    servicer = EvaluationServicer(
        evaluations=one, outcomes=one, standing=standing, clock=SetClock(now_s), policy_digest="b" * 64, exact=True
    )
    answer = await servicer.GetRun(pb.GetRunRequest(run_id="run-1"), Call(Principal("spiffe://x/who", role)))
    verify_disclosable(answer, approved_texts=frozenset())
    return answer


@pytest.mark.parametrize(
    ("now_s", "percent"),
    [(9_000, 0), (10_000, 0), (10_999, 0), (11_000, 10), (14_500, 40), (19_999, 90), (20_000, 100), (99_999, 100)],
)
async def test_a_run_tester_sees_the_slot_and_the_clock_in_tens(now_s, percent):
    run = await seen(RUN, now_s=now_s)
    assert (run.state, run.planned_time_percent) == (pb.RUN_STATE_RUNNING, percent)
    assert run.publishes_s == 19_980, "a whole minute"


@pytest.mark.parametrize("state", [RunState.PROPOSED, RunState.PUBLISHED, RunState.CANCELLED])
async def test_a_run_that_is_not_running_has_no_share_of_its_time(state):
    assert (await seen(dataclasses.replace(RUN, state=state), now_s=15_000)).planned_time_percent == 0


async def test_a_run_tester_sees_what_time_a_proposed_run_would_be_given():
    planned = (await answered(dataclasses.replace(RUN, state=RunState.PROPOSED), now_s=9_000)).planned
    assert (planned.publishes_s, planned.run_s, planned.width, planned.deadline_ms) == (19_980, 42, 4, 500)
    assert not (await answered(RUN, now_s=15_000)).HasField("planned")


async def test_a_run_says_how_its_figures_are_published_while_its_policy_is_in_force():
    assert (await seen(RUN, now_s=15_000)).profile == findings_pb2.PROFILE_EXACT
    of_another = dataclasses.replace(RUN, manifest=dataclasses.replace(RUN.manifest, policy_digest="f" * 64))
    assert (await seen(of_another, now_s=15_000)).profile == findings_pb2.PROFILE_UNSPECIFIED


async def test_a_run_without_a_slot_has_no_planned_time():
    run = await seen(dataclasses.replace(RUN, publishes_s=0), now_s=15_000)
    assert (run.publishes_s, run.planned_time_percent) == (0, 0)


async def test_that_a_run_is_complete_before_it_is_published_is_for_bank_testers():
    complete = dataclasses.replace(RUN, state=RunState.COMPLETE)
    assert await seen(complete, now_s=15_000) == await seen(RUN, now_s=15_000)
    assert (await seen(complete, now_s=15_000, role=Role.BANK_TESTER)).state == pb.RUN_STATE_COMPLETE
