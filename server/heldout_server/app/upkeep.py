"""What the appliance looks after beside its calls: changed files, a stepping clock, denials that were only counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from heldout_server.api.denials import Denials
from heldout_server.app.clock_watch import ClockWatch
from heldout_server.app.reloading import Reloader
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.environment import Clock

LOOK_S: Final = 1.0
"""Seconds between two looks."""

DENIALS_S: Final = 60.0
"""Seconds between two records of the denials that were only counted."""


async def keep_up(
    reloader: Reloader,
    clock_watch: ClockWatch,
    denials: Denials,
    logs: Mapping[str, AuditLog],
    *,
    clock: Clock,
    reload: asyncio.Event,
) -> None:
    """Look once a second until cancelled, and at once when told to reload.

    Raises:
        StorageError: a log cannot be written. Nothing may go on then.
    """
    recorded_s = clock.monotonic_s()
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reload.wait(), LOOK_S)
        asked = reload.is_set()
        reload.clear()
        await clock_watch.look()
        await reloader.look(asked=asked)
        if clock.monotonic_s() - recorded_s >= DENIALS_S:
            recorded_s = clock.monotonic_s()
            await record_denials(denials, logs)


async def record_denials(denials: Denials, logs: Mapping[str, AuditLog]) -> None:
    """Record what was counted since the last time.

    Raises:
        StorageError: a log cannot be written.
    """
    for half, records in denials.take_summaries().items():
        for record in records:
            await logs[half].append(record)
