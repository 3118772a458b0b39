"""Runs: proposed, approved, started, executed one after another, watched, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import structlog

from heldout_server.domain import Manifest, Preflight, Run, RunState, TrustClass
from heldout_server.errors import CallerError, RunError, RunUnderWay, WrongState
from heldout_server.evaluation.approvals import Approvals
from heldout_server.evaluation.events import burn_event, run_event
from heldout_server.evaluation.examination import Examination
from heldout_server.evaluation.execution import Execution
from heldout_server.evaluation.judging import JudgingHere
from heldout_server.evaluation.pipeline import Pipeline
from heldout_server.evaluation.plan import Plan
from heldout_server.evaluation.proposals import Proposals
from heldout_server.evaluation.reports import Reports
from heldout_server.evaluation.terms import Terms
from heldout_server.evaluation.timetable import Timetable
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.bank import Bank
from heldout_server.ports.checkpoints import Checkpoints
from heldout_server.ports.environment import Clock
from heldout_server.ports.evaluation import ExactRow, PlannedTime, PlanRequest, Progress
from heldout_server.ports.judges import Judge, Judging
from heldout_server.ports.outcomes import Outcomes
from heldout_server.ports.release import ReleaseDesk
from heldout_server.ports.runtimes import Runtime
from heldout_server.ports.techniques import Techniques
from heldout_server.telemetry.logs import error_fields

PAGE_RUNS: Final = 100
_log = structlog.get_logger("evaluation")


class Evaluation:
    """Implement :class:`heldout_server.ports.evaluation.Evaluations`.

    Enter it as an async context: runs are executed inside, one after another in the order of their start. Leaving it
    cancels what is being executed; those runs stay running, and :meth:`resume` takes them up again.

    A run whose trials are over waits for its slot, and the next one is tried meanwhile.

    Between a run's start and its slot no checkpoint is asked harmless questions. It would come up beside the one that
    is tried, on the same processors and memory, and its answers, or how long they take, could say what that one does
    to them; and they are for people who must not learn of a run before its slot.

    A run that an error interrupts (a disk, a checkpoint that is not what was staged) stays as it is:
    :attr:`failures` names it, and the next run goes on.

    Args:
        runtimes: by the engine that a checkpoint asks for.
        terms: what config and policy say of every run.
        role_of: the role of an identity, or None.
        cards: returns the digests of the published cards by technique, in order.
        judging: gives the judge's verdicts; in this process by default.
        pause: sleeps between two looks: at a watched run, at the clock.
    """

    def __init__(
        self,
        *,
        bank: Bank,
        checkpoints: Checkpoints,
        runtimes: Mapping[str, Runtime],
        techniques: Techniques,
        judge: Judge,
        outcomes: Outcomes,
        desk: ReleaseDesk,
        audit: AuditLog,
        clock: Clock,
        terms: Terms,
        role_of: Callable[[str], str | None],
        cards: Callable[[], Awaitable[Mapping[str, str]]],
        judging: Judging | None = None,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bank = bank
        self._outcomes = outcomes
        self._desk = desk
        self._audit = audit
        self._runtimes = runtimes
        self._terms = terms
        # Start and cancel look at a state and then act on it, and so does the end of a run: one of them at a time.
        self._moving = asyncio.Lock()
        self._submitting = asyncio.Lock()
        self._timetable = Timetable(schedule=terms.schedule, clock=clock, in_flight=terms.in_flight, pause=pause)
        self._proposals = Proposals(
            bank=bank,
            checkpoints=checkpoints,
            runtimes=runtimes,
            techniques=techniques,
            judge=judge,
            terms=terms,
            role_of=role_of,
            cards=cards,
        )
        self._approvals = Approvals(outcomes, audit=audit, clock=clock)
        self._examination = Examination(self._proposals, audit=audit)
        # One checkpoint comes up for questions at a time, and none while a run that has a slot is started.
        self._asking = asyncio.Lock()
        pipeline = Pipeline(
            bank=bank,
            checkpoints=checkpoints,
            runtimes=runtimes,
            techniques=techniques,
            judge=judge,
            judging=judging or JudgingHere(judge),
            outcomes=outcomes,
            desk=desk,
            audit=audit,
            clock=clock,
            terms=terms,
            moving=self._moving,
            pause=pause,
        )
        self._execution = Execution(pipeline, outcomes=outcomes, timetable=self._timetable)
        self._reports = Reports(self._execution, outcomes=outcomes, bank=bank, clock=clock, pause=pause)

    async def __aenter__(self) -> Self:
        """Begin to execute what is started."""
        await self._execution.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel what is executed and wait until it has let go of everything."""
        await self._execution.__aexit__(kind, error, traceback)

    @property
    def failures(self) -> Mapping[str, str]:
        """Reason codes of what interrupted runs in this process, by run."""
        return self._execution.failures

    @property
    def engines(self) -> frozenset[str]:
        """Return what is served here: a checkpoint that asks for anything else cannot be tried."""
        return frozenset(self._runtimes)

    async def propose(self, request: PlanRequest) -> Run:
        """Write the manifest and record a proposed run.

        Raises:
            NotFound: the checkpoint or the epoch is unknown.
            InvalidRequest: a technique or a stack is not possible.
            WrongState: the checkpoint was refused, nothing serves it, or no epoch is open.
        """
        return await self._propose(await self._proposals.write(request))

    async def _propose(self, manifest: Manifest, *, submitted: bool = False) -> Run:
        plan = Plan(manifest, await self._bank.members(manifest.epoch_id))
        return await self._outcomes.create(manifest, planned_trials=len(plan), submitted=submitted)

    async def approve(self, run_id: str, *, identity: str, digest: str, standing: bool = False) -> Run:
        """Log and record an approval of exactly this digest.

        With ``standing`` it also holds for the runs that the appliance proposes by itself of every later checkpoint,
        as long as nothing differs but the checkpoint.

        Raises:
            NotFound: there is no such run.
            WrongState: the run is not proposed, or its digest is another.
        """
        run = await self._outcomes.get(run_id)
        if run.state is not RunState.PROPOSED:
            raise WrongState(f"{run_id} is {run.state.value}", reason="NOT_PROPOSED")
        if digest != run.digest:
            raise WrongState(f"{run_id} has another digest", reason="DIGEST_DIFFERS")
        return await self._approvals.give(run, identity=identity, standing=standing)

    async def revoke(self, template: str, *, identity: str) -> None:
        """Take the standing approvals of a template back, whoever gave them, and those of runs that did not start.

        Raises:
            NotFound: there is none.
        """
        await self._approvals.revoke(template, identity=identity)

    async def submit(self, checkpoint: str, plan: PlanRequest) -> Run | None:
        """Propose and start a run of a checkpoint, unless it has one that was started or dropped; idempotent.

        A run that an earlier submission left proposed (the process ended, a disk failed, another run was under way) is
        started, if it is still what would be proposed now; one that a person proposed is left to people.

        Args:
            checkpoint: its name.
            plan: what to test; its own checkpoint is not looked at.

        Returns:
            The run that was started, or None if there was nothing to do.

        Raises:
            NotFound, InvalidRequest, WrongState, IntegrityError, BudgetExhausted: as :meth:`propose` and
                :meth:`start` have them.
            RunUnderWay: the checkpoint has to be asked its questions first, and cannot be yet: submit it again.
        """
        async with self._submitting:
            runs = [run for run in await self._list_all() if run.manifest.checkpoint == checkpoint]
            if any(run.state is not RunState.PROPOSED for run in runs):
                return None
            manifest = await self._proposals.write(replace(plan, checkpoint=checkpoint))
            left = next((run for run in runs if run.submitted and run.manifest == manifest), None)
            run = left or await self._propose(manifest, submitted=True)
            await self._approvals.give_as_standing(run)
            return await self._start(run.run_id, unasked=False)

    async def start(self, run_id: str) -> Run:
        """Take a release, debit the ledger, plan its slot, log it, and queue the run. From here on it always publishes.

        Before that the checkpoint is asked a few harmless questions, which takes as long as it takes to come up; not so
        if another run is under way, that is between its start and its slot.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not proposed, an approval is missing, what it names changed since it was proposed, or
                the checkpoint says nothing at all.
            IntegrityError: the checkpoint is not what was staged.
            BudgetExhausted: the ledger or the epoch has no release left.
        """
        return await self._start(run_id, unasked=True)

    async def _start(self, run_id: str, *, unasked: bool) -> Run:
        """Start a run, whose checkpoint may go ``unasked`` where another is under way."""
        async with self._asking:
            if self._terms.preflight:
                run = await self._startable(run_id)
                if not self._execution.keeps_quiet:
                    await self._examine(run)
                elif not unasked:
                    raise RunUnderWay(f"{run_id} waits: its checkpoint has to be asked, and another run is under way")
            return await self._enqueue(run_id)

    async def _enqueue(self, run_id: str) -> Run:
        async with self._moving:
            run = await self._startable(run_id)
            number = await self._desk.reserve(run)
            slot_s = (await self._plan_time(run, self._runtimes[run.manifest.runtime])).publishes_s
            await self._audit.append(run_event(run, RunState.RUNNING, release_number=number, publishes_s=slot_s))
            if run.manifest.trust is TrustClass.EXPOSED:
                # Now, and not when its turn comes: that would tell how long the runs before it took.
                await self._audit.append(burn_event(run))
                await self._bank.burn(run.manifest.epoch_id)
            try:
                return await self._outcomes.start(run_id, release_number=number, publishes_s=slot_s)
            finally:
                # Even if the caller goes away while that commits; a run that did not start is passed over.
                self._execution.enqueue(replace(run, publishes_s=slot_s))

    async def plan_time(self, run: Run) -> PlannedTime | None:
        """Say what time a run would be given if it started now; nothing of one that started, or that nothing serves."""
        runtime = self._runtimes.get(run.manifest.runtime)
        if run.state is not RunState.PROPOSED or runtime is None:
            return None
        return await self._plan_time(run, runtime)

    async def _plan_time(self, run: Run, runtime: Runtime) -> PlannedTime:
        return self._timetable.plan(
            run,
            members=await self._bank.members(run.manifest.epoch_id),
            runtime=runtime,
            latest_s=await self._outcomes.latest_slot(),
        )

    async def _startable(self, run_id: str) -> Run:
        run = await self._outcomes.get(run_id)
        if run.state is not RunState.PROPOSED:
            raise WrongState(f"{run_id} is {run.state.value}", reason="NOT_PROPOSED")
        await self._proposals.check_start(run)
        return run

    async def preflight(self, checkpoint: str) -> Preflight:
        """Ask a checkpoint a few harmless questions, as a start does. It costs nothing, and starts nothing.

        Raises:
            NotFound: there is no such checkpoint.
            WrongState: it was refused, or nothing serves it.
            RunUnderWay: some run is between its start and its slot.
            IntegrityError: it is not what was staged.
        """
        async with self._asking:
            if self._execution.keeps_quiet:
                raise RunUnderWay("a run is under way, so nothing is asked before its slot")
            return await self._examination.question(checkpoint, self._terms.sampling, timeout_s=self._terms.deadline_s)

    async def _examine(self, run: Run) -> None:
        manifest = run.manifest
        report = await self._examination.question(
            manifest.checkpoint, manifest.sampling, timeout_s=manifest.deadline_s, run_id=run.run_id
        )
        await self._outcomes.note_preflight(run.run_id, report)
        if not report.answered:
            raise WrongState(f"{run.run_id}: the checkpoint says nothing", reason="NOTHING_ANSWERED")

    async def cancel(self, run_id: str) -> Run:
        """End a run early.

        A proposed run is dropped, and nothing is ever published of it. A running one, or one that waits for its turn,
        is marked first, for good; then it tries and scores nothing more, and its release, at its slot, holds no
        figures. What it spent is spent, and the moment of the cancelling chooses nothing. If the process ends before
        that is done, it is done at the next start.

        Raises:
            NotFound: there is no such run.
            WrongState: it is already complete.
            RunError: without a slot to wait for it was interrupted before it could publish; it stays cancelled, and
                publishes at the next start.
        """
        async with self._moving:
            run = await self._outcomes.get(run_id)
            if run.state not in {RunState.PROPOSED, RunState.RUNNING}:
                raise WrongState(f"{run_id} is {run.state.value}", reason="ALREADY_COMPLETE")
            if run.state is RunState.PROPOSED:
                await self._audit.append(run_event(run, RunState.CANCELLED))
                return await self._outcomes.move(run_id, expected=RunState.PROPOSED, state=RunState.CANCELLED)
            run = await self._outcomes.cancel(run_id)
            job = self._execution.stop(run)
        if job.due_s:
            return run
        await job.ended.wait()
        if job.failure:
            raise RunError(f"{run_id} was interrupted before it could publish", reason=job.failure)
        return await self._outcomes.get(run_id)

    async def resume(self) -> None:
        """Go on with every run that was running, or complete and not published, in the order of their start.

        Then with those whose start was cut off after the ledger was debited for them: a debit is for one release.
        """
        await self._desk.carry_on()
        waiting = await self._list_all(RunState.COMPLETE) + await self._list_all(RunState.RUNNING)
        # Complete runs come first by themselves: runs are executed in this very order.
        for run in sorted(waiting, key=lambda run: (run.started_s, run.release_number)):
            if self._execution.find(run.run_id) is None:
                self._execution.enqueue(run)
        for run in await self._list_all(RunState.PROPOSED):
            if await self._desk.has_slot(run.run_id):
                await self._finish_start(run.run_id)

    def watch(self, run_id: str) -> AsyncIterator[Progress]:
        """Yield progress about twice a second until the run is published or cancelled.

        Raises:
            NotFound: there is no such run.
            RunError: the run was interrupted; it is taken up again at the next start.
        """
        return self._reports.watch(run_id)

    async def results(self, run_id: str) -> tuple[ExactRow, ...]:
        """Return exact figures; of a run that was cancelled, over what was tried.

        Raises:
            NotFound: there is no such run.
            WrongState: not every trial has a verdict yet.
        """
        return await self._reports.results(run_id)

    async def _list_all(self, state: RunState | None = None) -> list[Run]:
        found: list[Run] = []
        while page := await self._outcomes.list(after=found[-1].run_id if found else "", limit=PAGE_RUNS, state=state):
            found += page
        return found

    async def _finish_start(self, run_id: str) -> None:
        try:
            await self.start(run_id)
        except CallerError as error:  # something it names changed since: what was debited stays debited
            _log.error("start_not_finished", run_id=run_id, **error_fields(error))
