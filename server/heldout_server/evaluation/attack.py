"""Drive all trials of a run through a runtime that may die under them.

No trial may suffer for another's prompt (``release.md`` section 1). So when the runtime's process ends, what was in
flight gets no verdict: the runtime is started again and those trials are retried one at a time. One whose lone retry
ends the process again is the culprit, and gets ``error``. Then the rest goes on side by side.

Restarts are bounded, by :data:`MAX_RESTARTS` in all and :data:`MAX_FAILED_STARTS` in a row that do not come up: beyond
that the trials that are left are scored by the fixed rule. A checkpoint that dies on more trials than that makes
others' trials count as failed; that is the one way in which it can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from heldout_server.domain import Checkpoint, Verdict
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.evaluation.assignments import Assignment, Assignments
from heldout_server.evaluation.batching import BatchWriter
from heldout_server.evaluation.trying import TrialBench, conclude
from heldout_server.ports.runtimes import ModelClient, Runtime

MAX_RESTARTS: Final = 256
MAX_FAILED_STARTS: Final = 3


class Attack:
    """Try every assignment once, and hand each judged trial to the writer.

    Args:
        runtime: serves the checkpoint.
        checkpoint: what is served.
        verify: refuses a checkpoint that is not what was staged; called before each start of the runtime.
        bench: tries one trial.
        assignments: the trials that are left.
        writer: takes judged trials.
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

    async def run(self) -> None:
        """Try until nothing is left, or the restarts are used up.

        Raises:
            IntegrityError: the checkpoint is not what was staged, or the appliance's own data does not open.
            StorageError: a database failed.
        """
        failed_starts = 0
        for _ in range(1 + MAX_RESTARTS):
            await self._verify(self._checkpoint)
            came_up = finished = False
            try:
                async with self._runtime.serve(self._checkpoint) as client:
                    came_up = True
                    finished = await self._session(client)
            except EndpointError:
                failed_starts = 0 if came_up else failed_starts + 1
            if finished or failed_starts == MAX_FAILED_STARTS:
                return

    async def _session(self, client: ModelClient) -> bool:
        """Try what is left with one process of the runtime; say whether everything was tried."""
        while self._suspects:
            suspect = self._suspects.popleft()
            try:
                self._writer.add(await self._bench.attempt(client, suspect))
            except RuntimeDied:
                self._writer.add(conclude(suspect.trial, Verdict.ERROR))
                return False
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
            self._writer.add(await self._bench.attempt(client, assignment))
            del in_flight[number]  # without a pause after the handover, so that no trial is both stored and suspected
            await self._writer.room()
