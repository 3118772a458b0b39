"""A started run while this process is to execute it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from heldout_server.evaluation.tally import Tally


@dataclass(slots=True, eq=False)
class Job:
    """Hold a started run, and how its task is told to stop and tells that it ended.

    What a job tells of the checkpoint is for bank testers alone.

    Attributes:
        due_s: its slot in Unix seconds, or 0 if it publishes as soon as it is complete.
        begun: a task has taken it up.
        stop: set to end it early, once it is marked as cancelled.
        closing: set when its slot is near: what was not tried by then is scored by the fixed rule.
        ended: set when nothing more happens to it in this process.
        failure: reason code of what interrupted it, or empty.
        paused: reason code of why nothing is tried just now, or empty.
        faults: type and place of exceptions that nobody had foreseen.
    """

    run_id: str
    due_s: int = 0
    tally: Tally = field(default_factory=Tally)
    begun: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""
    paused: str = ""
    faults: set[tuple[str, str]] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Say whether nothing more is to be tried."""
        return self.stop.is_set() or self.closing.is_set()

    async def over(self) -> None:
        """Wait until nothing more is to be tried."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (self.stop, self.closing)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
