"""Anchors: where databases stand, as the log has it.

An anchor is an event of the log. Its details: ``database``, ``generation``, ``schema``, ``digest``, ``chain``,
``figures`` (words ``name:number``), and ``newest`` (words ``database:leaf``), which names the newest anchors of all
other databases: so the newest anchor alone, found from the end of the log, leads to every other, and no index beside
the log has to be believed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from heldout_server.anchoring import NO_LEAF, Anchored, Position, chain_on
from heldout_server.errors import IntegrityError
from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.discrepancies import Cause, Discrepancy

EVENT: Final = "anchor"
PAGE_LEAVES: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Hold an anchor as it stands in the log."""

    anchored: Anchored
    digest: str
    figures: Mapping[str, int]


def decide_discrepancy(name: str, position: Position, kept: Kept | None, *, size: int) -> Discrepancy | None:
    """Say whether a database and its log belong together, and if not, which of them is old.

    Args:
        name: the database.
        position: where it stands.
        kept: its newest anchor, or None.
        size: leaves of the log.
    """

    def found(cause: Cause) -> Discrepancy:
        return Discrepancy(
            database=name,
            cause=cause,
            position=position,
            anchored=kept.anchored if kept else None,
            figures=dict(kept.figures) if kept else {},
            log_size=size,
        )

    # (1) The database knows of an anchor that the log does not have any more.
    if position.leaf >= size:
        return found(Cause.OLD_LOG)
    if kept is None:
        return None if position.leaf < 0 else found(Cause.ANOTHER)
    newest = kept.anchored
    # (2) The log knows of changes that the database has not seen.
    if position.generation < newest.generation:
        return found(Cause.OLD_COPY)
    # (3) As many changes, and others.
    if position.generation == newest.generation and position.digest != kept.digest:
        return found(Cause.ANOTHER)
    # (4) The database knows the newest anchor, or a crash kept it from learning of that one.
    known = (position.leaf, position.chain) == (newest.leaf, newest.chain)
    next_one = chain_on(position.chain, digest=kept.digest, generation=newest.generation) == newest.chain
    return None if known or next_one else found(Cause.ANOTHER)


def decide_log_discrepancy(name: str, position: Position, kept: Kept, *, root: str, size: int) -> Discrepancy | None:
    """Say whether a log is not what the other log has seen of it.

    Args:
        name: what the log is called there.
        position: where the log stands: its leaves and its root.
        kept: its newest anchor in the other log.
        root: hex root of the log's tree of as many leaves as were anchored; empty if there are fewer.
        size: leaves of the other log.
    """
    if root == kept.digest:
        return None
    return Discrepancy(
        database=name,
        cause=Cause.OLD_COPY if position.generation < kept.anchored.generation else Cause.ANOTHER,
        position=position,
        anchored=kept.anchored,
        figures={},
        log_size=size,
    )


class AnchorBook:
    """Know the newest anchor of every database in one log, and append further ones."""

    def __init__(self, log: AuditLog, *, size: int, kept: dict[str, Kept]) -> None:
        self._log = log
        self._size = size
        self._kept = kept
        self._attached: list[Callable[[], Awaitable[None]]] = []
        self._dropping = asyncio.Lock()  # each anchor names all that came before it

    @classmethod
    async def open(cls, log: AuditLog) -> AnchorBook:
        """Find the newest anchors, from the end of the log.

        Raises:
            IntegrityError: a leaf is not what was hashed, or not the anchor that another names.
            StorageError: the log cannot be read.
        """
        size = tree_size(log)
        end, newest = size, None
        while end > 0 and newest is None:
            start = max(0, end - PAGE_LEAVES)
            entries = await log.entries(start=start, limit=end - start)
            newest = next((start + i for i in range(len(entries) - 1, -1, -1) if _details(entries[i])), None)
            end = start
        kept: dict[str, Kept] = {}
        if newest is not None:
            details = await _read(log, newest)
            leaves = {str(details["database"]): newest} | _numbers(details["newest"])
            for name, leaf in leaves.items():
                kept[name] = _kept(leaf, await _read(log, leaf), name=name)
        return cls(log, size=size, kept=kept)

    def of(self, name: str) -> LogAnchor:
        """Return what holds one database to this log."""
        return LogAnchor(self, name)

    def find(self, name: str) -> Kept | None:
        """Return the newest anchor of a database, or None."""
        return self._kept.get(name)

    def compare(self, name: str, position: Position) -> Discrepancy | None:
        """Say whether a database that is being opened and this log belong together."""
        return decide_discrepancy(name, position, self._kept.get(name), size=self._size)

    def attach(self, anchor: Callable[[], Awaitable[None]]) -> None:
        """Take what anchors one database, once it is open, if it has moved since its newest anchor."""
        self._attached.append(anchor)

    async def follow(self, name: str, position: Position, *, anyway: bool = False) -> None:
        """Take where a database stands that another process writes, and put it into this log where it has moved.

        Args:
            name: the database.
            position: where it stands.
            anyway: it was restored, and that was accepted: put it there whatever stood there before.

        Raises:
            IntegrityError: it stood further on before, or holds something else than it did.
            StorageError: the log cannot be written.
        """
        kept = self._kept.get(name)
        leaf, chain = (kept.anchored.leaf, kept.anchored.chain) if kept else (NO_LEAF, "")
        stand = replace(position, leaf=leaf, chain=chain)
        found = None if anyway else decide_discrepancy(name, stand, kept, size=leaf + 1)
        if found is not None:
            raise IntegrityError(found.say(), reason=found.cause.name)
        if anyway or kept is None or stand.generation > kept.anchored.generation:
            await self.drop(name, stand)

    async def settle(self) -> None:
        """Anchor every open database that has moved since its newest anchor.

        Raises:
            StorageError: the log or a database cannot be written.
        """
        for anchor in self._attached:
            await anchor()

    async def drop(self, name: str, position: Position) -> Anchored:
        """Append an anchor; on return it is durable and under a signed head.

        Raises:
            StorageError: the log cannot be written.
        """
        chain = chain_on(position.chain, digest=position.digest, generation=position.generation)
        async with self._dropping:
            logged = await self._log.append(
                Record(
                    kind="event",
                    name=EVENT,
                    details={
                        "database": name,
                        "generation": position.generation,
                        "schema": position.schema,
                        "digest": position.digest,
                        "chain": chain,
                        "figures": _words(position.figures),
                        "newest": _words(
                            {other: kept.anchored.leaf for other, kept in self._kept.items() if other != name}
                        ),
                    },
                )
            )
            anchored = Anchored(generation=position.generation, leaf=logged.index, chain=chain)
            self._kept[name] = Kept(anchored=anchored, digest=position.digest, figures=position.figures)
            return anchored


class LogAnchor:
    """Hold one database to a log. Implements :class:`heldout_server.anchoring.Anchor`."""

    def __init__(self, book: AnchorBook, name: str) -> None:
        self._book = book
        self._name = name

    def verify(self, position: Position) -> Anchored | None:
        """Check that a database which is being opened stands where the log says, or further on after a crash.

        Raises:
            IntegrityError: the database or the log is an old copy, or another.
        """
        found = self._book.compare(self._name, position)
        if found is not None:
            raise IntegrityError(found.say(), reason=found.cause.name)
        kept = self._book.find(self._name)
        return None if kept is None else kept.anchored

    def attach(self, anchor: Callable[[], Awaitable[None]]) -> None:
        """Take what anchors the database, once it is open, if it has moved since its newest anchor."""
        self._book.attach(anchor)

    async def drop(self, position: Position) -> Anchored:
        """Put a position into the log.

        Raises:
            StorageError: the log cannot be written. Nothing may be answered then.
        """
        return await self._book.drop(self._name, position)


def tree_size(log: AuditLog) -> int:
    """Return how many leaves a log's signed head covers (c2sp.org/tlog-checkpoint, second line)."""
    return int(log.checkpoint().split("\n")[1])


async def _read(log: AuditLog, leaf: int) -> dict[str, Any]:
    entries = await log.entries(start=leaf, limit=1)
    details = _details(entries[0]) if entries else None
    if details is None:
        raise IntegrityError(f"leaf {leaf} of {log.origin} is not the anchor that a later one names")
    return details


def _details(entry: bytes) -> dict[str, Any] | None:
    """Return the details of an anchor; None for any other leaf. A damaged leaf is empty."""
    if b'"anchor"' not in entry:
        return None
    fields = json.loads(entry)
    details = fields["details"] if (fields["kind"], fields["name"]) == ("event", EVENT) else None
    return details if isinstance(details, dict) else None


def _kept(leaf: int, details: dict[str, Any], *, name: str) -> Kept:
    if details["database"] != name:
        raise IntegrityError(f"leaf {leaf} is the anchor of another database than a later one says")
    return Kept(
        anchored=Anchored(generation=details["generation"], leaf=leaf, chain=details["chain"]),
        digest=details["digest"],
        figures=_numbers(details["figures"]),
    )


def _words(numbers: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{name}:{number}" for name, number in sorted(numbers.items()))


def _numbers(words: object) -> dict[str, int]:
    pairs = [str(word).rpartition(":") for word in words] if isinstance(words, list) else []
    return {name: int(number) for name, _, number in pairs}
