"""The window: published documents, and what trainers record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Hold one published document, exactly as it was logged.

    Attributes:
        sequence: 1-based order of publication.
        document: serialized ``heldout.v1.Release``.
        receipt: serialized ``heldout.v1.Receipt`` of the vault's log.
    """

    sequence: int
    release_id: str
    document: bytes
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Hold a score that a trainer recorded for a checkpoint.

    Attributes:
        kind: ``capability`` or ``internal_safety``.
        benchmark: an identifier such as ``swe-bench``.
        value_milli: the score in thousandths of a point.
    """

    checkpoint: str
    kind: str
    benchmark: str
    value_milli: int
    recorded_by: str
    recorded_s: int


class Publisher(Protocol):
    """Write ``published.db``: the vault half only."""

    async def insert(self, release_id: str, document: bytes, receipt: bytes) -> None:
        """Publish a document. Idempotent by release id.

        Raises:
            IntegrityError: another document stands under this id.
        """
        ...

    async def put_state(self, name: str, document: bytes) -> None:
        """Replace a standing document: ``cards`` or ``budget``."""
        ...


class Publications(Protocol):
    """Read ``published.db``: all that the window can answer from."""

    async def releases(self, *, after: int, limit: int) -> tuple[Published, ...]:
        """Return up to ``limit`` releases in the order of publication, those past sequence ``after``."""
        ...

    async def release(self, release_id: str) -> Published:
        """Return one release.

        Raises:
            NotFound: nothing is published under this id.
        """
        ...

    async def state(self, name: str) -> bytes | None:
        """Return a standing document, or None before there is one."""
        ...


class Scores(Protocol):
    """Keep what trainers record, in ``window.db``: the window half only."""

    async def record(self, score: Score) -> None:
        """Store a score; a later one for the same checkpoint, kind and benchmark takes its place."""
        ...

    async def remove(self, *, checkpoint: str, kind: str, benchmark: str) -> None:
        """Take a score back; nothing is done if there is none."""
        ...

    async def list(self, *, after: int, limit: int) -> tuple[tuple[int, Score], ...]:
        """Return up to ``limit`` (sequence, score) pairs in order, those past sequence ``after``."""
        ...
