"""Execute started runs: their trials one run after another, then each to its slot."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Final, Self

import structlog

from heldout_server.domain import Run, RunState
from heldout_server.errors import ConfigError, HeldoutError, IntegrityError, StorageError
from heldout_server.evaluation.job import Job
from heldout_server.evaluation.pipeline import Pipeline
from heldout_server.evaluation.timetable import Timetable
from heldout_server.ports.outcomes import Outcomes
from heldout_server.telemetry.logs import error_fields

SHUTDOWN: Final = "SHUTDOWN"
TOLD: Final = (StorageError, IntegrityError, ConfigError)
"""Failures that an operator is told of: they are the appliance's. Whatever else stops a run may be its checkpoint's
doing, and is for bank testers alone."""

_log = structlog.get_logger("evaluation")


class Execution:
    """Take runs in the order in which they come. Those whose trials are over wait beside the others for their slots.

    Args:
        pipeline: what a run passes through.
        outcomes: knows the runs.
        timetable: knows their slots.
    """

    def __init__(self, pipeline: Pipeline, *, outcomes: Outcomes, timetable: Timetable) -> None:
        self._pipeline = pipeline
        self._outcomes = outcomes
        self._timetable = timetable
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._jobs: dict[str, Job] = {}
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._group.__aenter__()
        self._spawn(self._execute_in_turn())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel what is executed and wait until it has let go of everything."""
        for task in self._tasks:
            task.cancel()
        # What the body raised is the body's: the group would wrap it.
        await self._group.__aexit__(None, None, None)

    def find(self, run_id: str) -> Job | None:
        """Return the job of a run that is not at its end, or None."""
        return self._jobs.get(run_id)

    @property
    def keeps_quiet(self) -> bool:
        """Say whether some run is between its start and its slot: known from its plan, whatever its checkpoint does."""
        return any(job.due_s for job in self._jobs.values())

    def enqueue(self, run: Run) -> Job:
        """Execute a started run when its turn comes, at the latest shortly before its slot."""
        job = self._jobs[run.run_id] = Job(run.run_id, due_s=self._timetable.due_s(run))
        self.failures.pop(run.run_id, None)
        self._queue.put_nowait(job)
        if job.due_s:
            self._spawn(self._close_in_time(job))
        return job

    def stop(self, run: Run) -> Job:
        """Try nothing more of a run that is marked as cancelled."""
        job = self._jobs.get(run.run_id) or self.enqueue(run)
        job.stop.set()
        self._begin_aside(job)
        return job

    async def _close_in_time(self, job: Job) -> None:
        await self._timetable.wait_for_closing(job.due_s)
        job.closing.set()
        self._begin_aside(job)

    def _begin_aside(self, job: Job) -> None:
        """Take up a job whose turn has not come: it asks nothing of the runtime, so it need not wait for others."""
        if not job.begun:
            job.begun = True
            self._spawn(self._execute(job))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute_in_turn(self) -> None:
        while True:
            job = await self._queue.get()
            if not job.begun:  # else its slot came, or it was cancelled, while it waited: it has a task of its own
                job.begun = True
                await self._execute(job)

    async def _execute(self, job: Job) -> None:
        """Try a run's trials; then publish it, in a task of its own if that has to wait for a slot."""
        tried = await self._supervise(job, self._try(job))
        if tried and job.due_s:
            self._spawn(self._finish(job))
        elif tried:
            await self._finish(job)
        else:
            self._end(job)

    async def _try(self, job: Job) -> None:
        run = await self._outcomes.get(job.run_id)
        if run.cancelled:
            job.stop.set()
        if run.state is RunState.RUNNING:
            await self._pipeline.try_plan(run, job)

    async def _finish(self, job: Job) -> None:
        try:
            await self._supervise(job, self._publish(job))
        finally:
            self._end(job)

    async def _publish(self, job: Job) -> None:
        await self._timetable.wait_for_slot(job.due_s)
        run = await self._outcomes.get(job.run_id)
        if run.state in {RunState.RUNNING, RunState.COMPLETE}:  # else a start was cut off, and it is proposed
            await self._pipeline.finish(job.run_id)

    async def _supervise(self, job: Job, work: Coroutine[None, None, None]) -> bool:
        """Do some of a run's work, and say whether it came to its end. One run's failure may not end the others."""
        job.failure = SHUTDOWN  # unless what follows comes to an end of its own
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the supervisor
            job.failure = error.reason if isinstance(error, HeldoutError) else type(error).__name__
            self.failures[job.run_id] = job.failure
            if isinstance(error, TOLD):
                _log.error("run_interrupted", run_id=job.run_id, **error_fields(error))
            return False
        job.failure = ""
        return True

    def _end(self, job: Job) -> None:
        del self._jobs[job.run_id]
        job.ended.set()
