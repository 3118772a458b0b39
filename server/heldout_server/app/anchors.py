"""The anchors of both halves: databases held to the log of the half that writes them, and each log to the other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from heldout_server.anchoring import NO_LEAF, Position
from heldout_server.audit import AnchorBook, SqlAuditLog, decide_log_discrepancy
from heldout_server.errors import IntegrityError
from heldout_server.ports.anchors import Discrepancy

EXCHANGE_S: Final = 60.0
"""Seconds between two looks at whether the logs have grown since they last anchored each other."""

OTHER: Final = {"vault": "window", "window": "vault"}


class Anchors:
    """Hold the books of both logs.

    Attributes:
        books: by half. The vault's databases and ``published`` stand in the vault's, ``window`` in the window's.
    """

    def __init__(self, logs: Mapping[str, SqlAuditLog], books: Mapping[str, AnchorBook]) -> None:
        self.books = books
        self._logs = logs
        self._exchanging = asyncio.Lock()

    @classmethod
    async def open(cls, logs: Mapping[str, SqlAuditLog]) -> Anchors:
        """Find the newest anchors in both logs.

        Raises:
            IntegrityError: an anchor is not what was hashed.
            StorageError: a log cannot be read.
        """
        return cls(logs, {half: await AnchorBook.open(log) for half, log in logs.items()})

    async def find_log_discrepancies(self) -> tuple[Discrepancy, ...]:
        """Say which log is not what the other one has seen of it.

        Raises:
            StorageError: a log cannot be read.
        """
        found: list[Discrepancy] = []
        for half, book in self.books.items():
            name = _name(OTHER[half])
            kept, log = book.find(name), self._logs[OTHER[half]]
            if kept is None:
                continue
            seen = kept.anchored.generation
            root = (await log.root(size=seen)).hex() if seen <= log.size else ""
            now = await self._stand(OTHER[half])
            discrepancy = decide_log_discrepancy(name, now, kept, root=root, size=self._logs[half].size)
            if discrepancy is not None:
                found.append(discrepancy)
        return tuple(found)

    async def verify_logs(self) -> None:
        """Check that both logs are what the other one has seen of them.

        Raises:
            IntegrityError: one is an old copy, or another log.
            StorageError: a log cannot be read.
        """
        for found in await self.find_log_discrepancies():
            raise IntegrityError(found.say(), reason=found.cause.name)

    async def settle(self) -> None:
        """Anchor every open database that has moved since its newest anchor: after a start, and before a stop.

        Raises:
            StorageError: a log or a database cannot be written.
        """
        for book in self.books.values():
            await book.settle()

    async def exchange(self, *, anyway: bool = False) -> None:
        """Let each log anchor the other: where that has grown by more than the last such anchor, or anyway.

        Raises:
            StorageError: a log cannot be written.
        """
        async with self._exchanging:
            for half, book in self.books.items():
                name, size = _name(OTHER[half]), self._logs[OTHER[half]].size
                kept = book.find(name)
                if anyway or kept is None or size > kept.anchored.generation + 1:
                    await book.drop(name, await self._stand(OTHER[half]))

    async def exchange_now_and_then(self) -> None:
        """Look once a minute until cancelled.

        Raises:
            StorageError: a log cannot be written. Nothing may go on then.
        """
        while True:
            await asyncio.sleep(EXCHANGE_S)
            await self.exchange()

    async def _stand(self, half: str) -> Position:
        log = self._logs[half]
        size = log.size
        kept = self.books[OTHER[half]].find(_name(half))
        return Position(
            generation=size,
            schema=0,
            digest=(await log.root(size=size)).hex(),
            figures={},
            leaf=kept.anchored.leaf if kept else NO_LEAF,
            chain=kept.anchored.chain if kept else "",
        )


def _name(half: str) -> str:
    """Return what a log is called where the other one anchors it."""
    return f"audit-{half}"
