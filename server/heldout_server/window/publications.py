"""The reading side of ``published.db``: all that the window half can answer from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from heldout_server.anchored_database import verify_content
from heldout_server.anchoring import Position
from heldout_server.database import Connection, Database
from heldout_server.errors import IntegrityError, NotFound, StorageError
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.window import Published
from heldout_server.window.publisher import DATABASE, MIGRATIONS

T = TypeVar("T")

KEPT_RELEASES: Final = 64


class SqlPublications:
    """Read what is published, and nothing else: the connection refuses to write.

    A published document never changes, so one that was read lately is kept, and not read again. Whenever the vault has
    written, all of the content is checked against what the vault said of it
    (:mod:`heldout_server.anchored_database`), before anything is answered from it: an old page that was put back is
    found there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, Published] = {}
        self._version = -1  # of what was checked; written on the database's thread alone
        self._position: Position | None = None

    @classmethod
    def open(cls, path: Path, *, keys: KeyRing) -> SqlPublications:
        """Open ``published.db``, which a :class:`SqlPublisher` has created.

        Raises:
            StorageError: the file is not there, or cannot be opened with this key.
            IntegrityError: it was written by a newer version.
        """
        if not path.exists():
            raise StorageError(
                f"{path}: is not there yet: the vault half makes it. Start that first.", reason="NOT_READY"
            )
        return cls(Database.open(path, keys.database_key(DATABASE), MIGRATIONS, read_only=True))

    def close(self) -> None:
        """Close the database, after what was begun."""
        self._database.close()

    async def releases(self, *, after: int, limit: int) -> tuple[Published, ...]:
        """Return up to ``limit`` releases in the order of publication, those past sequence ``after``."""
        rows = await self._read(
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
        row = await self._read(
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
        row = await self._read(
            lambda connection: connection.execute("SELECT document FROM states WHERE name = ?", (name,)).fetchone()
        )
        return None if row is None else row[0]

    async def position(self) -> Position:
        """Check all of the content, and return where the database stands.

        Raises:
            IntegrityError: the content is not what the vault stored last.
            StorageError: the disk or the database fails.
        """

        def look(connection: Connection) -> Position:
            self._version = -1
            self._verify_changed(connection)
            return self._position  # type: ignore[return-value] # it was set a line before

        return await self._database.read(lambda connection: _in_one_view(connection, look))

    async def _read(self, work: Callable[[Connection], T]) -> T:
        def verify_and_work(connection: Connection) -> T:
            self._verify_changed(connection)
            return work(connection)

        return await self._database.read(lambda connection: _in_one_view(connection, verify_and_work))

    def _verify_changed(self, connection: Connection) -> None:
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        position = verify_content(connection, name=self._database.path.name)
        if self._position is not None and position.generation < self._position.generation:
            raise IntegrityError(f"{self._database.path.name}: went back to an old state", reason="OLD_COPY")
        self._position, self._version = position, version


def _in_one_view(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Read inside one transaction: what the vault writes meanwhile is seen the next time."""
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT generation FROM position").fetchone()  # the view begins with the first row read
        return work(connection)
    finally:
        connection.execute("COMMIT")


def _published(row: Any) -> Published:
    sequence, release_id, document, receipt = row
    return Published(sequence=sequence, release_id=release_id, document=document, receipt=receipt)
