"""Read a log from its disk, past what cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from heldout_server.audit.examination import StoredLeaf
from heldout_server.audit.store import MIGRATIONS, read_leaves
from heldout_server.database import Connection, Database
from heldout_server.errors import IntegrityError, StorageError

T = TypeVar("T")

CACHE_KIB: Final = 4_096
UNREADABLE: Final = (StorageError, IntegrityError)
"""What a read ends with where the disk fails, or a page is not what was stored."""


class LogReader:
    """Read through connections of its own.

    SQLCipher reads nothing more through a connection that met a damaged page, so each failure takes a new one.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._database: Database | None = None

    async def leaves(self, start: int, end: int) -> list[StoredLeaf]:
        """Return the leaves from ``start`` up to ``end``; what cannot be read of one is None.

        Raises:
            StorageError, IntegrityError: the file cannot be opened.
        """
        try:
            return await self.read(partial(read_leaves, start=start, end=end))
        except UNREADABLE:
            return [await self._leaf(leaf) for leaf in range(start, end)]

    async def value(self, statement: str, *parameters: object) -> Any:
        """Return the first column of the first row, or None if there is none or it cannot be read.

        Raises:
            StorageError, IntegrityError: the file cannot be opened.
        """
        database = await self._open()
        try:
            row = await database.read(lambda connection: connection.execute(statement, parameters).fetchone())
        except UNREADABLE:
            await self.close()
            return None
        return None if row is None else row[0]

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads.

        Raises:
            StorageError, IntegrityError: something that it reads cannot be read, or the file cannot be opened.
        """
        database = await self._open()
        try:
            return await database.read(work)
        except UNREADABLE:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file; a later read opens it again."""
        if self._database is not None:
            database, self._database = self._database, None
            await asyncio.to_thread(database.close)

    def abandon(self) -> None:
        """Let go of the file, without waiting for a disk that may hang."""
        if self._database is not None:
            self._database.abandon()
            self._database = None

    async def _open(self) -> Database:
        if self._database is None:
            opening = partial(Database.open, self._path, self._key, MIGRATIONS, read_only=True, cache_kib=CACHE_KIB)
            self._database = await asyncio.to_thread(opening)
        return self._database

    async def _leaf(self, leaf: int) -> StoredLeaf:
        return StoredLeaf(
            leaf,
            entry=await self.value("SELECT entry FROM leaves WHERE leaf = ?", leaf),
            row=await self.value("SELECT hashes FROM rows WHERE leaf = ?", leaf),
            repair=await self.value("SELECT repair FROM damaged WHERE leaf = ?", leaf),
        )
