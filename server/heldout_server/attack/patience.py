"""Wait for what an appliance does in its own time, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.02


async def until(look: Callable[[], Awaitable[T | None]], *, patience_s: float = PATIENCE_S) -> T:
    """Look again and again until there is something, and return it.

    Raises:
        TimeoutError: there was nothing for so long.
    """
    async with asyncio.timeout(patience_s):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(LOOK_S)
