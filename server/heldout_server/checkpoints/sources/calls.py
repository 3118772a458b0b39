"""Call an object store from a thread: each call with a deadline, tried again a few times, and ended when told to stop.

What a store says is mapped here and nowhere else, and never quoted: its messages hold URLs, keys and answers.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from obstore import exceptions as store_errors

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.sources.source import Stopped
from heldout_server.errors import HeldoutError, StorageError

T = TypeVar("T")

ATTEMPTS: Final = 5
BACKOFF_S: Final = 0.25
"""Seconds before the second attempt; they double from attempt to attempt."""

STOP_LATENCY_S: Final = 0.1
STATUS: Final = re.compile(r"status code: (\d{3})")
DENIED: Final = frozenset({401, 403})
UNLISTABLE: Final = frozenset({405, 501})
TRANSIENT: Final = frozenset({408, 425, 429})
CLIENT_ERRORS: Final = range(400, 500)


class Calls:
    """Make calls, one after the other, on a loop of this thread's own. Use as a context manager.

    Args:
        stop: ends a call and the wait before the next attempt.
        attempts: how often a call is tried, at least 1.
        backoff_s: seconds before the second attempt.
    """

    def __init__(self, stop: threading.Event, *, attempts: int = ATTEMPTS, backoff_s: float = BACKOFF_S) -> None:
        self._stop = stop
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runner.close()

    def call(self, make: Callable[[], Coroutine[Any, Any, T]], *, deadline_s: float) -> T:
        """Return what a call returns, trying again where that may help.

        Args:
            make: begins the call, once for each attempt.
            deadline_s: seconds that one attempt may take.

        Raises:
            Unacceptable: the object changed or is gone, or a key is none that can be staged.
            StorageError: the store denies, cannot do that, or still fails at the last attempt.
            Stopped: nobody waits any more.
        """
        pause_s = self._backoff_s
        for attempt in range(1, self._attempts + 1):
            try:
                return self._runner.run(self._bounded(make, deadline_s))
            except HeldoutError:
                raise
            except (
                store_errors.BaseError,
                OSError,
                ValueError,
            ) as error:  # OSError covers TimeoutError and "not found"
                if (mapped := _map(error)) is not None:
                    raise mapped from None
            if attempt < self._attempts:
                if self._stop.wait(pause_s):
                    raise Stopped
                pause_s *= 2
        raise StorageError("the source of checkpoints fails", reason="SOURCE")

    async def _bounded(self, make: Callable[[], Coroutine[Any, Any, T]], deadline_s: float) -> T:
        async with asyncio.timeout(deadline_s):
            task = asyncio.ensure_future(make())
            try:
                while not task.done():
                    if self._stop.is_set():
                        raise Stopped
                    await asyncio.wait({task}, timeout=STOP_LATENCY_S)
                return task.result()
            finally:
                task.cancel()


def _map(error: Exception) -> HeldoutError | None:
    """Return what an error means, or None if another attempt may help."""
    match error:
        case FileNotFoundError() | store_errors.PreconditionError():
            return Unacceptable(Reason.CHANGED_WHILE_READ)
        case store_errors.InvalidPathError():
            return Unacceptable(Reason.BAD_NAME)
        case store_errors.NotSupportedError():
            return StorageError("the source cannot send a part of a file", reason="SOURCE_UNSUPPORTED")
        case store_errors.PermissionDeniedError() | store_errors.UnauthenticatedError():
            return _map_status(403)
        case _:  # a listing that fails says why in words alone
            found = STATUS.search(str(error))
            return _map_status(int(found[1])) if found else None


def _map_status(status: int) -> StorageError | None:
    if status in DENIED:
        return StorageError("the source denies access", reason="SOURCE_DENIED")
    if status in UNLISTABLE:
        return StorageError("the source does not list what it holds", reason="SOURCE_UNLISTABLE")
    if status in CLIENT_ERRORS and status not in TRANSIENT:
        return StorageError(f"the source answers with status {status}", reason="SOURCE")
    return None
