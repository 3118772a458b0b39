"""All devices of a log as one: what is stored goes to each, and the log goes on while one of them is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from heldout_server.audit.deadline import DISK_HANGS
from heldout_server.audit.device import LogDevice, reason_of
from heldout_server.database import Connection
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.audit import LOG_FAILED

DEFAULT_DEADLINE_S: Final = 5.0
NONE_LEFT: Final = "no device of the audit log is left"

T = TypeVar("T")


class Devices:
    """Do everything on every device.

    Args:
        devices: at least one; the first whole one is read from.
        deadline_s: seconds after which a device that has not answered a write is lost.
        on_lost: told the name of a device that was lost, and why, while another is whole.
    """

    def __init__(self, devices: Sequence[LogDevice], *, deadline_s: float, on_lost: Callable[[str, str], None]) -> None:
        self._whole = list(devices)
        self._deadline_s = deadline_s
        self._on_lost = on_lost

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the devices that are whole."""
        return tuple(device.name for device in self._whole)

    async def write(self, work: Callable[[LogDevice], Awaitable[T]]) -> tuple[T, ...]:
        """Do ``work`` on each whole device and return what each returned, at least one.

        A device on which it fails, or does not end in time, is lost: what it holds is in doubt until it is opened
        again.

        Raises:
            StorageError: no device is left.
        """
        if not self._whole:
            raise StorageError(NONE_LEFT, reason=LOG_FAILED)
        running = {asyncio.ensure_future(work(device)): device for device in self._whole}
        await asyncio.wait(running, timeout=self._deadline_s)
        done: list[T] = []
        lost: list[tuple[LogDevice, str]] = []
        for task, device in running.items():
            if not task.done():
                task.add_done_callback(_error_of)  # whatever it ends with, somebody has looked
                lost.append((device, DISK_HANGS))
            elif (error := _error_of(task)) is not None:
                lost.append((device, reason_of(error)))
            else:
                done.append(task.result())
        for device, reason in lost:
            self._lose(device, reason, told=bool(done))
        if not done:
            reason = lost[0][1]
            raise StorageError(f"no device of the audit log can be written ({reason})", reason=reason)
        return tuple(done)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads, on the first device that can be read.

        Raises:
            StorageError: the disk or the database of each fails, or no device is left.
            IntegrityError: none of them has what was stored.
        """
        failure: StorageError | IntegrityError = StorageError(NONE_LEFT, reason=LOG_FAILED)
        for device in tuple(self._whole):
            try:
                return await device.read(work)
            except (StorageError, IntegrityError) as error:
                failure = error
        raise failure

    def drop(self, name: str, reason: str) -> bool:
        """Do without a device that is not whole any more; say whether another is left, else it is kept."""
        found = [device for device in self._whole if device.name == name]
        if not found or len(self._whole) == 1:
            return not found
        self._lose(found[0], reason, told=True)
        return True

    async def close(self) -> None:
        """Close all devices, and leave alone one whose disk hangs. Closing twice does nothing more."""
        while self._whole:
            await self._whole.pop().close_within(self._deadline_s)

    def abandon(self) -> None:
        """Let go of all devices without waiting for any."""
        while self._whole:
            self._whole.pop().abandon()

    def _lose(self, device: LogDevice, reason: str, *, told: bool) -> None:
        if device in self._whole:  # two writes at once may both find it lost
            self._whole.remove(device)
            device.abandon()
            if told:
                self._on_lost(device.name, reason)


def _error_of(task: asyncio.Future[Any]) -> BaseException | None:
    """Return what a task ended with, if not well."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()
