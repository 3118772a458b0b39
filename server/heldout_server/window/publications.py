"""The reading side of ``published.db``: all that the window half can answer from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heldout_server.database import Database
from heldout_server.errors import NotFound
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.window import Published
from heldout_server.window.publisher import DATABASE, MIGRATIONS


class SqlPublications:
    """Read what is published, and nothing else: the connection refuses to write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path, *, keys: KeyRing) -> SqlPublications:
        """Open ``published.db``, which a :class:`SqlPublisher` has created.

        Raises:
            StorageError: the file is not there, or cannot be opened with this key.
            IntegrityError: it was written by a newer version.
        """
        return cls(Database.open(path, keys.database_key(DATABASE), MIGRATIONS, read_only=True))

    def close(self) -> None:
        """Close the database, after what was begun."""
        self._database.close()

    async def releases(self, *, after: int, limit: int) -> tuple[Published, ...]:
        """Return up to ``limit`` releases in the order of publication, those past sequence ``after``."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT sequence, release_id, document, receipt FROM releases WHERE sequence > ? "
                "ORDER BY sequence LIMIT ?",
                (after, limit),
            ).fetchall()
        )
        return tuple(_published(row) for row in rows)

    async def release(self, release_id: str) -> Published:
        """Return one release.

        Raises:
            NotFound: nothing is published under this id.
        """
        row = await self._database.read(
            lambda connection: connection.execute(
                "SELECT sequence, release_id, document, receipt FROM releases WHERE release_id = ?", (release_id,)
            ).fetchone()
        )
        if row is None:
            raise NotFound("nothing is published under this id")
        return _published(row)

    async def state(self, name: str) -> bytes | None:
        """Return a standing document, or None before there is one."""
        row = await self._database.read(
            lambda connection: connection.execute("SELECT document FROM states WHERE name = ?", (name,)).fetchone()
        )
        return None if row is None else row[0]


def _published(row: Any) -> Published:
    sequence, release_id, document, receipt = row
    return Published(sequence=sequence, release_id=release_id, document=document, receipt=receipt)
