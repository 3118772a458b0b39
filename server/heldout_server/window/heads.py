"""What each half leaves of its log where the other half can read it, when they are two processes.

Neither can read the other's log, and yet each is to notice if the other's was replaced by an old copy. So each leaves,
in the database that it alone writes in the window's folder, where its own log stands, and where it has seen the other's
stand, which it has put into its own log. The pages of both databases are authenticated under the window's keys.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.database import Connection, Database

CACHE_KIB: Final = 64

HEADS: Final = """
CREATE TABLE heads (
    whose TEXT PRIMARY KEY CHECK (whose IN ('own', 'other')),
    size INTEGER NOT NULL,
    root TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
"""The migration that makes room for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Say where a log stood: how many leaves, and the hex root of their tree."""

    size: int
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Hold what a half leaves.

    Attributes:
        own: where its own log stood.
        other: where it has seen the other half's log stand; None before it has seen any.
    """

    own: Head
    other: Head | None


async def leave_heads(database: AnchoredDatabase, heads: Heads) -> None:
    """Replace what was left before.

    Raises:
        StorageError: the database cannot be written.
    """

    def replace(connection: Connection) -> None:
        for whose, head in (("own", heads.own), ("other", heads.other)):
            if head is not None:
                connection.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", (whose, head.size, head.root))

    await database.write_aside(replace)


async def read_heads(path: Path, key: bytes, migrations: tuple[str, ...]) -> Heads | None:
    """Open the other half's database for a moment, and return what it left there; None before it left anything.

    Raises:
        StorageError: the database cannot be read, or is not up to date yet.
        IntegrityError: it was written by a newer version.
        WrongKey: the key does not open it.
    """
    database = await asyncio.to_thread(_open, path, key, migrations)
    if database is None:
        return None
    try:
        rows = await database.read(lambda connection: connection.execute("SELECT * FROM heads").fetchall())
    finally:
        database.close()
    heads = {whose: Head(size=size, root=root) for whose, size, root in rows}
    return Heads(own=heads["own"], other=heads.get("other")) if "own" in heads else None


def _open(path: Path, key: bytes, migrations: tuple[str, ...]) -> Database | None:
    if not path.exists():
        return None
    return Database.open(path, key, migrations, read_only=True, cache_kib=CACHE_KIB)
