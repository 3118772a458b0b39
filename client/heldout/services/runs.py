"""Runs: what to test, who approved it, where it stands. Exact figures are for bank testers alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from heldout.calls import Caller
from heldout.errors import VerificationError
from heldout.findings.documents import PROFILES, TABLE_KINDS, known, tested_from
from heldout.findings.model import Profile, TableKind, Tested
from heldout.services.paging import PAGE_SIZE, read_pages
from heldout_proto.v1 import evaluation_pb2 as pb

SERVICE: Final = "EvaluationService"


class RunState(StrEnum):
    """Say where a run stands. A started run always ends published."""

    PROPOSED = "proposed"
    RUNNING = "running"
    COMPLETE = "complete"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


STATES: Final[Mapping[int, RunState]] = {
    pb.RUN_STATE_PROPOSED: RunState.PROPOSED,
    pb.RUN_STATE_RUNNING: RunState.RUNNING,
    pb.RUN_STATE_COMPLETE: RunState.COMPLETE,
    pb.RUN_STATE_PUBLISHED: RunState.PUBLISHED,
    pb.RUN_STATE_CANCELLED: RunState.CANCELLED,
}


class PreflightFinding(StrEnum):
    """Name what looks wrong with a checkpoint as it answers a few harmless questions."""

    NO_START = "no_start"
    NOT_CONTAINED = "not_contained"
    ACCESS_REFUSED = "access_refused"
    NO_ANSWER = "no_answer"
    NO_CHAT_TEMPLATE = "no_chat_template"
    TRUNCATED = "truncated"
    BLOCKED = "blocked"
    EMPTY_ANSWER = "empty_answer"
    EMPTY_BESIDE_REASONING = "empty_beside_reasoning"
    STOP_TOKENS = "stop_tokens"
    TOOL_CALLS = "tool_calls"


FINDINGS: Final[Mapping[int, PreflightFinding]] = {
    pb.PreflightFinding.Value(f"PREFLIGHT_FINDING_{finding.name}"): finding for finding in PreflightFinding
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Say what came of a few harmless questions.

    Attributes:
        asked: questions.
        answered: it said something at all; otherwise its run is not started.
        findings: what looks wrong.
    """

    asked: int
    answered: bool
    findings: tuple[PreflightFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTime:
    """Say what time a run that has not started would be given: by its plan, the config and the runs before it alone.

    Attributes:
        publishes_s: its slot in Unix seconds if it started now, a whole minute; 0 if it publishes on completion.
        run_s: seconds that are kept for it.
        width: trials at the same time.
        units: each of which may cost some trials more, alone.
        deadline_s: what one trial may take.
        start_s: what the runtime may take to come up.
    """

    publishes_s: int
    run_s: int
    width: int
    units: int
    deadline_s: float
    start_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Describe a run.

    Attributes:
        manifest_digest: hex SHA-256 of the manifest, which approvals name.
        techniques, stacks: the cells of the plan, in table order; a stack's first technique is the innermost.
        approvals: identities that approved exactly this digest.
        release_number: 1-based, from the start on; 0 before.
        created_s: Unix seconds, a whole minute.
        cancelled: it was ended early, after its start: its release holds no figures.
        publishes_s: its slot in Unix seconds, a whole minute, from its start on; 0 if it publishes on completion.
        planned_time_percent: how much of the time from its start to its slot has passed, in tens; says nothing of how
            far it is.
        anchor: its release restates a checkpoint that was released about an earlier epoch, or by an earlier judge.
        preflight: of the newest attempt to start it, where the run itself was asked for; None if there was none.
        planned: of one that has not started, where the run itself was proposed or asked for.
        profile: how its figures are published; private where its policy is not in force any more.
    """

    run_id: str
    state: RunState
    manifest_digest: str
    epoch_id: str
    tested: Tested
    techniques: tuple[str, ...]
    stacks: tuple[tuple[str, ...], ...]
    judge: str
    policy_digest: str
    approvals: tuple[str, ...]
    release_number: int
    planned_trials: int
    created_s: int
    cancelled: bool = False
    publishes_s: int = 0
    planned_time_percent: int = 0
    anchor: bool = False
    preflight: Preflight | None = None
    planned: PlannedTime | None = None
    profile: Profile = Profile.PRIVATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Say how far a run is; exact, so for bank testers alone.

    Attributes:
        paused: reason code of why nothing is tried just now; empty if it goes on.
        faults: type and place of exceptions in the appliance that nobody had foreseen.
    """

    run: Run
    finished_trials: int
    trials_per_s: float
    paused: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRow:
    """Hold exact figures of one cell; rates are 0 to 1.

    Attributes:
        low, high: 95 % interval.
        best, worst: with every undecided or failed trial counted for, or against, the model.
    """

    table: TableKind
    key: str
    units: int
    trials: int
    rate: float
    low: float
    high: float
    best: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingApproval:
    """Say who approved everything that a manifest says but its checkpoint.

    Attributes:
        template_digest: hex SHA-256 of the manifest without its checkpoint.
        run_id: the run at which it was given.
        given_s: Unix seconds, a whole minute.
    """

    template_digest: str
    line: str
    identity: str
    run_id: str
    given_s: int


class AsyncRuns:
    """Run evaluations. Each call raises ``CallError`` if it was not done, ``VerificationError`` if the log differs."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def propose(
        self,
        checkpoint: str,
        *,
        techniques: Sequence[str] = (),
        stacks: Sequence[Sequence[str]] = (),
        attempts: int = 0,
        allow_exposed: bool = False,
        anchor: bool = False,
    ) -> Run:
        """Write a manifest and return the proposed run.

        Args:
            checkpoint: the checkpoint's name.
            techniques: in table order; empty for the appliance's standing plan.
            stacks: compositions, the first technique innermost; only together with ``techniques``.
            attempts: trials of each prompt in each cell; 0 for the standing number.
            allow_exposed: let the prompts go to a server that can log them; all of the epoch are burnt then.
            anchor: restate a checkpoint that was released about an earlier epoch, or by an earlier judge.
        """
        request = pb.ProposeRunRequest(
            checkpoint=checkpoint,
            techniques=techniques,
            stacks=[pb.Stack(techniques=stack) for stack in stacks],
            attempts=attempts,
            allow_exposed=allow_exposed,
            anchor=anchor,
        )
        answer = await self._caller.unary(SERVICE, "ProposeRun", request, pb.ProposeRunResponse)
        return replace(_run(answer.run), planned=_planned(answer))

    async def approve(self, run_id: str, *, manifest_digest: str, standing: bool = False) -> Run:
        """Approve exactly one manifest digest; ``standing``: also for later checkpoints, if nothing else differs."""
        request = pb.ApproveRunRequest(run_id=run_id, manifest_digest=manifest_digest, standing=standing)
        answer = await self._caller.unary(SERVICE, "ApproveRun", request, pb.ApproveRunResponse)
        return _run(answer.run)

    async def standing_approvals(self) -> tuple[StandingApproval, ...]:
        """Return the approvals that hold for later checkpoints as well, oldest first."""
        request = pb.ListStandingApprovalsRequest()
        answer = await self._caller.unary(SERVICE, "ListStandingApprovals", request, pb.ListStandingApprovalsResponse)
        return tuple(
            StandingApproval(
                template_digest=one.template_digest,
                line=one.line,
                identity=one.identity,
                run_id=one.run_id,
                given_s=one.given_s,
            )
            for one in answer.approvals
        )

    async def revoke_standing_approval(self, template_digest: str) -> None:
        """Take the standing approvals of a template back, whoever gave them."""
        request = pb.RevokeStandingApprovalRequest(template_digest=template_digest)
        await self._caller.unary(SERVICE, "RevokeStandingApproval", request, pb.RevokeStandingApprovalResponse)

    async def preflight(self, checkpoint: str) -> Preflight:
        """Ask a checkpoint a few harmless questions, as a start does; it costs nothing, and starts nothing."""
        request = pb.PreflightCheckpointRequest(checkpoint=checkpoint)
        answer = await self._caller.unary(SERVICE, "PreflightCheckpoint", request, pb.PreflightCheckpointResponse)
        if answer.checkpoint != checkpoint:
            raise VerificationError("the answer is about another checkpoint: do not trust it")
        return _preflight(answer.preflight)

    async def start(self, run_id: str) -> Run:
        """Take a release slot, debit the ledger, and begin. The run always publishes from here on."""
        answer = await self._caller.unary(SERVICE, "StartRun", pb.StartRunRequest(run_id=run_id), pb.StartRunResponse)
        return _run(answer.run)

    async def cancel(self, run_id: str) -> Run:
        """Drop a proposed run; end a running one early, whose release then holds no figures."""
        request = pb.CancelRunRequest(run_id=run_id)
        answer = await self._caller.unary(SERVICE, "CancelRun", request, pb.CancelRunResponse)
        return _run(answer.run)

    async def get(self, run_id: str) -> Run:
        """Return one run."""
        answer = await self._caller.unary(SERVICE, "GetRun", pb.GetRunRequest(run_id=run_id), pb.GetRunResponse)
        if answer.run.run_id != run_id:
            raise VerificationError("the answer is about another run: do not trust it")
        run = _run(answer.run, _preflight(answer.preflight) if answer.HasField("preflight") else None)
        return replace(run, planned=_planned(answer))

    async def list(self) -> tuple[Run, ...]:
        """Return every run, oldest first."""

        async def fetch(token: str) -> tuple[Sequence[pb.Run], str]:
            request = pb.ListRunsRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._caller.unary(SERVICE, "ListRuns", request, pb.ListRunsResponse)
            return answer.runs, answer.next_page_token

        return tuple(_run(run) for run in await read_pages(fetch))

    async def watch(self, run_id: str) -> AsyncGenerator[Progress, None]:
        """Yield exact progress until the run is published or cancelled."""
        request = pb.WatchRunRequest(run_id=run_id)
        answers = self._caller.receive_stream(SERVICE, "WatchRun", request, pb.WatchRunResponse)
        async with contextlib.aclosing(answers):
            async for answer in answers:
                yield Progress(
                    run=_run(answer.run),
                    finished_trials=answer.finished_trials,
                    trials_per_s=answer.trials_per_s,
                    paused=answer.paused,
                    faults=tuple(answer.faults),
                )

    async def results(self, run_id: str) -> tuple[ExactRow, ...]:
        """Return exact figures."""
        request = pb.GetResultsRequest(run_id=run_id)
        answer = await self._caller.unary(SERVICE, "GetResults", request, pb.GetResultsResponse)
        return tuple(
            ExactRow(
                table=known(TABLE_KINDS, row.table, "table"),
                key=row.key,
                units=row.units,
                trials=row.trials,
                rate=row.rate,
                low=row.low,
                high=row.high,
                best=row.best,
                worst=row.worst,
            )
            for row in answer.rows
        )


def _preflight(preflight: pb.Preflight) -> Preflight:
    findings = tuple(known(FINDINGS, finding, "finding") for finding in preflight.findings)
    return Preflight(asked=preflight.asked, answered=preflight.answered, findings=findings)


def _planned(answer: pb.ProposeRunResponse | pb.GetRunResponse) -> PlannedTime | None:
    if not answer.HasField("planned"):
        return None
    told = answer.planned
    return PlannedTime(
        publishes_s=told.publishes_s,
        run_s=told.run_s,
        width=told.width,
        units=told.units,
        deadline_s=told.deadline_ms / 1000,
        start_s=told.start_s,
    )


def _run(run: pb.Run, preflight: Preflight | None = None) -> Run:
    return Run(
        run_id=run.run_id,
        state=known(STATES, run.state, "run state"),
        manifest_digest=run.manifest_digest,
        epoch_id=run.epoch_id,
        tested=tested_from(run.tested),
        techniques=tuple(run.techniques),
        stacks=tuple(tuple(stack.techniques) for stack in run.stacks),
        judge=run.judge,
        policy_digest=run.policy_digest,
        approvals=tuple(run.approvals),
        release_number=run.release_number,
        planned_trials=run.planned_trials,
        created_s=run.created_s,
        cancelled=run.cancelled,
        publishes_s=run.publishes_s,
        planned_time_percent=run.planned_time_percent,
        anchor=run.anchor,
        preflight=preflight,
        profile=known(PROFILES, run.profile, "profile"),
    )
