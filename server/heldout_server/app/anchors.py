"""The anchors of the halves: databases held to the log of the half that writes them, and each log to the other.

Where both halves are one process, each log is held to the other itself. Where they are two, each reads what the other
left for it (:mod:`heldout_server.window.heads`): where that log stands, which must not be behind what was seen of it
before, and what that half has seen of one's own log, which one's own must still say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from heldout_server.anchoring import NO_LEAF, Anchored, Position
from heldout_server.audit import AnchorBook, SqlAuditLog, decide_log_discrepancy
from heldout_server.audit.anchors import Kept
from heldout_server.errors import IntegrityError
from heldout_server.ports.discrepancies import Discrepancy
from heldout_server.window import Head, Heads

EXCHANGE_S: Final = 60.0
"""Seconds between two looks at whether the logs have grown since they last anchored each other."""

OTHER: Final = {"vault": "window", "window": "vault"}

Leave: TypeAlias = Callable[[Heads], Awaitable[None]]
Read: TypeAlias = Callable[[], Awaitable[Heads | None]]


class Anchors:
    """Hold the books of the logs of this process.

    Args:
        logs: by half.
        books: by half.

    Attributes:
        books: by half. The vault's databases and ``published`` stand in the vault's, ``window`` in the window's.
    """

    def __init__(self, logs: Mapping[str, SqlAuditLog], books: Mapping[str, AnchorBook]) -> None:
        self.books = books
        self._logs = logs
        self._leave: dict[str, Leave] = {}
        self._read: dict[str, Read] = {}
        self._exchanging = asyncio.Lock()

    @classmethod
    async def open(cls, logs: Mapping[str, SqlAuditLog]) -> Anchors:
        """Find the newest anchors in the logs.

        Raises:
            IntegrityError: an anchor is not what was hashed.
            StorageError: a log cannot be read.
        """
        return cls(logs, {half: await AnchorBook.open(log) for half, log in logs.items()})

    def join(self, half: str, *, leave: Leave, read: Read | None = None) -> None:
        """Take what leaves a half's heads for the other half, and what reads those that the other left.

        The latter is only asked where the other half is another process.
        """
        self._leave[half] = leave
        if read is not None and OTHER[half] not in self._logs:
            self._read[half] = read

    async def find_log_discrepancies(self) -> tuple[Discrepancy, ...]:
        """Say which log is not what the other half has seen of it.

        Raises:
            IntegrityError: what the other half left is gone.
            StorageError: a log cannot be read.
        """
        found: list[Discrepancy | None] = []
        for half, book in self.books.items():
            kept = book.find(_name(OTHER[half]))
            if OTHER[half] in self._logs:
                found.append(await self._compare(OTHER[half], kept, size=self._logs[half].size))
            elif half in self._read:
                found += await self._compare_left(half, kept)
        return tuple(one for one in found if one is not None)

    async def verify_logs(self) -> None:
        """Check that the logs are what the other half has seen of them.

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

        What a half leaves is durable before the other can anchor it.

        Raises:
            IntegrityError: another process holds the other half, and what it left is not what was seen of it before.
            StorageError: a log cannot be written.
        """
        async with self._exchanging:
            if self._read:
                await self.verify_logs()
            stands = {half: await self._stand(half) for half in self._logs}
            await self._leave_heads(stands)
            for half, book in self.books.items():
                name = _name(OTHER[half])
                kept = book.find(name)
                stand = stands[OTHER[half]] if OTHER[half] in stands else await self._stand_left(half)
                if stand is not None and (anyway or kept is None or stand.size > kept.anchored.generation + 1):
                    await book.drop(name, _position(stand, kept))
            await self._leave_heads(stands)

    async def exchange_now_and_then(self) -> None:
        """Look once a minute until cancelled.

        Raises:
            IntegrityError: see :meth:`exchange`.
            StorageError: a log cannot be written. Nothing may go on then.
        """
        while True:
            await asyncio.sleep(EXCHANGE_S)
            await self.exchange()

    async def _leave_heads(self, stands: Mapping[str, Head]) -> None:
        for half, leave in self._leave.items():
            kept = self.books[half].find(_name(OTHER[half]))
            await leave(Heads(own=stands[half], other=None if kept is None else _seen(kept)))

    async def _compare(self, half: str, kept: Kept | None, *, size: int) -> Discrepancy | None:
        """Compare a log of this process with what the other log says of it."""
        return None if kept is None else await self._compare_seen(half, _seen(kept), kept, size=size)

    async def _compare_left(self, half: str, kept: Kept | None) -> tuple[Discrepancy | None, ...]:
        """Compare with what the other half, which is another process, left."""
        heads = await self._read[half]()
        if heads is None:
            if kept is None:
                return ()
            raise IntegrityError(
                f"what the {OTHER[half]} half left of its log is gone from the window's folder."
                " Put the newest files back, or see heldout-server restore.",
                reason="HEADS_GONE",
            )
        other = None
        if kept is not None:
            # Of the other log only the newest head is here: whether a longer one goes on from what was seen, that half
            # checks by itself.
            longer = heads.own.size > kept.anchored.generation
            root = kept.digest if longer else heads.own.root
            position, size = _position(heads.own, kept), self._logs[half].size
            other = decide_log_discrepancy(_name(OTHER[half]), position, kept, root=root, size=size)
        own = None
        if heads.other is not None:
            own = await self._compare_seen(half, heads.other, _kept(heads.other), size=heads.own.size)
        return other, own

    async def _compare_seen(self, half: str, seen: Head, kept: Kept, *, size: int) -> Discrepancy | None:
        log = self._logs[half]
        root = (await log.root(size=seen.size)).hex() if seen.size <= log.size else ""
        position = _position(await self._stand(half), kept)
        return decide_log_discrepancy(_name(half), position, kept, root=root, size=size)

    async def _stand(self, half: str) -> Head:
        log = self._logs[half]
        size = log.size
        return Head(size=size, root=(await log.root(size=size)).hex())

    async def _stand_left(self, half: str) -> Head | None:
        heads = await self._read[half]() if half in self._read else None
        return None if heads is None else heads.own


def _seen(kept: Kept) -> Head:
    return Head(size=kept.anchored.generation, root=kept.digest)


def _kept(seen: Head) -> Kept:
    """Return what the other half's log says of one's own, as far as it left that."""
    return Kept(anchored=Anchored(generation=seen.size, leaf=NO_LEAF, chain=""), digest=seen.root, figures={})


def _position(stand: Head, kept: Kept | None) -> Position:
    return Position(
        generation=stand.size,
        schema=0,
        digest=stand.root,
        figures={},
        leaf=kept.anchored.leaf if kept else NO_LEAF,
        chain=kept.anchored.chain if kept else "",
    )


def _name(half: str) -> str:
    """Return what a log is called where the other one anchors it."""
    return f"audit-{half}"
