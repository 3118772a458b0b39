"""Hand out the trials that are still to be tried, each with its prompt: lazily, a chunk of prompts at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from heldout_server.domain import SecretText
from heldout_server.evaluation.plan import Plan, Trial
from heldout_server.evaluation.tally import Tally
from heldout_server.ports.bank import Bank

CHUNK_MEMBERS: Final = 64


@dataclass(frozen=True, slots=True)
class Assignment:
    """Hold one trial to be tried, and the prompt as it stands in the bank."""

    trial: Trial
    prompt: SecretText


class Assignments:
    """Give each unfinished trial of a plan to exactly one of the workers that ask.

    At most :data:`CHUNK_MEMBERS` prompts are held here at a time, however long the plan.
    """

    def __init__(self, *, bank: Bank, epoch_id: str, plan: Plan, tally: Tally) -> None:
        self._bank = bank
        self._epoch_id = epoch_id
        self._plan = plan
        self._tally = tally
        self._trials: Iterator[Trial] = iter(())
        self._texts: tuple[SecretText, ...] = ()
        self._start = 0
        self._stop = 0
        self._loading = asyncio.Lock()

    async def take(self) -> Assignment | None:
        """Return the next trial, or None when all have been handed out.

        Raises:
            StorageError, IntegrityError: the bank cannot give the prompts; no trial is lost by that.
        """
        while True:
            trial = next(self._trials, None)
            if trial is not None:
                return Assignment(trial, self._texts[trial.position - self._start])
            spent = self._stop
            async with self._loading:
                # Whoever waited for the lock finds the chunk that the first comer loaded.
                if self._stop == spent and not await self._load():
                    return None

    async def _load(self) -> bool:
        """Move to the next chunk that has an unfinished trial; say whether there was one."""
        start = self._stop
        while start < self._plan.members:
            stop = min(start + CHUNK_MEMBERS, self._plan.members)
            if not self._tally.has_all(self._plan.span(start=start, stop=stop)):
                texts = await self._bank.texts(self._epoch_id, start=start, stop=stop)
                # Only now, and without a pause between: a cancelled load leaves everything as it was.
                self._texts, self._start, self._stop = texts, start, stop
                self._trials = (
                    trial for trial in self._plan.trials(start=start, stop=stop) if not self._tally.has(trial.number)
                )
                return True
            start = stop
        self._stop = start
        return False
