"""What becomes of the logs while the appliance runs: damage that they find, devices that they lose, cosignatures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from heldout_server.api.server import Health
from heldout_server.audit import DAMAGED, Pace, SqlAuditLog
from heldout_server.errors import HeldoutError
from heldout_server.ports.release import ReleaseDesk
from heldout_server.telemetry import Metrics

DEVICES_PART: Final = "log-devices"
"""The name under which health says whether every device of every log is whole. The appliance serves with one."""

_log: Final = structlog.get_logger("logs")


class LogWatch:
    """Take note of what the logs tell, and act on it.

    Damage drops readiness until the log is repaired; a lost device shows in a health service of its own.

    Args:
        metrics: counts the faults.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._damaged = asyncio.Event()
        self._device_lost = asyncio.Event()
        self._cosigned = asyncio.Event()

    def note_fault(self, name: str) -> None:
        """Take note of ``log_damaged`` or ``log_device_lost``."""
        self._metrics.log_fault(name.upper())
        (self._damaged if name == DAMAGED else self._device_lost).set()

    def note_cosignature(self) -> None:
        """Take note that a head was cosigned."""
        self._cosigned.set()

    async def run(self, logs: Iterable[SqlAuditLog], pace: Pace, health: Health) -> None:
        """Let the logs audit themselves, and act on what is noted, until cancelled."""
        await health.set(serving=True, part=DEVICES_PART)
        async with asyncio.TaskGroup() as tasks:
            for log in logs:
                tasks.create_task(log.audit_itself(pace))
            tasks.create_task(_drop(self._damaged, health, ""))
            tasks.create_task(_drop(self._device_lost, health, DEVICES_PART))

    async def carry_on_cosigned(self, desk: ReleaseDesk) -> None:
        """Carry on the releases that wait for a cosignature whenever there is a new one, until cancelled."""
        while True:
            await self._cosigned.wait()
            self._cosigned.clear()
            try:
                await desk.carry_on()
            except HeldoutError as error:  # what waits goes on waiting: for the next cosignature, or the next start
                _log.error("carry_on_failed", reason=error.reason)


async def _drop(happened: asyncio.Event, health: Health, part: str) -> None:
    await happened.wait()
    await health.set(serving=False, part=part)
