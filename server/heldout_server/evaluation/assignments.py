"""Hand out the trials that are still to be tried, each with its prompt: lazily, a chunk of prompts at a time.

The trials of one unit go out one after the other, in the order of the plan: the next one when the last has its verdict.
So whatever a unit's trials do to the runtime, which of them came first depends on that unit alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from heldout_server.domain import SecretText
from heldout_server.evaluation.plan import Plan, Trial
from heldout_server.evaluation.tally import Tally
from heldout_server.ports.bank import Bank

CHUNK_MEMBERS: Final = 64
HELD_A_WORKER: Final = 4
"""Prompts that are held for each worker at most, so that families of several prompts leave no worker idle."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Hold one trial to be tried, the prompt as it stands in the bank, and the unit that the prompt belongs to."""

    trial: Trial
    prompt: SecretText
    unit: str


class Assignments:
    """Give each unfinished trial of a plan to exactly one of the workers that ask.

    Prompts are loaded when a worker would be idle without them. At most :data:`HELD_A_WORKER` a worker are held here,
    and one chunk more, however long the plan.

    Args:
        bank: holds the prompts.
        epoch_id: names the epoch.
        plan: what is tried.
        units: the unit of each member, by position.
        tally: what has a verdict.
        in_flight: workers that ask, at least 1.
    """

    def __init__(
        self, *, bank: Bank, epoch_id: str, plan: Plan, units: Sequence[str], tally: Tally, in_flight: int
    ) -> None:
        self._bank = bank
        self._epoch_id = epoch_id
        self._plan = plan
        self._units = units
        self._tally = tally
        self._waiting: dict[str, deque[Iterator[Assignment]]] = {}  # by unit: its prompts that have trials left
        self._idle: deque[str] = deque()  # units in it of which nothing is being tried
        self._busy: set[str] = set()
        self._held = 0
        self._most_held = HELD_A_WORKER * in_flight
        self._stop = 0
        self._loading = asyncio.Lock()
        self._resting: deque[asyncio.Future[None]] = deque()  # workers that found every unit busy

    async def take(self) -> Assignment | None:
        """Return the next trial, or None when all are done. Whoever takes one says so when it is :meth:`done`.

        Raises:
            StorageError, IntegrityError: the bank cannot give the prompts; no trial is lost by that.
        """
        while True:
            assignment = self._next()
            if assignment is not None:
                return assignment
            spent = self._stop
            if spent < self._plan.members and self._held < self._most_held:
                async with self._loading:
                    # Whoever waited for the lock finds the chunk that the first comer loaded.
                    if self._stop == spent:
                        await self._load()
            elif self._busy:
                rest = asyncio.get_running_loop().create_future()
                self._resting.append(rest)
                await rest
            else:
                self._wake(len(self._resting))  # nothing is left for them either
                return None

    def done(self, assignment: Assignment) -> None:
        """Note that a trial has its verdict: the next one of its unit may begin."""
        self._busy.discard(assignment.unit)
        if assignment.unit in self._waiting:
            self._idle.appendleft(assignment.unit)  # before the units behind it, as the plan has them
        self._wake(1)

    def _wake(self, workers: int) -> None:
        while workers > 0 and self._resting:
            rest = self._resting.popleft()
            if not rest.done():  # else its worker was cancelled
                rest.set_result(None)
                workers -= 1

    def _next(self) -> Assignment | None:
        while self._idle:
            unit = self._idle.popleft()
            prompts = self._waiting[unit]
            while prompts:
                assignment = next(prompts[0], None)
                if assignment is not None:
                    self._busy.add(unit)
                    return assignment
                prompts.popleft()
                self._held -= 1
            del self._waiting[unit]
        return None

    async def _load(self) -> None:
        """Move to the next chunk that has an unfinished trial."""
        start = self._stop
        while start < self._plan.members:
            stop = min(start + CHUNK_MEMBERS, self._plan.members)
            if not self._tally.has_all(self._plan.span(start=start, stop=stop)):
                texts = await self._bank.texts(self._epoch_id, start=start, stop=stop)
                # Only now, and without a pause between: a cancelled load leaves everything as it was.
                for position, text in zip(range(start, stop), texts, strict=True):
                    self._add(position, text)
                self._stop = stop
                self._wake(len(self._idle))
                return
            start = stop
        self._stop = start

    def _add(self, position: int, text: SecretText) -> None:
        unit = self._units[position]
        if unit not in self._waiting:
            self._waiting[unit] = deque()
            if unit not in self._busy:
                self._idle.append(unit)
        self._waiting[unit].append(self._trials(position, text, unit))
        self._held += 1

    def _trials(self, position: int, text: SecretText, unit: str) -> Iterator[Assignment]:
        for trial in self._plan.trials(start=position, stop=position + 1):
            if not self._tally.has(trial.number):
                yield Assignment(trial, text, unit)
