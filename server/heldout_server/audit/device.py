"""One place where a log is stored: its file, the lock on it, and the watch that it stays the file it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from heldout_server.audit.cosignature import Cosignature
from heldout_server.audit.deadline import run_on_disk
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.store import MIGRATIONS, Commit, Group, Stored, load, write_cosignatures, write_group
from heldout_server.audit.tree import Frontier
from heldout_server.database import Connection, Database
from heldout_server.errors import HeldoutError, StorageError

FIRST: Final = "first"
SECOND: Final = "second"

T = TypeVar("T")
FileState: TypeAlias = tuple[int, int, int]
"""Device and inode of a file, and its size in bytes."""


class LogDevice:
    """Keep a log in one file, which no other process may open, and which may neither go, change nor shrink.

    Attributes:
        name: ``first`` or ``second``.
        path: the database file.
    """

    def __init__(self, name: str, database: Database, lock: int) -> None:
        """Take what :meth:`open` opened; nobody else calls this."""
        self.name = name
        self.path = database.path
        self._database = database
        self._lock = lock
        self._files: tuple[FileState, ...] = ()

    @classmethod
    async def open(cls, name: str, path: Path, *, key: bytes, deadline_s: float) -> LogDevice:
        """Take the lock and open the file, or create it; leave it alone if its disk takes too long.

        Raises:
            StorageError: another process has it open, or the disk or the file fails, or hangs.
            WrongKey: the key does not open it.
            IntegrityError: the file was written by a newer version.
        """
        work = partial(cls._open_now, name, path, key=key)
        return await run_on_disk(work, path=path, deadline_s=deadline_s, undo=cls.abandon)

    @classmethod
    def _open_now(cls, name: str, path: Path, *, key: bytes) -> LogDevice:
        lock = lock_file(path)
        try:
            database = Database.open(path, key, MIGRATIONS)
        except BaseException:
            os.close(lock)
            raise
        device = cls(name, database, lock)
        try:
            # What an fsync that failed left in memory alone is written again, and synced, before anything builds on it.
            database.read_now(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            device._files = device._look()
        except BaseException:
            device.close()
            raise
        return device

    async def load(self, signer: CheckpointSigner) -> Stored:
        """Read and check what is stored.

        Raises:
            IntegrityError: head, hashes and newest leaves do not belong together, or another key signed.
            StorageError: the disk or the file fails.
        """
        return await self.write(partial(load, signer=signer))

    async def commit(self, before: Frontier, group: Group, signer: CheckpointSigner) -> Commit:
        """Store a group of leaves and the signed head over them, durable.

        Raises:
            StorageError: the disk fails, or the file is gone, another, or shorter than it was.
            IntegrityError: what was read back is not what was to be stored.
        """
        return await self.write(partial(write_group, before=before, group=group, signer=signer))

    async def keep(self, cosignatures: Sequence[Cosignature]) -> None:
        """Store cosignatures, durable.

        Raises:
            StorageError: as for :meth:`commit`.
        """
        await self.write(partial(write_cosignatures, cosignatures=cosignatures))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one durable transaction on the file that was opened.

        Raises:
            StorageError: the disk fails, or the file is gone, another, or shorter than it was.
        """

        def checked(connection: Connection) -> T:
            self._verify_files()  # SQLite would go on writing into a file that nobody can open any more
            return work(connection)

        return await self._database.write(checked, after=self._verify_files)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads.

        Raises:
            StorageError: the disk or the file fails.
        """
        return await self._database.read(work)

    def close(self) -> None:
        """Close the file and let go of the lock. Closing twice does nothing more."""
        self._database.close()
        self._unlock()

    async def close_within(self, deadline_s: float) -> None:
        """Close as :meth:`close` does, and leave a file alone whose disk takes longer."""
        with contextlib.suppress(StorageError):  # it hangs: the file is closed with the process
            await run_on_disk(self._database.close, path=self.path, deadline_s=deadline_s)
        self._unlock()

    def abandon(self) -> None:
        """Let go of a file whose disk may hang, without waiting for it."""
        self._database.abandon()
        self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def _look(self) -> tuple[FileState, ...]:
        """Say which files those are, and how long: the database, and its write-ahead log.

        Raises:
            StorageError: one of them is gone.
        """
        try:
            found = [file.stat() for file in (self.path, Path(f"{self.path}-wal"))]
        except OSError:
            raise StorageError("the file of the audit log is gone", reason="AUDIT_FILE_GONE") from None
        return tuple((stat.st_dev, stat.st_ino, stat.st_size) for stat in found)

    def _verify_files(self) -> None:
        seen = self._look()
        for before, now in zip(self._files, seen, strict=True):
            if now[:2] != before[:2]:
                raise StorageError("the file of the audit log was deleted or replaced", reason="AUDIT_FILE_REPLACED")
            if now[2] < before[2]:
                raise StorageError("the file of the audit log was truncated", reason="AUDIT_FILE_TRUNCATED")
        self._files = seen


def lock_file(path: Path) -> int:
    """Take the lock of a log's file, for as long as the returned descriptor is open.

    It is a file beside it: closing any descriptor of the database file itself would drop the locks of SQLite.

    Raises:
        StorageError: another process has it, or it cannot be made.
    """
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{path}: cannot be locked ({error.strerror})", reason="AUDIT_LOCK") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StorageError(
            f"{path}: another process has this log open. Stop that one first; nothing was started.",
            reason="AUDIT_LOCKED",
        ) from None
    return lock


def reason_of(error: BaseException) -> str:
    """Return the code by which an error is told: its own, or the name of its type."""
    return error.reason if isinstance(error, HeldoutError) else type(error).__name__
