"""``window.db``: the scores that trainers record of their own checkpoints. The window half alone opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchor, Content
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.window import Score
from heldout_server.window.heads import HEADS, Heads, leave_heads

DATABASE: Final = "window"

MIGRATIONS: Final = (
    """
    CREATE TABLE scores (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        checkpoint TEXT NOT NULL,
        kind TEXT NOT NULL,
        benchmark TEXT NOT NULL,
        value_milli INTEGER NOT NULL,
        recorded_by TEXT NOT NULL,
        recorded_s INTEGER NOT NULL,
        UNIQUE (checkpoint, kind, benchmark)
    ) STRICT;
    """,
    HEADS,
)

CONTENT: Final = Content(
    rows={
        "scores": "SELECT sequence, checkpoint, kind, benchmark, value_milli, recorded_by, recorded_s FROM scores"
        " ORDER BY sequence"
    }
)


class SqlScores:
    """Keep one score for each checkpoint, kind and benchmark."""

    def __init__(self, database: AnchoredDatabase) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path, *, keys: KeyRing, anchor: Anchor | None = None) -> SqlScores:
        """Open ``window.db``, or create it.

        Raises:
            StorageError: the file cannot be opened, or not with this key.
            IntegrityError: it was written by a newer version, or is not what the window's log says.
        """
        key = keys.database_key(DATABASE)
        return cls(AnchoredDatabase.open(path, key, MIGRATIONS, content=CONTENT, anchor=anchor))

    def close(self) -> None:
        """Close the database, after what was begun."""
        self._database.close()

    async def record(self, score: Score) -> None:
        """Store a score; a later one for the same checkpoint, kind and benchmark takes its place in the list."""
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO scores (checkpoint, kind, benchmark, value_milli, recorded_by, recorded_s) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (checkpoint, kind, benchmark) DO UPDATE SET "
                "value_milli = excluded.value_milli, recorded_by = excluded.recorded_by, "
                "recorded_s = excluded.recorded_s",
                (
                    score.checkpoint,
                    score.kind,
                    score.benchmark,
                    score.value_milli,
                    score.recorded_by,
                    score.recorded_s,
                ),
            )
        )

    async def remove(self, *, checkpoint: str, kind: str, benchmark: str) -> None:
        """Take a score back; nothing is done if there is none."""
        await self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM scores WHERE checkpoint = ? AND kind = ? AND benchmark = ?", (checkpoint, kind, benchmark)
            )
        )

    async def leave_heads(self, heads: Heads) -> None:
        """Say where the logs stand, for the vault half: see :mod:`heldout_server.window.heads`.

        Raises:
            StorageError: the database cannot be written.
        """
        await leave_heads(self._database, heads)

    async def list(self, *, after: int, limit: int) -> tuple[tuple[int, Score], ...]:
        """Return up to ``limit`` (sequence, score) pairs in order, those past sequence ``after``."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT sequence, checkpoint, kind, benchmark, value_milli, recorded_by, recorded_s FROM scores "
                "WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (after, limit),
            ).fetchall()
        )
        return tuple(
            (
                sequence,
                Score(
                    checkpoint=checkpoint,
                    kind=kind,
                    benchmark=benchmark,
                    value_milli=value_milli,
                    recorded_by=recorded_by,
                    recorded_s=recorded_s,
                ),
            )
            for sequence, checkpoint, kind, benchmark, value_milli, recorded_by, recorded_s in rows
        )
