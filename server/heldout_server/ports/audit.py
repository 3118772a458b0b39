"""The transparency log: what stands in it was durable, and signed for, before anyone was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

LOG_FAILED: Final = "AUDIT_LOG_FAILED"
"""The reason of whatever is refused once the log takes no record any more: nothing may go on then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Hold what is to be logged. The log adds time, and for calls the counter of the identity.

    Attributes:
        kind: ``intent`` before a call, ``outcome`` after it, ``event`` for what no caller asked for.
        name: full RPC name of a call (``/heldout.v1.BankService/GetStats``), or the event (``release``, ``start``…).
        identity, role: who calls; empty for an event.
        details: further fields, by the audit schema: identifiers, enums, numbers and digests, nothing else.
    """

    kind: str
    name: str
    identity: str = ""
    role: str = ""
    details: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Logged:
    """Prove that an entry stands in the log.

    Attributes:
        index: 0-based place of the entry.
        entry: the exact bytes of the leaf.
        prove: makes :attr:`proof`; nobody who does not need a proof pays for it.
        counter: of an intent, its 1-based number among those of its identity; 0 for other kinds.
    """

    index: int
    entry: bytes
    prove: Callable[[], str]
    counter: int = 0

    @property
    def proof(self) -> str:
        """Return the tlog-proof text: index, inclusion proof, and the signed checkpoint (c2sp.org/tlog-proof)."""
        return self.prove()


@dataclass(frozen=True, slots=True)
class DamagedLeaf:
    """Name a leaf whose bytes are lost, and the hash that the tree keeps of it.

    ``heldout-server audit repair`` puts an empty entry in its place and appends an event for it::

        {"kind": "event", "name": "repair", "details": {"damage": "entry", "leaf": 7, "leaf_hash": "<64 hex digits>"}}

    Whoever rebuilds the tree takes, for exactly the leaves that such an event names, the recorded hash in place of the
    hash of an empty entry, and no other: the signed root then proves that hash. An empty entry that no later
    ``repair`` event names, or names with another hash, is a forgery. A damaged intent leaves a gap in the counter of
    its identity, and its outcome names a leaf that cannot be read; whatever else is missing stays an error.

    Attributes:
        index: 0-based place of the leaf.
        leaf_hash: its RFC 6962 hash, 32 bytes.
    """

    index: int
    leaf_hash: bytes


class AuditLog(Protocol):
    """Append records and prove what is there.

    Attributes:
        origin: the log's name, the first line of its checkpoints.
    """

    origin: str

    def append(self, record: Record) -> Awaitable[Logged]:
        """Append one record; once awaited, it is durable and under a signed tree head.

        The record has its place in the log as soon as this returns: whoever then stops waiting leaves it there.
        Appends that come together share one commit.

        Raises:
            StorageError: here or when awaited: the log cannot be written. Nothing may be answered then, now or later.
            InvalidRequest: the record does not fit the schema of the log; nothing is logged then.
        """
        ...

    def request_mac(self, request: bytes) -> str:
        """Return a fresh salt and the MAC of a request's exact bytes under the log's own key, in hex.

        Equal requests look different, so nobody confirms a guess by sending it too.
        """
        ...

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint (c2sp.org/tlog-checkpoint)."""
        ...

    async def entries(self, *, start: int, limit: int) -> tuple[bytes, ...]:
        """Return up to ``limit`` leaves from index ``start`` on; a damaged one is empty: see :meth:`damaged`."""
        ...

    async def damaged(self, *, start: int, limit: int) -> tuple[DamagedLeaf, ...]:
        """Return the damaged leaves among the up to ``limit`` leaves from index ``start`` on."""
        ...

    async def inclusion_proof(self, *, index: int, size: int) -> tuple[bytes, ...]:
        """Return the RFC 6962 section 2.1.1 proof that leaf ``index`` is in the tree of ``size``.

        Raises:
            InvalidRequest: there is no such leaf or no such tree.
        """
        ...

    async def consistency_proof(self, *, old: int, new: int) -> tuple[bytes, ...]:
        """Return the RFC 6962 section 2.1.2 proof that the tree of ``new`` continues that of ``old``.

        Raises:
            InvalidRequest: there are no such trees.
        """
        ...

    async def add_cosignatures(self, note: str) -> int:
        """Keep what trusted witnesses signed of a head of this log, durable, and return the size of that head.

        Args:
            note: a checkpoint of this log with cosignature lines (c2sp.org/tlog-cosignature, version 1); lines of keys
                that are not trusted are passed over.

        Raises:
            InvalidRequest: the note is malformed, of another log or another tree, no trusted key signed it, or the
                signature of a trusted key is bad or of another time.
            StorageError: it could not be stored.
        """
        ...

    def cosigned_checkpoint(self) -> str:
        """Return the newest checkpoint that a trusted witness cosigned, with those lines; empty if there is none."""
        ...

    async def prove(self, index: int) -> str:
        """Return the tlog-proof text of a leaf under the newest signed head (c2sp.org/tlog-proof).

        Raises:
            InvalidRequest: there is no such leaf.
        """
        ...

    async def cosigned_proof(self, index: int) -> str | None:
        """Return the tlog-proof text of a leaf under a head that a trusted witness cosigned lately.

        Returns:
            None while no such head covers the leaf, or the cosignature is older than the release policy accepts.
        """
        ...
