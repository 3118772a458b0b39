"""What the audit log keeps in SQL, and how it is read back and checked. Runs on the database's own thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.tree import Frontier, completing_leaf, leaf_hash, node_in_row
from heldout_server.database import Connection
from heldout_server.errors import IntegrityError, StorageError

MIGRATIONS: Final = (
    """
    CREATE TABLE leaves (leaf INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
    CREATE TABLE rows (leaf INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
    CREATE TABLE counters (identity TEXT PRIMARY KEY, counter INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE head (
        only INTEGER PRIMARY KEY CHECK (only = 0), size INTEGER NOT NULL, checkpoint TEXT NOT NULL
    ) STRICT;
    """,
)

CHECKED_LEAVES: Final = 1_024
"""How many of the newest leaves are hashed again on opening; the auditor's export hashes them all."""

FileIds: TypeAlias = tuple[tuple[int, int], ...]
"""Device and inode of each file that a commit goes to."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Hold what a log goes on from.

    Attributes:
        frontier: of the tree that the signed head covers.
        checkpoint: the signed head.
        counters: number of the last intent of each identity.
        files: see :func:`file_ids`.
    """

    frontier: Frontier
    checkpoint: str
    counters: dict[str, int]
    files: FileIds


def load(path: Path, signer: CheckpointSigner, connection: Connection) -> Stored:
    """Read and check a stored log, or sign the head of an empty one.

    Raises:
        IntegrityError: the stored head, hashes and newest leaves do not belong together, or another key signed.
    """
    stored = connection.execute("SELECT size, checkpoint FROM head").fetchone()
    if stored is None:
        stored = (0, signer.checkpoint(size=0, root=Frontier().root()))
        connection.execute("INSERT INTO head VALUES (0, ?, ?)", stored)
    size, checkpoint = stored
    # (1) The leaves and rows end where the head says.
    ends = connection.execute("SELECT (SELECT max(leaf) FROM leaves), (SELECT max(leaf) FROM rows)").fetchone()
    if ends != ((size - 1, size - 1) if size else (None, None)):
        raise IntegrityError(f"{path.name}: the head covers {size} leaves, and others are stored")
    # (2) The newest leaves hash to what is stored of them.
    read_entries(connection, start=max(0, size - CHECKED_LEAVES), end=size)
    # (3) The stored subtrees have the root that was signed, by this key and under this name: signing is deterministic.
    frontier = Frontier.load(size, partial(read_node, connection))
    if signer.checkpoint(size=size, root=frontier.root()) != checkpoint:
        raise IntegrityError(f"{path.name}: the signed head is not of these leaves, or another key or name signed it")
    counters = dict(connection.execute("SELECT identity, counter FROM counters"))
    return Stored(frontier, checkpoint, counters, file_ids(path))


def write(
    connection: Connection,
    *,
    first: int,
    entries: Sequence[bytes],
    rows: Sequence[bytes],
    counters: Mapping[str, int],
    checkpoint: str,
) -> None:
    """Store new leaves from index ``first`` on, their rows, the counters that moved, and the head over all."""
    connection.executemany("INSERT INTO leaves VALUES (?, ?)", list(enumerate(entries, first)))
    connection.executemany("INSERT INTO rows VALUES (?, ?)", list(enumerate(rows, first)))
    connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", list(counters.items()))
    connection.execute("UPDATE head SET size = ?, checkpoint = ?", (first + len(entries), checkpoint))


def file_ids(path: Path) -> FileIds:
    """Identify the database file and its write-ahead log.

    Raises:
        StorageError: one of them is gone.
    """
    try:
        stats = [file.stat() for file in (path, path.with_name(f"{path.name}-wal"))]
    except OSError:
        raise StorageError("the file of the audit log is gone", reason="AUDIT_FILE_GONE") from None
    return tuple((stat.st_dev, stat.st_ino) for stat in stats)


def read_node(connection: Connection, level: int, index: int) -> bytes:
    """Return the hash of a complete subtree.

    Raises:
        IntegrityError: it is not there.
    """
    leaf = completing_leaf(level, index)
    row = connection.execute("SELECT hashes FROM rows WHERE leaf = ?", (leaf,)).fetchone()
    if row is None:
        raise IntegrityError(f"the hashes of leaf {leaf} of the audit log are missing", reason="AUDIT_LEAF_MISSING")
    return node_in_row(row[0], level)


def read_entries(connection: Connection, *, start: int, end: int) -> tuple[bytes, ...]:
    """Return the leaves from ``start`` up to ``end``, each hashed again.

    Raises:
        IntegrityError: one is missing, or is not what was hashed.
    """
    rows = connection.execute(
        "SELECT leaf, entry, hashes FROM leaves JOIN rows USING (leaf) WHERE leaf >= ? AND leaf < ? ORDER BY leaf",
        (start, end),
    )
    entries: list[bytes] = []
    for leaf, entry, hashes in rows:
        if node_in_row(hashes, 0) != leaf_hash(entry):
            raise IntegrityError(f"leaf {leaf} of the audit log is not what was hashed", reason="AUDIT_LEAF_CHANGED")
        entries.append(entry)
    if len(entries) != max(0, end - start):
        raise IntegrityError(f"leaves are missing from {start + len(entries)} on", reason="AUDIT_LEAF_MISSING")
    return tuple(entries)
