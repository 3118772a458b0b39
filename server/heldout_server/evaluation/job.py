"""A started run while this process is to execute it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from heldout_server.evaluation.tally import Tally


@dataclass(slots=True, eq=False)
class Job:
    """Hold a started run, and how its task is told to stop and tells that it ended.

    Attributes:
        begun: a task has taken it up.
        stop: set to end it early.
        ended: set when nothing more happens to it in this process.
        failure: reason code of what interrupted it, or empty.
    """

    run_id: str
    tally: Tally = field(default_factory=Tally)
    begun: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""
