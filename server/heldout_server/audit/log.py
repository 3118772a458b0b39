"""The audit log over SQLCipher: group commit, signed heads, proofs, and a log that fails closed.

An append waits for one commit that stores its leaf, the hashes of the subtrees it completes, the counter of its
identity and the signed head of the new tree, all in one durable transaction. Appends that arrive while a commit is on
its way share the next one. A device on which a commit fails, or takes too long, is lost; when none is left the log is
poisoned: what is on the disks is then in doubt, and only opening it again, which checks it, clears that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_policy.witness import Witnessing
from heldout_server.audit.cosignature import Cosignature
from heldout_server.audit.device import FIRST, SECOND, reason_of
from heldout_server.audit.devices import DEFAULT_DEADLINE_S, Devices
from heldout_server.audit.entry import EVENT, INTENT, OUTCOME, encode_entry, intent_of
from heldout_server.audit.examination import Finding
from heldout_server.audit.note import CheckpointSigner, proof_text
from heldout_server.audit.opening import Opened, open_devices
from heldout_server.audit.store import Commit, Group
from heldout_server.audit.stored_tree import StoredTree
from heldout_server.audit.sweep import Pace, SelfAudit
from heldout_server.audit.witnessed import WitnessedHeads
from heldout_server.errors import IntegrityError, InvalidRequest, StorageError
from heldout_server.ports.audit import LOG_FAILED, Logged, Record
from heldout_server.ports.environment import Clock

SALT_BYTES: Final = 16
PACE_S: Final = 0.002
"""Least seconds from the beginning of a commit to that of the next: its cost is then shared by more leaves."""
DEVICE_LOST: Final = "log_device_lost"
DAMAGED: Final = "log_damaged"

_log: Final = structlog.get_logger("audit")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Hold a leaf on its way to the next commit, and who waits for it."""

    index: int
    entry: bytes
    identity: str
    counter: int
    answer: asyncio.Future[Logged]


class SqlAuditLog(StoredTree):
    """Keep one half's log. Implements :class:`heldout_server.ports.audit.AuditLog`.

    Attributes:
        origin: the log's name, the first line of its checkpoints.
        verifier_key: what an auditor needs to check them (c2sp.org/signed-note).
    """

    def __init__(
        self,
        opened: Opened,
        *,
        key: bytes,
        signer: CheckpointSigner,
        mac_key: bytes,
        clock: Clock,
        witnesses: WitnessedHeads,
        commit_deadline_s: float,
        on_failure: Callable[[], None] | None,
        on_fault: Callable[[str], None] | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Take what :meth:`open` checked; nobody else calls this."""
        self.origin = signer.origin
        self.verifier_key = signer.verifier_key
        self._files = {device.name: device.path for device in opened.devices}
        super().__init__(Devices(opened.devices, deadline_s=commit_deadline_s, on_lost=self._record_loss))
        self._key = key
        self._signer = signer
        self._mac = hmac.new(mac_key, digestmod=sha256)  # copied for each: the one-shot form lets go of the interpreter
        self._clock = clock
        self._witnesses = witnesses
        self._on_failure = on_failure
        self._on_fault = on_fault
        self._random_bytes = random_bytes
        self._frontier = opened.stored.frontier
        self._checkpoint = opened.stored.checkpoint
        self._counters = opened.stored.counters
        self._next_leaf = self._frontier.size
        self._pending: list[_Waiting] = []
        self._committer: asyncio.Task[None] | None = None
        self._failure: str | None = None
        self._damaged: set[str] = set()  # devices in which the self-audit found damage

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
        second: Path | None = None,
        witnessing: Witnessing | None = None,
        commit_deadline_s: float = DEFAULT_DEADLINE_S,
        on_failure: Callable[[], None] | None = None,
        on_fault: Callable[[str], None] | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> SqlAuditLog:
        """Open a log, or begin one, and check that its head is what its leaves say.

        Args:
            path: the database file; its folder must exist.
            key: raw key of the database, 32 bytes.
            origin: the log's name; one word without a plus sign.
            signing_key: signs the tree heads.
            mac_key: key of :meth:`request_mac`.
            clock: tells the time of entries.
            second: the database file on a second device; None for none. Every group goes to both.
            witnessing: whose cosignatures are kept.
            commit_deadline_s: seconds after which a device that has not made a commit durable is lost; each step of
                opening has as many.
            on_failure: called once, when the log is poisoned, so that readiness can be dropped; must not raise.
            on_fault: called with ``log_device_lost``, or ``log_damaged`` where no whole device is left, after which
                the log goes on; must not raise.
            random_bytes: draws the salts of :meth:`request_mac`.

        Raises:
            IntegrityError: the stored head, hashes and newest leaves do not belong together, another key signed, or
                the devices hold different logs, or one of them is gone.
            StorageError: the disk or the file fails, or another process has it open.
            WrongKey: the key does not open the database.
            ConfigError: the origin cannot be the name of a log.
        """
        signer = CheckpointSigner(origin, signing_key)
        paths = {FIRST: path} if second is None else {FIRST: path, SECOND: second}
        opened = await open_devices(paths, key=key, signer=signer, deadline_s=commit_deadline_s)
        log = cls(
            opened,
            key=key,
            signer=signer,
            mac_key=mac_key,
            clock=clock,
            witnesses=WitnessedHeads(witnessing),
            commit_deadline_s=commit_deadline_s,
            on_failure=on_failure,
            on_fault=on_fault,
            random_bytes=random_bytes,
        )
        await log._take_cosignatures(opened.stored.cosignatures)
        return log

    async def close(self) -> None:
        """Commit what was appended, then close the files. Every later append fails."""
        self._failure = self._failure or "the audit log is closed"
        if self._committer is not None:
            await asyncio.wait({self._committer})
        await self._devices.close()

    async def audit_itself(self, pace: Pace) -> None:
        """Read all devices again and again, until cancelled, and record and tell what is damaged."""
        async with asyncio.TaskGroup() as group:
            for name, path in self._files.items():
                found = partial(self._record_damage, name)
                audit = SelfAudit(path, self._key, signer=self._signer, pace=pace, on_finding=found)
                group.create_task(audit.run(), name=f"self-audit-{self.origin}-{name}")

    @property
    def failed(self) -> bool:
        """Say whether the log takes no record any more."""
        return self._failure is not None

    @property
    def size(self) -> int:
        """Return how many leaves the signed head covers."""
        return self._frontier.size

    def append(self, record: Record) -> asyncio.Future[Logged]:
        """Append one record; once awaited, it is durable and under a signed tree head, to which the proof leads.

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
        waiting = _Waiting(index, entry, record.identity, counter, asyncio.get_running_loop().create_future())
        self._pending.append(waiting)
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_pending(), name=f"audit-{self.origin}")
        return waiting.answer

    def request_mac(self, request: bytes) -> str:
        """Return a fresh salt and the HMAC-SHA-256 of salt and request under the log's own key (RFC 2104), in hex.

        Two equal requests look different: otherwise whoever reads the log could confirm a guess of what somebody sent
        by sending it too.

        Returns:
            32 hex digits of salt, then 64 of the MAC.
        """
        salt = self._random_bytes(SALT_BYTES)
        mac = self._mac.copy()
        mac.update(salt + request)
        return salt.hex() + mac.hexdigest()

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint (c2sp.org/tlog-checkpoint), with the cosignatures that it has."""
        return self._witnesses.with_lines(self.size, self._checkpoint)

    async def add_cosignatures(self, note: str) -> int:
        """Keep what trusted witnesses signed of a head of this log, durable, and return the size of that head.

        Raises:
            InvalidRequest: the note is malformed, of another log or tree, no trusted key signed it, or badly.
            StorageError: it could not be stored.
        """
        self._check_open()
        head = self._witnesses.read(note, now_s=self._clock.now_s())
        if not 0 < head.size <= self.size or head.text != self._signer.text(
            size=head.size, root=await self.root(size=head.size)
        ):
            raise InvalidRequest("that is no head of this log", reason="COSIGNATURE_OF_ANOTHER")
        newer = self._witnesses.newer(head.cosignatures)
        if newer:
            try:
                await self._devices.write(lambda device: device.keep(newer))
            except StorageError as error:
                self._poison(error, ())
                self._check_open()
            await self._take_cosignatures(newer)
        return head.size

    def cosigned_checkpoint(self) -> str:
        """Return the newest checkpoint that a trusted witness cosigned, with those lines; empty if there is none."""
        return self._witnesses.newest()

    async def prove(self, index: int) -> str:
        """Return the tlog-proof text of a leaf under the newest signed head.

        Raises:
            InvalidRequest: there is no such leaf.
            StorageError: the disk or the database fails.
        """
        size, checkpoint = self.size, self._checkpoint
        return proof_text(index, await self.inclusion_proof(index=index, size=size), checkpoint)

    async def cosigned_proof(self, index: int) -> str | None:
        """Return the tlog-proof text of a leaf under a head that a trusted witness cosigned lately, or None."""
        found = self._witnesses.covering(index, now_s=self._clock.now_s())
        if found is None:
            return None
        size, note = found
        return proof_text(index, await self.inclusion_proof(index=index, size=size), note)

    def _check_open(self) -> None:
        if self._failure is not None:
            raise StorageError(self._failure, reason=LOG_FAILED)

    async def _take_cosignatures(self, cosignatures: Sequence[Cosignature]) -> None:
        sizes = {one.size for one in cosignatures}
        heads = {size: self._signer.checkpoint(size=size, root=await self.root(size=size)) for size in sizes}
        self._witnesses.take(cosignatures, checkpoints=heads)

    async def _commit_pending(self) -> None:
        """Commit in groups until nobody waits. One such task at a time, so commits never overlap.

        Who comes first after a rest waits for nobody; those who come while others do are gathered for :data:`PACE_S`.
        """
        loop = asyncio.get_running_loop()
        while self._pending:
            next_s = loop.time() + PACE_S
            group, self._pending = self._pending, []
            await self._commit(group)
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    async def _commit(self, waiting: Sequence[_Waiting]) -> None:
        counters = {each.identity: each.counter for each in waiting if each.counter}
        group = Group(tuple(each.entry for each in waiting), counters)
        try:
            made = await self._devices.write(lambda device: device.commit(self._frontier, group, self._signer))
            commit = _same(made)
        except BaseException as error:
            self._poison(error, waiting)
            if not isinstance(error, Exception):
                raise  # the task itself is being ended
            return
        self._take(commit, waiting)

    def _take(self, commit: Commit, waiting: Sequence[_Waiting]) -> None:
        self._frontier = commit.growth.after
        self._checkpoint = commit.checkpoint
        for each in waiting:
            if not each.answer.done():
                each.answer.set_result(Logged(each.index, each.entry, partial(commit.proof, each.index), each.counter))

    def _poison(self, error: BaseException, group: Sequence[_Waiting]) -> None:
        """Take nothing any more, and tell everybody who waits."""
        self._failure = f"the audit log failed ({reason_of(error)}) and takes no record until it is opened again"
        self._devices.abandon()  # and wait for no disk
        waiting, self._pending = [*group, *self._pending], []
        for each in waiting:
            if not each.answer.done():
                each.answer.set_exception(StorageError(self._failure, reason=LOG_FAILED))
                each.answer.exception()  # who stopped waiting need not hear of it
        if self._on_failure is not None:
            self._on_failure()

    def _record_loss(self, device: str, reason: str) -> None:
        """Record, in the log that goes on, that a device is lost."""
        _log.error(DEVICE_LOST, origin=self.origin, device=device, reason=reason, tree_size=self.size)
        self._record(DEVICE_LOST, device=device, reason=reason)
        if self._on_fault is not None:
            self._on_fault(DEVICE_LOST)

    async def _record_damage(self, device: str, finding: Finding) -> None:
        """Record what the self-audit found. Another device that is whole takes the place of a damaged one."""
        if device not in (*self._devices.names, *self._damaged):
            return  # it was lost before, and said so
        damage = finding.damage.value
        _log.error(DAMAGED, origin=self.origin, device=device, leaf=finding.leaf, damage=damage)
        self._record(DAMAGED, device=device, leaf=finding.leaf, damage=damage)
        self._damaged.add(device)
        if not self._devices.drop(device, "AUDIT_DAMAGED") and self._on_fault is not None:
            self._on_fault(DAMAGED)

    def _record(self, name: str, **details: str | int) -> None:
        with contextlib.suppress(StorageError):  # a log that fails meanwhile has told so already
            self.append(Record(kind=EVENT, name=name, details=details))


def _same(made: Sequence[Commit]) -> Commit:
    """Return what all devices made of one group.

    Raises:
        IntegrityError: they made different trees.
    """
    if any(other.checkpoint != made[0].checkpoint for other in made):
        raise IntegrityError("the log devices made different trees of one group", reason="AUDIT_DEVICES_DIFFER")
    return made[0]
