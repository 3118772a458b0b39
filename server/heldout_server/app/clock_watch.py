"""Notice when the wall clock steps: the times in the logs are only as good as it.

Deadlines, limits and pauses are kept by the monotonic clock, which no step moves.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import structlog

from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.environment import Clock

LEAST_STEP_S: Final = 5.0
"""What counts as a step: more than a clock is slewed by between two looks, and less than anybody could hide in."""

_log = structlog.get_logger("clock")


class ClockWatch:
    """Compare the wall clock with the monotonic one, at each look with the look before.

    Args:
        clock: both clocks.
        logs: where a step is recorded.
    """

    def __init__(self, clock: Clock, logs: Collection[AuditLog]) -> None:
        self._clock = clock
        self._logs = logs
        self._offset_s = self._now_offset_s()

    async def look(self) -> None:
        """Record a step since the last look, as the event ``clock`` with its seconds: negative for back.

        Raises:
            StorageError: a log cannot be written.
        """
        offset_s = self._now_offset_s()
        step_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(step_s) < LEAST_STEP_S:
            return
        _log.warning("clock_step", step_s=round(step_s))
        for log in self._logs:
            await log.append(Record(kind="event", name="clock", details={"step_s": round(step_s)}))

    def _now_offset_s(self) -> float:
        return self._clock.now_s() - self._clock.monotonic_s()
