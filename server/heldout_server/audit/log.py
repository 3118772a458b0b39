"""The audit log over SQLCipher: group commit, signed heads, proofs, and a log that fails closed.

An append waits for one commit that stores its leaf, the hashes of the subtrees it completes, the counter of its
identity and the signed head of the new tree, all in one durable transaction. Appends that arrive while a commit is on
its way share the next one. Whatever goes wrong with a commit poisons the log: what is on the disk is then in doubt,
and only opening it again, which checks it, clears that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from hmac import digest as hmac_digest
from pathlib import Path
from secrets import token_bytes
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_server.audit.entry import INTENT, OUTCOME, encode_entry, intent_of
from heldout_server.audit.note import CheckpointSigner, proof_text
from heldout_server.audit.store import MIGRATIONS, Stored, file_ids, load, read_entries, read_node, write
from heldout_server.audit.tree import Frontier, Growth, consistency_proof, inclusion_proof, leaf_hash
from heldout_server.database import Connection, Database
from heldout_server.errors import InvalidRequest, StorageError
from heldout_server.ports.audit import Logged, Record
from heldout_server.ports.environment import Clock

SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Hold a leaf on its way to the next commit, and who waits for it."""

    entry: bytes
    identity: str
    counter: int
    committed: asyncio.Future[_Commit]


@dataclass(frozen=True, slots=True)
class _Commit:
    """Hold what one commit made: the growth of the tree and the head signed over it."""

    growth: Growth
    checkpoint: str


class SqlAuditLog:
    """Keep one half's log. Implements :class:`heldout_server.ports.audit.AuditLog`.

    Attributes:
        origin: the log's name, the first line of its checkpoints.
        verifier_key: what an auditor needs to check them (c2sp.org/signed-note).
    """

    def __init__(
        self,
        database: Database,
        *,
        signer: CheckpointSigner,
        mac_key: bytes,
        clock: Clock,
        on_failure: Callable[[], None] | None,
        stored: Stored,
    ) -> None:
        """Take what :meth:`open` checked; nobody else calls this."""
        self.origin = signer.origin
        self.verifier_key = signer.verifier_key
        self._database = database
        self._signer = signer
        self._mac_key = mac_key
        self._clock = clock
        self._on_failure = on_failure
        self._frontier = stored.frontier
        self._checkpoint = stored.checkpoint
        self._counters = stored.counters
        self._files = stored.files
        self._next_leaf = stored.frontier.size
        self._pending: list[_Waiting] = []
        self._committer: asyncio.Task[None] | None = None
        self._failure: str | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        key: bytes,
        origin: str,
        signing_key: Ed25519PrivateKey,
        mac_key: bytes,
        clock: Clock,
        on_failure: Callable[[], None] | None = None,
    ) -> SqlAuditLog:
        """Open a log, or begin one, and check that its head is what its leaves say.

        Args:
            path: the database file; its folder must exist.
            key: raw key of the database, 32 bytes.
            origin: the log's name; one word without a plus sign.
            signing_key: signs the tree heads.
            mac_key: key of :meth:`request_mac`.
            clock: tells the time of entries.
            on_failure: called once, when the log is poisoned, so that readiness can be dropped; must not raise.

        Raises:
            IntegrityError: the stored head, hashes and newest leaves do not belong together, or another key signed.
            StorageError: the disk or the file fails.
            WrongKey: the key does not open the database.
            ConfigError: the origin cannot be the name of a log.
        """
        signer = CheckpointSigner(origin, signing_key)
        database = Database.open(path, key, MIGRATIONS)
        try:
            stored = await database.write(partial(load, path, signer))
        except BaseException:
            database.close()
            raise
        return cls(database, signer=signer, mac_key=mac_key, clock=clock, on_failure=on_failure, stored=stored)

    async def close(self) -> None:
        """Commit what was appended, then close the file. Every later append fails."""
        self._failure = self._failure or "the audit log is closed"
        if self._committer is not None:
            await asyncio.wait({self._committer})
        self._database.close()

    @property
    def failed(self) -> bool:
        """Say whether the log takes no record any more."""
        return self._failure is not None

    @property
    def size(self) -> int:
        """Return how many leaves the signed head covers."""
        return self._frontier.size

    async def append(self, record: Record) -> Logged:
        """Append one record; on return it is durable and under a signed tree head, to which the proof leads.

        A caller that is cancelled while it waits leaves its record in the log.

        Raises:
            StorageError: the log cannot be written, or could not be written before.
            InvalidRequest: the record does not fit the schema of the log; nothing is logged then.
        """
        self._check_open()
        index = self._next_leaf
        counter = self._counters.get(record.identity, 0) + 1 if record.kind == INTENT else 0
        entry = encode_entry(record, counter=counter, now_s=self._clock.now_s())
        if record.kind == OUTCOME and intent_of(record) >= index:
            raise InvalidRequest("an outcome names an intent that is not in the log", reason="AUDIT_SCHEMA")
        if counter:
            self._counters[record.identity] = counter
        self._next_leaf = index + 1
        waiting = _Waiting(entry, record.identity, counter, asyncio.get_running_loop().create_future())
        self._pending.append(waiting)
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_pending(), name=f"audit-{self.origin}")
        commit = await waiting.committed
        return Logged(index, entry, proof_text(index, commit.growth.inclusion_proof(index), commit.checkpoint))

    def request_mac(self, request: bytes) -> str:
        """Return a fresh salt and the HMAC-SHA-256 of salt and request under the log's own key (RFC 2104), in hex.

        Two equal requests look different: otherwise whoever reads the log could confirm a guess of what somebody sent
        by sending it too.

        Returns:
            32 hex digits of salt, then 64 of the MAC.
        """
        salt = token_bytes(SALT_BYTES)
        return salt.hex() + hmac_digest(self._mac_key, salt + request, sha256).hex()

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint (c2sp.org/tlog-checkpoint)."""
        return self._checkpoint

    async def entries(self, *, start: int, limit: int) -> tuple[bytes, ...]:
        """Return up to ``limit`` leaves from index ``start`` on; none past the end.

        Raises:
            InvalidRequest: a negative start or limit.
            IntegrityError: a stored leaf is not what was hashed.
            StorageError: the disk or the database fails.
        """
        if start < 0 or limit < 0:
            raise InvalidRequest("entries are listed from 0 on", reason="NO_SUCH_LEAF")
        return await self._database.read(partial(read_entries, start=start, end=min(start + limit, self.size)))

    async def inclusion_proof(self, *, index: int, size: int) -> tuple[bytes, ...]:
        """Return the RFC 6962 section 2.1.1 proof that leaf ``index`` is in the tree of ``size``.

        Raises:
            InvalidRequest: there is no such leaf or no such tree.
            StorageError: the disk or the database fails.
        """
        if not 0 <= index < size <= self.size:
            raise InvalidRequest("there is no such leaf in such a tree", reason="NO_SUCH_LEAF")
        return await self._database.read(
            lambda connection: inclusion_proof(index, size, partial(read_node, connection))
        )

    async def consistency_proof(self, *, old: int, new: int) -> tuple[bytes, ...]:
        """Return the RFC 6962 section 2.1.2 proof that the tree of ``new`` continues that of ``old``.

        Raises:
            InvalidRequest: there are no such trees, or ``old`` is empty, which every tree continues.
            StorageError: the disk or the database fails.
        """
        if not 1 <= old <= new <= self.size:
            raise InvalidRequest("there are no such trees", reason="NO_SUCH_TREE")
        return await self._database.read(lambda connection: consistency_proof(old, new, partial(read_node, connection)))

    def _check_open(self) -> None:
        if self._failure is not None:
            raise StorageError(self._failure, reason="AUDIT_LOG_FAILED")

    async def _commit_pending(self) -> None:
        """Commit in groups until nobody waits. One such task at a time, so commits never overlap."""
        while self._pending:
            group, self._pending = self._pending, []
            await self._commit(group)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            commit = await self._database.write(partial(self._store, self._frontier, group))
        except BaseException as error:
            self._poison(error, group)
            if not isinstance(error, Exception):
                raise  # the task itself is being ended
            return
        self._frontier = commit.growth.after
        self._checkpoint = commit.checkpoint
        for waiting in group:
            if not waiting.committed.done():
                waiting.committed.set_result(commit)

    def _store(self, before: Frontier, group: Sequence[_Waiting], connection: Connection) -> _Commit:
        """Write one group; runs on the database's thread, inside its transaction."""
        # (1) SQLite would go on writing into a file that nobody can open any more.
        if file_ids(self._database.path) != self._files:
            raise StorageError("the file of the audit log was deleted or replaced", reason="AUDIT_FILE_REPLACED")
        # (2) Grow the tree and sign the head over it.
        growth = before.extend(leaf_hash(waiting.entry) for waiting in group)
        checkpoint = self._signer.checkpoint(size=growth.after.size, root=growth.after.root())
        # (3) Leaves, hashes, counters and head, all or none.
        write(
            connection,
            first=before.size,
            entries=[waiting.entry for waiting in group],
            rows=growth.rows,
            counters={waiting.identity: waiting.counter for waiting in group if waiting.counter},
            checkpoint=checkpoint,
        )
        return _Commit(growth, checkpoint)

    def _poison(self, error: BaseException, group: Sequence[_Waiting]) -> None:
        """Take nothing any more, and tell everybody who waits."""
        reason = error.reason if isinstance(error, StorageError) else type(error).__name__
        self._failure = f"the audit log failed ({reason}) and takes no record until it is opened again"
        waiting, self._pending = [*group, *self._pending], []
        for each in waiting:
            if not each.committed.done():
                each.committed.set_exception(StorageError(self._failure, reason="AUDIT_LOG_FAILED"))
        if self._on_failure is not None:
            self._on_failure()
