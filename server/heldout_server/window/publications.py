"""The reading side of ``published.db``: all that the window half can answer from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from heldout_server.database import Database
from heldout_server.errors import NotFound
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.window import Published
from heldout_server.window.publisher import DATABASE, MIGRATIONS

KEPT_RELEASES: Final = 64


class SqlPublications:
    """Read what is published, and nothing else: the connection refuses to write.

    A published document never changes, so one that was read lately is kept, and not read again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, Published] = {}

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
        kept = self._kept.get(release_id)
        if kept is not None:
            return kept
        row = await self._database.read(
            lambda connection: connection.execute(
                "SELECT sequence, release_id, document, receipt FROM releases WHERE release_id = ?", (release_id,)
            ).fetchone()
        )
        if row is None:
            raise NotFound("nothing is published under this id")
        if len(self._kept) == KEPT_RELEASES:
            del self._kept[next(iter(self._kept))]
        self._kept[release_id] = _published(row)
        return self._kept[release_id]

    async def state(self, name: str) -> bytes | None:
        """Return a standing document, or None before there is one."""
        row = await self._database.read(
            lambda connection: connection.execute("SELECT document FROM states WHERE name = ?", (name,)).fetchone()
        )
        return None if row is None else row[0]


def _published(row: Any) -> Published:
    sequence, release_id, document, receipt = row
    return Published(sequence=sequence, release_id=release_id, document=document, receipt=receipt)
