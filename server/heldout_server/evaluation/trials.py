"""Drive all trials of a run through a runtime that may die under them.

No trial may suffer for another's prompt: the bound on releases holds only if what is counted of a unit depends on that
unit alone. So when the runtime's process ends, what was in flight gets no verdict: the runtime is started again and
those trials are retried one at a time. One whose lone retry ends the process again is the culprit, and gets ``error``.
Then the rest goes on side by side.

Such deaths are counted by unit, and so are its trials that fail alone while all others wait: after
:data:`heldout_policy.schedule.STRIKES` of them, what is left of that unit gets ``error`` untried. That depends on the
unit alone, since its trials are tried one after the other in the order of the plan; no other unit pays for it, and the
time that a run is given covers it. Every process that comes up ends in such a death or gives at least one trial its
verdict, so the restarts are bounded by the plan. :data:`MAX_FAILED_STARTS` in a row that do not come up end the loop:
what is left is scored by the fixed rule.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

from heldout_policy.schedule import STRIKES
from heldout_server.domain import Checkpoint, Verdict
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.evaluation.assignments import Assignment, Assignments
from heldout_server.evaluation.batching import BatchWriter
from heldout_server.evaluation.trying import TrialBench, Tried
from heldout_server.ports.runtimes import ModelClient, Runtime

MAX_FAILED_STARTS: Final = 3


class TrialLoop:
    """Try every assignment once, and hand each trial with what came of it to the writer.

    Args:
        runtime: serves the checkpoint.
        checkpoint: what is served.
        verify: refuses a checkpoint that is not what was staged; called before each start of the runtime.
        bench: tries one trial.
        assignments: the trials that are left.
        writer: takes what was tried; it is judged and stored in batches.
        in_flight: trials tried at the same time, at least 1.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        checkpoint: Checkpoint,
        verify: Callable[[Checkpoint], Awaitable[None]],
        bench: TrialBench,
        assignments: Assignments,
        writer: BatchWriter,
        in_flight: int,
    ) -> None:
        self._runtime = runtime
        self._checkpoint = checkpoint
        self._verify = verify
        self._bench = bench
        self._assignments = assignments
        self._writer = writer
        self._width = in_flight
        self._suspects: deque[Assignment] = deque()
        self._strikes: Counter[str] = Counter()  # by unit

    async def run(self) -> None:
        """Try until nothing is left, or the runtime does not come up any more.

        Raises:
            IntegrityError: the checkpoint is not what was staged, or the appliance's own data does not open.
            StorageError: a database failed.
        """
        failed_starts = 0
        while failed_starts < MAX_FAILED_STARTS:
            await self._verify(self._checkpoint)
            try:
                async with self._runtime.serve(self._checkpoint) as client:
                    finished = await self._session(client)
                    failed_starts = 0
            except EndpointError:
                failed_starts += 1
            else:
                if finished:
                    return

    async def _session(self, client: ModelClient) -> bool:
        """Try what is left with one process of the runtime; say whether everything was tried."""
        while self._suspects:
            suspect = self._suspects.popleft()
            try:
                tried = await self._attempt(client, suspect)
            except RuntimeDied:
                self._strikes[suspect.unit] += 1
                self._conclude(suspect, Tried(suspect.trial, Verdict.ERROR))
                return False
            self._conclude(suspect, tried)
            await self._writer.room()

        in_flight: dict[int, Assignment] = {}
        died = False
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._width):
                    workers.create_task(self._work(client, in_flight))
        except* RuntimeDied:
            died = True
        # The group has cancelled the workers: whatever they held had no verdict when the process ended.
        self._suspects.extend(in_flight[number] for number in sorted(in_flight))
        return not died

    async def _work(self, client: ModelClient, in_flight: dict[int, Assignment]) -> None:
        while (assignment := await self._assignments.take()) is not None:
            number = assignment.trial.number
            in_flight[number] = assignment
            tried = await self._attempt(client, assignment)
            self._conclude(assignment, tried)
            del in_flight[number]  # without a pause after the handover, so that no trial is both stored and suspected
            await self._writer.room()

    async def _attempt(self, client: ModelClient, assignment: Assignment) -> Tried:
        if self._strikes[assignment.unit] >= STRIKES:
            return Tried(assignment.trial, Verdict.ERROR)
        tried = await self._bench.attempt(client, assignment)
        self._strikes[assignment.unit] += tried.failed_alone
        return tried

    def _conclude(self, assignment: Assignment, tried: Tried) -> None:
        self._writer.add(tried)
        self._assignments.done(assignment)
