"""EvaluationService: runs, for both kinds of tester. Exact progress and figures are for bank testers alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from math import ceil
from typing import Final

from heldout_policy.disclosure import whole_minute
from heldout_proto.v1 import evaluation_pb2 as pb
from heldout_proto.v1 import evaluation_pb2_grpc, findings_pb2
from heldout_server.api.edge import Call
from heldout_server.api.paging import next_token, page_size
from heldout_server.domain import Preflight, PreflightFinding, Role, Run, RunState
from heldout_server.ports.environment import Clock
from heldout_server.ports.evaluation import Evaluations, PlanRequest
from heldout_server.ports.outcomes import Outcomes
from heldout_server.tested_system import describe_tested_system

STATES: Final = {
    RunState.PROPOSED: pb.RUN_STATE_PROPOSED,
    RunState.RUNNING: pb.RUN_STATE_RUNNING,
    RunState.COMPLETE: pb.RUN_STATE_COMPLETE,
    RunState.PUBLISHED: pb.RUN_STATE_PUBLISHED,
    RunState.CANCELLED: pb.RUN_STATE_CANCELLED,
}
FINDINGS: Final[dict[PreflightFinding, pb.PreflightFinding]] = {
    finding: getattr(pb, f"PREFLIGHT_FINDING_{finding.name}") for finding in PreflightFinding
}
TABLES: Final = {
    "technique": findings_pb2.TABLE_KIND_TECHNIQUE,
    "stack": findings_pb2.TABLE_KIND_STACK,
    "first_breach": findings_pb2.TABLE_KIND_FIRST_BREACH,
    "category": findings_pb2.TABLE_KIND_CATEGORY,
    "non_answers": findings_pb2.TABLE_KIND_NON_ANSWERS,
    "over_refusal": findings_pb2.TABLE_KIND_OVER_REFUSAL,
}


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Translate between the contract and the evaluations.

    Args:
        standing: what is tested if a proposal names no techniques.
        clock: tells how much of its planned time a run has had.
        policy_digest: hex SHA-256 of the policy in force.
        exact: it publishes figures without noise.
    """

    def __init__(
        self,
        *,
        evaluations: Evaluations,
        outcomes: Outcomes,
        standing: PlanRequest,
        clock: Clock,
        policy_digest: str,
        exact: bool,
    ) -> None:
        self._policy_digest = policy_digest
        self._profile = findings_pb2.PROFILE_EXACT if exact else findings_pb2.PROFILE_PRIVATE
        self._clock = clock
        self._evaluations = evaluations
        self._outcomes = outcomes
        self._standing = standing

    async def ProposeRun(self, request: pb.ProposeRunRequest, call: Call) -> pb.ProposeRunResponse:  # noqa: N802 - the contract's name
        """Write a manifest and record a proposed run."""
        named = bool(request.techniques)
        plan = PlanRequest(
            checkpoint=request.checkpoint,
            techniques=tuple(request.techniques) if named else self._standing.techniques,
            stacks=tuple(tuple(stack.techniques) for stack in request.stacks) if named else self._standing.stacks,
            attempts=request.attempts or self._standing.attempts,
            allow_exposed=request.allow_exposed,
            anchor=request.anchor,
        )
        run = await self._evaluations.propose(plan)
        return pb.ProposeRunResponse(run=self._run(run, call), planned=await self._planned(run))

    async def ApproveRun(self, request: pb.ApproveRunRequest, call: Call) -> pb.ApproveRunResponse:  # noqa: N802 - the contract's name
        """Approve exactly one manifest digest."""
        run = await self._evaluations.approve(
            request.run_id,
            identity=call.principal.identity,
            digest=request.manifest_digest,
            standing=request.standing,
        )
        return pb.ApproveRunResponse(run=self._run(run, call))

    async def ListStandingApprovals(  # noqa: N802 - the contract's name
        self, _request: pb.ListStandingApprovalsRequest, _call: Call
    ) -> pb.ListStandingApprovalsResponse:
        """List approvals that hold for later checkpoints as well."""
        return pb.ListStandingApprovalsResponse(
            approvals=[
                pb.StandingApproval(
                    template_digest=one.template,
                    line=one.line,
                    identity=one.identity,
                    run_id=one.run_id,
                    given_s=whole_minute(one.given_s),
                )
                for one in await self._outcomes.standing()
            ]
        )

    async def RevokeStandingApproval(  # noqa: N802 - the contract's name
        self, request: pb.RevokeStandingApprovalRequest, call: Call
    ) -> pb.RevokeStandingApprovalResponse:
        """Take the standing approvals of a template back."""
        await self._evaluations.revoke(request.template_digest, identity=call.principal.identity)
        return pb.RevokeStandingApprovalResponse()

    async def PreflightCheckpoint(  # noqa: N802 - the contract's name
        self, request: pb.PreflightCheckpointRequest, _call: Call
    ) -> pb.PreflightCheckpointResponse:
        """Ask a checkpoint a few harmless questions."""
        report = await self._evaluations.preflight(request.checkpoint)
        return pb.PreflightCheckpointResponse(checkpoint=request.checkpoint, preflight=_preflight(report))

    async def StartRun(self, request: pb.StartRunRequest, call: Call) -> pb.StartRunResponse:  # noqa: N802 - the contract's name
        """Take a release slot and begin."""
        return pb.StartRunResponse(run=self._run(await self._evaluations.start(request.run_id), call))

    async def CancelRun(self, request: pb.CancelRunRequest, call: Call) -> pb.CancelRunResponse:  # noqa: N802 - the contract's name
        """End a run early."""
        return pb.CancelRunResponse(run=self._run(await self._evaluations.cancel(request.run_id), call))

    async def GetRun(self, request: pb.GetRunRequest, call: Call) -> pb.GetRunResponse:  # noqa: N802 - the contract's name
        """Return one run."""
        run = await self._outcomes.get(request.run_id)
        return pb.GetRunResponse(
            run=self._run(run, call),
            preflight=_preflight(await self._outcomes.preflight(run.run_id)),
            planned=await self._planned(run),
        )

    async def ListRuns(self, request: pb.ListRunsRequest, call: Call) -> pb.ListRunsResponse:  # noqa: N802 - the contract's name
        """List runs, oldest first."""
        size = page_size(request.page_size)
        runs = await self._outcomes.list(after=request.page_token, limit=size)
        return pb.ListRunsResponse(
            runs=[self._run(run, call) for run in runs], next_page_token=next_token(runs, size, lambda run: run.run_id)
        )

    async def WatchRun(self, request: pb.WatchRunRequest, call: Call) -> AsyncIterator[pb.WatchRunResponse]:  # noqa: N802 - the contract's name
        """Stream exact progress until the run is published or cancelled."""
        async for progress in self._evaluations.watch(request.run_id):
            yield pb.WatchRunResponse(
                run=self._run(progress.run, call),
                finished_trials=progress.finished_trials,
                trials_per_s=progress.trials_per_s,
                paused=progress.paused,
                faults=progress.faults,
            )

    async def GetResults(self, request: pb.GetResultsRequest, call: Call) -> pb.GetResultsResponse:  # noqa: N802 - the contract's name
        """Return exact figures."""
        rows = await self._evaluations.results(request.run_id)
        return pb.GetResultsResponse(
            run=self._run(await self._outcomes.get(request.run_id), call),
            rows=[
                pb.ExactRow(
                    table=TABLES[row.table],
                    key=row.key,
                    units=row.units,
                    trials=row.trials,
                    rate=row.rate,
                    low=row.low,
                    high=row.high,
                    best=row.best,
                    worst=row.worst,
                )
                for row in rows
            ],
        )

    async def _planned(self, run: Run) -> pb.PlannedTime | None:
        planned = await self._evaluations.plan_time(run)
        if planned is None:
            return None
        return pb.PlannedTime(
            publishes_s=whole_minute(planned.publishes_s),
            run_s=ceil(planned.run_s),
            width=planned.width,
            units=planned.units,
            deadline_ms=round(planned.deadline_s * 1000),
            start_s=ceil(planned.start_s),
        )

    def _run(self, run: Run, call: Call) -> pb.Run:
        seen = _run(run, now_s=self._clock.now_s(), role=call.principal.role)
        if run.manifest.policy_digest == self._policy_digest:
            seen.profile = self._profile
        return seen


def _preflight(report: Preflight | None) -> pb.Preflight | None:
    if report is None:
        return None
    findings = [FINDINGS[finding] for finding in report.findings]
    return pb.Preflight(asked=report.asked, answered=report.answered > 0, findings=findings)


def _planned_time_percent(run: Run, *, now_s: float) -> int:
    """Return how much of its planned time a running run has had, in whole tens."""
    if run.state is not RunState.RUNNING or not run.publishes_s:
        return 0
    tenths = int(10 * (now_s - run.started_s) / (run.publishes_s - run.started_s))
    return 10 * max(0, min(tenths, 10))


def _run(run: Run, *, now_s: float, role: Role) -> pb.Run:
    """Say where a run stands. That it is complete, before it is published, is for bank testers."""
    manifest = run.manifest
    if run.state is RunState.COMPLETE and role is not Role.BANK_TESTER:
        run = replace(run, state=RunState.RUNNING)
    return pb.Run(
        run_id=run.run_id,
        state=STATES[run.state],
        manifest_digest=run.digest,
        epoch_id=manifest.epoch_id,
        tested=describe_tested_system(manifest),
        techniques=manifest.techniques,
        stacks=[pb.Stack(techniques=stack) for stack in manifest.stacks],
        judge=manifest.judge,
        policy_digest=manifest.policy_digest,
        approvals=run.approvals,
        release_number=run.release_number,
        planned_trials=run.planned_trials,
        created_s=whole_minute(run.created_s),
        cancelled=run.cancelled,
        publishes_s=whole_minute(run.publishes_s),
        planned_time_percent=_planned_time_percent(run, now_s=now_s),
        anchor=manifest.anchor,
    )
