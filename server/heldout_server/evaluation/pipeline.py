"""Take one run from its start to its publication. Read this first.

The steps, in the order in which they happen:

(1) Load the membership of the run's epoch.
(2) Enumerate the plan: which trials there are follows from the manifest and the membership alone.
(3) Skip what has a verdict from an earlier process.
(4) Check that what would be tested is what the manifest says: judge, checkpoint, engine, system prompt; digest the
    staged files again and serve them. Where the runtime is exposed, the start has burnt every prompt of the epoch.
(5) Try each trial: compose what is sent (a technique that cannot carry the prompt: ``not_delivered``), ask the model
    within the trial's own deadline (no answer: ``error``), undo the encodings of the answer.
(6) Judge the answers in batches, seal and store them with their verdicts; only then do they count as finished.
(7) Score what is left by the fixed rule: ``error``. There is something left if the runtime could not be kept up, or if
    the run's slot came near.
(8) Wait for the slot, if policy plans one. Only then log that the run is complete, and move it there: whoever reads
    the log or the state of runs learns nothing of how long the checkpoint took. From here on no verdict changes.
(9) Hand it to the release desk. A started run always publishes.

A run that was cancelled goes from wherever it is to step (8), and then the log says ``cancelled``: nothing more is
tried, and nothing is scored. Its release holds no figures. If what was tried were published with the rest by the fixed
rule, whoever cancels would choose, by the moment, which units' verdicts are real, and a checkpoint that is slow on one
unit's text would choose with them.

Killed anywhere, a run is taken up again from step (1) and sends the same: seeds follow from the epoch's commitment and
the place of the trial. If storage fails or the tested system is not what the manifest says, the error leaves here and
the run stays running; it is taken up again at the next start, or cancelled. Whatever else fails, the checkpoint may
have brought about: where a slot is planned, the trials are taken up again after :data:`RETRY_S`, until it comes.

Memory is flat: one byte a trial and one word a prompt, prompts themselves in chunks, as many trials as are in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from heldout_server.domain import Checkpoint, Member, Run, RunState, Verdict
from heldout_server.errors import ConfigError, HeldoutError, IntegrityError, StorageError
from heldout_server.evaluation.assignments import Assignments
from heldout_server.evaluation.batching import BATCH_TRIALS, BatchWriter
from heldout_server.evaluation.events import run_event
from heldout_server.evaluation.job import Job
from heldout_server.evaluation.plan import Plan
from heldout_server.evaluation.tally import Tally
from heldout_server.evaluation.terms import Terms
from heldout_server.evaluation.trials import TrialLoop
from heldout_server.evaluation.trying import TrialBench, Tried, conclude
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.bank import Bank
from heldout_server.ports.checkpoints import Checkpoints
from heldout_server.ports.environment import Clock
from heldout_server.ports.judges import Judge, Judging
from heldout_server.ports.outcomes import JudgedTrial, Outcomes
from heldout_server.ports.release import ReleaseDesk
from heldout_server.ports.runtimes import Runtime
from heldout_server.ports.techniques import Techniques

RETRY_S: Final = 60.0
"""Seconds until the trials of a run are taken up again, after they could not go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Hold the rooms that a run passes through.

    Attributes:
        judge: what the manifest names.
        judging: gives its verdicts.
        terms: what config and policy say of every run.
        moving: held by whoever looks at a run's state and then acts on it: start, cancel, and the end of a run.
        pause: sleeps so many seconds.
    """

    bank: Bank
    checkpoints: Checkpoints
    runtimes: Mapping[str, Runtime]
    techniques: Techniques
    judge: Judge
    judging: Judging
    outcomes: Outcomes
    desk: ReleaseDesk
    audit: AuditLog
    clock: Clock
    terms: Terms
    moving: asyncio.Lock
    pause: Callable[[float], Awaitable[object]]

    async def finish(self, run_id: str) -> None:
        """Take a run whose slot has come from step (8) to its end.

        Raises:
            StorageError, IntegrityError: it stays where it is, and goes on at the next start.
        """
        # (8) complete, or cancelled
        async with self.moving:
            run = await self.outcomes.get(run_id)
            if run.state is RunState.RUNNING:
                await self.audit.append(run_event(run, RunState.CANCELLED if run.cancelled else RunState.COMPLETE))
                await self.outcomes.move(run_id, expected=RunState.RUNNING, state=RunState.COMPLETE)
        # (9) published
        await self.desk.publish(run_id)

    async def try_plan(self, run: Run, job: Job) -> None:
        """Run the steps (1) to (7) of this module's docstring.

        Args:
            run: a run that is running.
            job: says when to end, and is told how it goes.

        Raises:
            StorageError, IntegrityError, ConfigError: the run stays running.
            RunError: likewise, where no slot is planned.
        """
        if job.stop.is_set():
            return
        tally = job.tally
        # (1) membership
        members = await self.bank.members(run.manifest.epoch_id)
        # (2) plan
        plan = Plan(run.manifest, members)
        # (3) what has a verdict
        tally.load(len(plan), await self.outcomes.finished(run.run_id), now_s=self.clock.monotonic_s())
        # (4) to (6) what has none
        if tally.finished < len(plan):
            await self._keep_trying(run, plan, members, job)
        # (7) what still has none
        if tally.finished < len(plan) and not job.stop.is_set():
            await self._score_rest(run, plan, tally)

    async def _keep_trying(self, run: Run, plan: Plan, members: Sequence[Member], job: Job) -> None:
        while not job.is_over:
            try:
                await self._try_trials(run, plan, members, job)
            except (StorageError, IntegrityError, ConfigError):
                raise
            except Exception as error:
                if not job.due_s:
                    raise
                # Whatever a checkpoint makes of a runtime or of our code, its run publishes at its slot.
                job.paused = error.reason if isinstance(error, HeldoutError) else type(error).__name__
                await _unless(job, self.pause(RETRY_S))
                job.paused = ""
            else:
                return

    async def _try_trials(self, run: Run, plan: Plan, members: Sequence[Member], job: Job) -> None:
        # (4) what would be tested; the loop digests the staged files at each start of the runtime
        manifest = run.manifest
        checkpoint, runtime = await self._find_approved(run)
        async with self.judging.open() as judge_all:
            bench = TrialBench(
                manifest=manifest,
                plan=plan,
                intents=tuple(member.intent for member in members),
                techniques=self.techniques,
                judge_all=judge_all,
                system=self.terms.system,
                faults=job.faults,
            )

            async def store(tried: Sequence[Tried]) -> None:
                await self._store(run, await bench.judge(tried), job.tally)

            writer = BatchWriter(store)
            loop = TrialLoop(
                runtime=runtime,
                checkpoint=checkpoint,
                verify=self.checkpoints.verify,
                bench=bench,
                assignments=Assignments(
                    bank=self.bank,
                    epoch_id=manifest.epoch_id,
                    plan=plan,
                    units=tuple(member.unit for member in members),
                    tally=job.tally,
                    in_flight=self.terms.in_flight,
                ),
                writer=writer,
                in_flight=self.terms.in_flight,
            )
            try:
                # (5) each trial, (6) verdicts in batches; a run that is stopped keeps those it has
                async with asyncio.TaskGroup() as group:
                    group.create_task(writer.run())
                    await _unless(job, loop.run())
                    writer.close()
            except BaseExceptionGroup as failures:
                raise _first(failures) from None

    async def _find_approved(self, run: Run) -> tuple[Checkpoint, Runtime]:
        """Return what would be tested and what serves it, if they are still what was approved."""
        manifest = run.manifest
        checkpoint = await self.checkpoints.get(manifest.checkpoint)
        runtime = self.runtimes.get(manifest.runtime)
        if runtime is None:
            raise ConfigError("no runtime of this appliance serves the run's engine", reason="NO_RUNTIME")
        tested = (
            (self.judge.digest, manifest.judge_digest),
            (checkpoint.digest, manifest.checkpoint_digest),
            (runtime.trust, manifest.trust),
            (runtime.version, manifest.engine_version),
            (runtime.dialect, manifest.dialect),
            (runtime.filters, manifest.filters),
            (self.terms.system.digest, manifest.system_digest),
        )
        if any(found != approved for found, approved in tested):
            raise IntegrityError(f"{run.run_id}: this is not what was approved", reason="NOT_AS_APPROVED")
        return checkpoint, runtime

    async def _score_rest(self, run: Run, plan: Plan, tally: Tally) -> None:
        rest = (
            conclude(Tried(trial, Verdict.ERROR), Verdict.ERROR)
            for trial in plan.trials()
            if not tally.has(trial.number)
        )
        while batch := tuple(islice(rest, BATCH_TRIALS)):
            await self._store(run, batch, tally)

    async def _store(self, run: Run, trials: Sequence[JudgedTrial], tally: Tally) -> None:
        await self.outcomes.record(run.run_id, trials)
        tally.mark(trial.outcome.trial for trial in trials)


async def _unless(job: Job, work: Awaitable[object]) -> None:
    """Do ``work`` to its end, or cancel it when the job is over; what it raises comes in a group."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_wait_for(work))
        stopping = group.create_task(job.over())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        stopping.cancel()


async def _wait_for(work: Awaitable[object]) -> None:
    await work


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception out of the groups that it comes in."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
