"""A database that is held to a log: every change of its content is anchored before it is acknowledged.

A row of its own, ``position``, holds the number of changes of the content, a salted digest of it, and the newest anchor
that it knows (:mod:`heldout_server.anchoring`). The row changes in the transaction that changes the content; then the
anchor is appended, and only then does :meth:`AnchoredDatabase.write` return. A crash in between leaves a position that
the log has not seen yet: it is anchored at the next start, and nobody had been told of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from heldout_server.anchoring import NO_LEAF, Anchor, Anchored, Content, Position
from heldout_server.database import CACHE_KIB, Connection, Database
from heldout_server.errors import IntegrityError

T = TypeVar("T")

CHUNK_ROWS: Final = 1_000
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS position (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    generation INTEGER NOT NULL,
    rows TEXT NOT NULL,  -- JSON: the statements whose rows are digested, which the next version may change
    salt BLOB NOT NULL,
    digest TEXT NOT NULL,
    leaf INTEGER NOT NULL,
    chain TEXT NOT NULL
) STRICT
"""


class AnchoredDatabase:
    """Run functions over one database, as :class:`heldout_server.database.Database` does, and anchor what they change.

    Attributes:
        path: the file.
    """

    def __init__(self, database: Database, *, content: Content, anchor: Anchor | None) -> None:
        self.path = database.path
        self._database = database
        self._content = content
        self._anchor = anchor
        self._position: Position | None = None  # written on the database's thread alone
        self._salt = b""
        self._anchored: Anchored | None = None  # what the log has
        self._anchoring = asyncio.Lock()

    @classmethod
    def open(
        cls,
        path: Path,
        key: bytes,
        migrations: Sequence[str],
        *,
        content: Content,
        anchor: Anchor | None,
        cache_kib: int = CACHE_KIB,
    ) -> AnchoredDatabase:
        """Open the database, or create it, and check that it is what was stored last.

        Args:
            path: the file; its folder must exist.
            key: the raw key, 32 bytes.
            migrations: as :meth:`heldout_server.database.Database.open` takes them.
            content: what must not be swapped.
            anchor: what holds it to a log; None for none.
            cache_kib: as :meth:`heldout_server.database.Database.open` takes it.

        Raises:
            WrongKey: the file is there and this key does not open it.
            StorageError: the disk or the file fails.
            IntegrityError: the file was written by a newer version, its content is not what was stored, or it is not
                what the log says.
        """
        database = Database.open(path, key, migrations, cache_kib=cache_kib)
        try:
            opened = cls(database, content=content, anchor=anchor)
            database.write_now(opened._prepare)
        except BaseException:
            database.close()
            raise
        if anchor is not None:
            anchor.attach(opened.anchor)
        return opened

    @property
    def position(self) -> Position:
        """Return where the database stands."""
        if self._position is None:  # pragma: no cover - open sets it
            raise AssertionError
        return self._position

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction; return what it returns once it is durable, and anchored where it changed.

        Whatever ``work`` raises rolls the transaction back and is raised here.

        Raises:
            StorageError: the disk, the database or the log fails.
            IntegrityError: something else wrote to the database.
        """
        change = _Change(self._advance)
        result = await self._database.write(lambda connection: change.make(connection, work), after=self._keep(change))
        await self.anchor()
        return result

    async def write_aside(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which leaves the content as it is, in one transaction; nothing is digested or anchored.

        Raises:
            StorageError: the disk or the database fails.
        """
        return await self._database.write(work)

    def begin_write(self, work: Callable[[Connection], T]) -> Future[T]:
        """Do as :meth:`write_aside` does, without waiting: the future is done once the work is durable, or failed."""
        return self._database.begin_write(work)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """Do as :meth:`write` does, blocking the caller, and leave the anchor to :meth:`anchor`: for an opening room.

        Raises:
            StorageError: the disk or the database fails.
            IntegrityError: something else wrote to the database.
        """
        change = _Change(self._advance)
        result = self._database.write_now(lambda connection: change.make(connection, work))
        self._keep(change)()
        return result

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Do as :meth:`read` does, blocking the caller, which must not be this database's thread or an event loop.

        Raises:
            StorageError: the disk or the database fails.
        """
        return self._database.read_now(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads, and return what it returns.

        Raises:
            StorageError: the disk or the database fails.
        """
        return await self._database.read(work)

    async def anchor(self) -> None:
        """See to it that the log has where the database stands. Changes that come together share an anchor.

        Raises:
            StorageError: the log or the database cannot be written.
        """
        if self._anchor is None:
            return
        async with self._anchoring:
            if self._anchored is not None and self._anchored.generation == self.position.generation:
                return
            anchored = await self._anchor.drop(await self._database.read(self._stand))
            await self._database.write(lambda connection: _note(connection, anchored))
            self._anchored = anchored

    def close(self) -> None:
        """Wait for what was begun, then close the file. Closing twice does nothing more."""
        self._database.close()

    def _prepare(self, connection: Connection) -> None:
        """Check what is there against its own row and the log, and bring the row up to date; on the thread."""
        connection.execute(_TABLE)
        stored = connection.execute("SELECT generation, rows, salt, digest FROM position").fetchone()
        if stored is None:
            connection.execute("INSERT INTO position VALUES (0, 0, '{}', randomblob(32), '', ?, '')", (NO_LEAF,))
            stored = connection.execute("SELECT generation, rows, salt, digest FROM position").fetchone()
        generation, rows, self._salt, digest = stored
        # (1) The content is what this very file last said of it, by the statements of that time.
        if digest:
            _verify(connection, json.loads(rows), digest, salt=self._salt, name=self.path.name)
        self._position = self._read(connection, generation=generation, digest=digest)
        # (2) The log agrees, and says which anchor is the newest.
        if self._anchor is not None:
            self._anchored = self._anchor.verify(self._position)
            if self._anchored is not None:
                _note(connection, self._anchored)
        # (3) From here on, by the statements of this version.
        if (current := json.dumps(dict(self._content.rows))) != rows:
            connection.execute("UPDATE position SET rows = ?", (current,))
            self._position = self._advance(connection)

    def _stand(self, connection: Connection) -> Position:
        return self._read(connection, generation=self.position.generation, digest=self.position.digest)

    def _advance(self, connection: Connection) -> Position:
        """Digest the content inside the transaction that may have changed it; if it did, count that."""
        before = self.position
        digest = _digest(connection, self._content.rows, salt=self._salt)
        if digest == before.digest:
            return before
        counted = connection.execute(
            "UPDATE position SET generation = generation + 1, digest = ? WHERE generation = ? AND digest = ?",
            (digest, before.generation, before.digest),
        )
        if counted.rowcount != 1:
            raise IntegrityError(
                f"{self.path.name}: something else wrote to it, or the file was exchanged. Stop the appliance.",
                reason="POSITION_CHANGED",
            )
        return self._read(connection, generation=before.generation + 1, digest=digest)

    def _keep(self, change: _Change) -> Callable[[], None]:
        """Return what takes note of where the database stands, once that is durable."""

        def keep() -> None:
            self._position = change.position

        return keep

    def _read(self, connection: Connection, *, generation: int, digest: str) -> Position:
        figures = {
            name: int(connection.execute(statement).fetchone()[0]) for name, statement in self._content.figures.items()
        }
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        leaf, chain = connection.execute("SELECT leaf, chain FROM position").fetchone()
        return Position(generation=generation, schema=schema, digest=digest, figures=figures, leaf=leaf, chain=chain)


class _Change:
    """Hold one write while it is made: where it leaves the database is true only once it is durable."""

    def __init__(self, advance: Callable[[Connection], Position]) -> None:
        self._advance = advance
        self.position: Position | None = None

    def make(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        """Do the work, and digest what came of it."""
        result = work(connection)
        self.position = self._advance(connection)
        return result


def verify_content(connection: Connection, *, name: str) -> Position:
    """Check a database that somebody else writes against its own row, and return where it stands, without figures.

    Args:
        connection: which reads, inside a transaction.
        name: of the file, for messages.

    Raises:
        IntegrityError: its content is not what was stored last.
    """
    row = connection.execute("SELECT generation, rows, salt, digest, leaf, chain FROM position").fetchone()
    generation, rows, salt, digest, leaf, chain = row
    if digest:
        _verify(connection, json.loads(rows), digest, salt=salt, name=name)
    schema = connection.execute("PRAGMA user_version").fetchone()[0]
    return Position(generation=generation, schema=schema, digest=digest, figures={}, leaf=leaf, chain=chain)


def _verify(connection: Connection, rows: Mapping[str, str], digest: str, *, salt: bytes, name: str) -> None:
    whole = all(connection.execute(f"PRAGMA integrity_check('{table}')").fetchall() == [("ok",)] for table in rows)
    if not whole or _digest(connection, rows, salt=salt) != digest:
        raise IntegrityError(
            f"{name}: its content is not what was stored last: an old page was put back, or a row was exchanged."
            " Nothing was started. Put a whole copy in its place: heldout-server restore takes it in.",
            reason="CONTENT_CHANGED",
        )


def _digest(connection: Connection, rows: Mapping[str, str], *, salt: bytes) -> str:
    digest = hashlib.sha256(salt)
    for table, statement in rows.items():
        digest.update(f"{table}\n".encode())
        cursor = connection.execute(statement)
        while chunk := cursor.fetchmany(CHUNK_ROWS):
            digest.update(repr(chunk).encode())
    return digest.hexdigest()


def _note(connection: Connection, anchored: Anchored) -> None:
    connection.execute("UPDATE position SET leaf = ?, chain = ?", (anchored.leaf, anchored.chain))
