"""Where a database stands, and what keeps that in a log: so that an old copy of it is told from the newest. Pure.

SQLCipher authenticates every page, and accepts an old page, or a whole old file, under the same key. So each database
counts the changes of its **content** (what must not be swapped and is small) and keeps a salted digest of it, in one
row and in the transaction that changes it. After every change the log gets an **anchor**: number, digest, and a chain
over all anchors before it. Whoever puts back an old page, row or file has a row that does not fit its content, or a
position that the log has seen pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

NO_LEAF: Final = -1
"""The leaf of a database that has no anchor yet."""


@dataclass(frozen=True, slots=True)
class Content:
    """Say what of a database must not be swapped.

    Attributes:
        rows: by table, the statement whose rows, in their order, are digested. What goes out with each verdict or draft
            is not among them: every change of these rows is anchored.
        figures: by name, a statement for one integer that stands in the anchor, in the open.
    """

    rows: Mapping[str, str]
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Say where a database stands.

    Attributes:
        generation: how many changes its content has seen.
        schema: version of its tables.
        digest: hex SHA-256 over a secret salt of the database and its content, so that nobody confirms a guess by it.
        figures: see :class:`Content`.
        leaf: index of the newest anchor that the database knows of, or :data:`NO_LEAF`.
        chain: hex digest over all anchors up to that one.
    """

    generation: int
    schema: int
    digest: str
    figures: Mapping[str, int]
    leaf: int
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """Hold the newest anchor of a database as its log has it.

    Attributes:
        generation: of the content that was anchored.
        leaf: index of the anchor.
        chain: up to it, see :func:`chain_on`.
    """

    generation: int
    leaf: int
    chain: str


class Anchor(Protocol):
    """Hold one database to its log."""

    def verify(self, position: Position) -> Anchored | None:
        """Check that a database which is being opened stands where the log says, or further on after a crash.

        Returns:
            The newest anchor that the log has; None if there is none yet.

        Raises:
            IntegrityError: the database or the log is an old copy, or another.
        """
        ...

    def attach(self, anchor: Callable[[], Awaitable[None]]) -> None:
        """Take what anchors the database, once it is open, if it has moved since its newest anchor."""
        ...

    async def drop(self, position: Position) -> Anchored:
        """Put a position into the log.

        Raises:
            StorageError: the log cannot be written. Nothing may be answered then.
        """
        ...


def chain_on(chain: str, *, digest: str, generation: int) -> str:
    """Return the chain with one anchor more: hex SHA-256 of the chain so far, the digest and the number."""
    return hashlib.sha256(f"{chain} {digest} {generation}".encode()).hexdigest()
