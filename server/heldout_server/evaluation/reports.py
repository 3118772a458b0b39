"""What a run tells while it goes and when it is done: exact, so for bank testers alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from heldout_server.domain import Run, RunState
from heldout_server.errors import RunError, WrongState
from heldout_server.evaluation.execution import Execution
from heldout_server.ports.bank import Bank
from heldout_server.ports.environment import Clock
from heldout_server.ports.evaluation import ExactRow, Progress
from heldout_server.ports.outcomes import Outcomes
from heldout_server.statistics import exact_rows

WATCH_S: Final = 0.5


class Reports:
    """Say how far runs are, and what came of them. It changes nothing.

    Args:
        execution: knows the runs that are not at their end.
        outcomes: knows all runs, and their verdicts.
        bank: knows the members of their epochs.
        clock: measures the rate of trials.
        pause: sleeps between two looks at a watched run.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        outcomes: Outcomes,
        bank: Bank,
        clock: Clock,
        pause: Callable[[float], Awaitable[object]],
    ) -> None:
        self._execution = execution
        self._outcomes = outcomes
        self._bank = bank
        self._clock = clock
        self._pause = pause

    async def watch(self, run_id: str) -> AsyncIterator[Progress]:
        """Yield progress about twice a second until the run is published or cancelled.

        Raises:
            NotFound: there is no such run.
            RunError: the run was interrupted; it is taken up again at the next start.
        """
        while True:
            failure = self._execution.failures.get(run_id)
            run = await self._outcomes.get(run_id)
            yield await self._progress(run)
            if run.state in {RunState.PUBLISHED, RunState.CANCELLED}:
                return
            if failure:
                raise RunError(f"{run_id} is interrupted", reason=failure)
            await self._pause(WATCH_S)

    async def results(self, run_id: str) -> tuple[ExactRow, ...]:
        """Return exact figures.

        They are there once every trial has a verdict: a run may wait long for its slot. Of a run that was cancelled
        they are over what was tried: its prompts and trials alone are the denominators.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not complete.
        """
        run = await self._outcomes.get(run_id)
        done = run.state in {RunState.COMPLETE, RunState.PUBLISHED}
        if not done and run.state is RunState.RUNNING:
            done = len(await self._outcomes.finished(run_id)) == run.planned_trials
        if not done:
            raise WrongState(f"{run_id} is {run.state.value}", reason="NOT_COMPLETE")
        counts = await self._outcomes.counts(run_id)
        members = await self._bank.members(run.manifest.epoch_id)
        return await asyncio.to_thread(
            exact_rows, counts, members=members, manifest=run.manifest, cancelled=run.cancelled
        )

    async def _progress(self, run: Run) -> Progress:
        job = self._execution.find(run.run_id)
        finished, rate = 0, 0.0
        if run.state in {RunState.COMPLETE, RunState.PUBLISHED} and not run.cancelled:
            finished = run.planned_trials
        elif job is not None and job.tally.loaded:
            finished, rate = job.tally.finished, job.tally.rate(self._clock.monotonic_s())
        elif run.state is RunState.RUNNING or run.cancelled:
            finished = len(await self._outcomes.finished(run.run_id))
        return Progress(
            run=run,
            finished_trials=finished,
            trials_per_s=rate,
            paused="" if job is None else job.paused,
            faults=() if job is None else tuple(sorted(" ".join(fault) for fault in job.faults)),
        )
