"""The writing side of ``published.db``: the vault half alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from heldout_policy.disclosure import whole_minute
from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchor, Content
from heldout_server.database import Connection
from heldout_server.errors import IntegrityError
from heldout_server.ports.environment import Clock
from heldout_server.ports.keys import KeyRing
from heldout_server.window.heads import HEADS, Heads, leave_heads

DATABASE: Final = "published"

MIGRATIONS: Final = (
    """
    CREATE TABLE releases (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        release_id TEXT NOT NULL UNIQUE,
        document BLOB NOT NULL,
        receipt BLOB NOT NULL,
        inserted_s INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE states (
        name TEXT PRIMARY KEY,
        document BLOB NOT NULL,
        updated_s INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    HEADS,
)

CONTENT: Final = Content(
    rows={
        "releases": "SELECT sequence, release_id, document, receipt, inserted_s FROM releases ORDER BY sequence",
        "states": "SELECT name, document FROM states ORDER BY name",
    }
)


class SqlPublisher:
    """Write what is published. A document is never changed and never taken back."""

    def __init__(self, database: AnchoredDatabase, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(cls, path: Path, *, keys: KeyRing, clock: Clock, anchor: Anchor | None = None) -> SqlPublisher:
        """Open ``published.db``, or create it. Readers open it after this.

        Raises:
            StorageError: the file cannot be opened, or not with this key.
            IntegrityError: it was written by a newer version, or is not what the vault's log says.
        """
        key = keys.database_key(DATABASE)
        return cls(AnchoredDatabase.open(path, key, MIGRATIONS, content=CONTENT, anchor=anchor), clock=clock)

    def close(self) -> None:
        """Close the database, after what was begun."""
        self._database.close()

    async def insert(self, release_id: str, document: bytes, receipt: bytes) -> None:
        """Publish a document. Idempotent by release id.

        Raises:
            IntegrityError: another document stands under this id.
        """
        await self._database.write(lambda connection: self._insert(connection, release_id, document, receipt))

    def _insert(self, connection: Connection, release_id: str, document: bytes, receipt: bytes) -> None:
        row = connection.execute("SELECT document FROM releases WHERE release_id = ?", (release_id,)).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO releases (release_id, document, receipt, inserted_s) VALUES (?, ?, ?, ?)",
                (release_id, document, receipt, whole_minute(self._clock.now_s())),
            )
        elif row[0] != document:
            raise IntegrityError(f"{release_id}: another document is published", reason="PUBLISHED_DIFFERENTLY")

    async def put_state(self, name: str, document: bytes) -> None:
        """Replace a standing document: ``cards`` or ``budget``."""
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO states (name, document, updated_s) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET document = excluded.document, updated_s = excluded.updated_s",
                (name, document, whole_minute(self._clock.now_s())),
            )
        )

    async def leave_heads(self, heads: Heads) -> None:
        """Say where the logs stand, for the window half: see :mod:`heldout_server.window.heads`.

        Raises:
            StorageError: the database cannot be written.
        """
        await leave_heads(self._database, heads)
