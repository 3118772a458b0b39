"""The transparency log: what stands in it was durable, and signed for, before anyone was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


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
        proof: the tlog-proof text: index, inclusion proof, and the signed checkpoint (c2sp.org/tlog-proof).
    """

    index: int
    entry: bytes
    proof: str


class AuditLog(Protocol):
    """Append records and prove what is there.

    Attributes:
        origin: the log's name, the first line of its checkpoints.
    """

    origin: str

    async def append(self, record: Record) -> Logged:
        """Append one record; on return it is durable and under a signed tree head.

        Appends that come together share one commit.

        Raises:
            StorageError: the log cannot be written. Nothing may be answered then, now or later.
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
        """Return up to ``limit`` leaves from index ``start`` on."""
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
