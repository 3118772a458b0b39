"""Work on a disk that may hang: done on a thread of its own, and left alone there once it has taken too long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from heldout_server.errors import StorageError

DISK_HANGS: Final = "AUDIT_DEADLINE"
"""The reason of what a disk did not do in time."""

T = TypeVar("T")


async def wait_for_disk(work: Awaitable[T], *, path: Path, deadline_s: float) -> T:
    """Return what is done on another thread, unless its disk takes too long.

    Raises:
        StorageError: it took longer, with the reason :data:`DISK_HANGS`. It may still be done some time.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await work
    except TimeoutError:
        raise StorageError(
            f"{path}: its disk did not answer within {deadline_s:g} s while the audit log was opened. Nothing was"
            " started: see to that disk (mount, free space, kernel log), then start again.",
            reason=DISK_HANGS,
        ) from None


async def run_on_disk(
    work: Callable[[], T], *, path: Path, deadline_s: float, undo: Callable[[T], object] = lambda _late: None
) -> T:
    """Run ``work`` on a thread of its own and return what it returns, unless its disk takes too long.

    Args:
        work: what may block.
        path: what it works on, for the message.
        deadline_s: seconds that it may take.
        undo: is given, on that thread, what came when nobody waited any more.

    Raises:
        StorageError: it took longer, with the reason :data:`DISK_HANGS`.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # whoever stops waiting does not stop the thread

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=f"disk-{path.stem}", daemon=True).start()
    try:
        return await wait_for_disk(asyncio.wrap_future(future), path=path, deadline_s=deadline_s)
    except BaseException:
        future.add_done_callback(lambda late: late.exception() or undo(late.result()))
        raise
