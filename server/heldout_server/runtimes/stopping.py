"""Wait until a server's process is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

STDIN: Final = 0


async def stop_asked(*, until_eof: bool) -> None:
    """Wait for SIGTERM or SIGINT or, with ``until_eof``, the end of standard input."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    if until_eof:
        loop.add_reader(STDIN, _stop_at_eof, loop, asked)
    await asked.wait()


def _stop_at_eof(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    if not os.read(STDIN, 4096):
        loop.remove_reader(STDIN)
        asked.set()
