"""One SQLCipher database behind one thread of its own: the only way the rooms touch a disk through SQL.

Every database has a raw 256-bit key, WAL, ``synchronous=FULL`` and foreign keys. It writes no temporary file, its WAL
holds encrypted pages, and what is deleted is overwritten. All statements of a database run on its one thread, so there
is one writer and no lock to wait for within the process. The schema is a tuple of migrations, counted in
``user_version``.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlcipher3 import dbapi2

from heldout_server.errors import IntegrityError, StorageError, WrongKey

Connection = Any  # sqlcipher3 publishes no types: this is its sqlite3-shaped connection
T = TypeVar("T")

_at_work: Final[dict[int, Path]] = {}
"""Files that a statement runs on right now, by thread."""

KEY_BYTES: Final = 32
CACHE_KIB: Final = 65_536  # reads past the cache decrypt their pages again, about three times slower than SQLite
BUSY_TIMEOUT_MS: Final = 5_000
MINUTE_S: Final = 60


def files_at_work() -> tuple[Path, ...]:
    """Return the databases on which something runs at this moment: one whose disk hangs stays among them."""
    return tuple(sorted(set(_at_work.copy().values())))


@contextlib.contextmanager
def _working_on(path: Path) -> Iterator[None]:
    thread = threading.get_ident()
    _at_work[thread] = path
    try:
        yield
    finally:
        del _at_work[thread]


class Database:
    """Run functions over one connection, on one thread, each in one transaction."""

    def __init__(self, path: Path, connection: Connection, thread: ThreadPoolExecutor) -> None:
        self.path = path
        self._connection = connection
        self._thread = thread
        self._abandoned = False

    @classmethod
    def open(
        cls,
        path: Path,
        key: bytes,
        migrations: Sequence[str],
        *,
        read_only: bool = False,
        cache_kib: int = CACHE_KIB,
    ) -> Database:
        """Open the database, or create it, and bring its schema up to date.

        Args:
            path: the file; its folder must exist.
            key: the raw key, 32 bytes.
            migrations: SQL scripts; those past ``user_version`` are run, each in one transaction.
            read_only: refuse every write, and neither create the file nor its schema: another process does that.
            cache_kib: KiB of pages that are kept decrypted. A database fills it, whatever it is, as it is written to.

        Raises:
            WrongKey: the file is there and this key does not open it.
            StorageError: the disk or the file fails.
            IntegrityError: the file was written by a newer version.
        """
        if len(key) != KEY_BYTES:
            raise WrongKey(f"{path.name}: a database key has {KEY_BYTES} bytes")
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"db-{path.stem}")
        try:
            connection = thread.submit(
                _connect, path, key, migrations, read_only=read_only, cache_kib=cache_kib
            ).result()
        except BaseException:
            thread.shutdown()
            raise
        return cls(path, connection, thread)

    async def write(self, work: Callable[[Connection], T], *, after: Callable[[], None] | None = None) -> T:
        """Run ``work`` in one transaction and return what it returns, once it is durable.

        Whatever ``work`` raises rolls the transaction back and is raised here.

        Args:
            work: what to do in the transaction.
            after: done on the same thread once the transaction is durable; what it raises is raised here.

        Raises:
            StorageError: the disk or the database fails.
        """
        return await asyncio.wrap_future(self._thread.submit(self._transact, work, after))

    def begin_write(self, work: Callable[[Connection], T]) -> Future[T]:
        """Do as :meth:`write` does, and return at once: what is begun later comes after it, whoever waits for it."""
        return self._thread.submit(self._transact, work)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """Do as :meth:`write` does, blocking the caller: for a room that is being opened, before anybody waits on it.

        Raises:
            StorageError: the disk or the database fails.
        """
        return self._thread.submit(self._transact, work).result()

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Do as :meth:`read` does, blocking the caller, which must not be this database's thread or an event loop.

        Raises:
            StorageError: the disk or the database fails.
        """
        return self._thread.submit(self._run, work).result()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads, and return what it returns.

        Raises:
            StorageError: the disk or the database fails.
        """
        return await asyncio.wrap_future(self._thread.submit(self._run, work))

    def close(self) -> None:
        """Wait for what was begun, then close the file. Closing twice does nothing more."""
        if self._connection is not None and not self._abandoned:
            connection, self._connection = self._connection, None
            self._thread.submit(connection.close).result()
            self._thread.shutdown()

    def abandon(self) -> None:
        """Let go without waiting: a thread that hangs on a disk would be waited for without end.

        The file is closed once the thread comes back, or with the process.
        """
        if self._connection is not None and not self._abandoned:
            self._abandoned = True
            self._thread.submit(self._connection.close)
            self._thread.shutdown(wait=False)

    def _run(self, work: Callable[[Connection], T]) -> T:
        with _working_on(self.path):
            try:
                return work(self._connection)
            except dbapi2.Error as error:
                raise _storage_error(self.path, error) from None

    def _transact(self, work: Callable[[Connection], T], after: Callable[[], None] | None = None) -> T:
        connection = self._connection
        with _working_on(self.path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except dbapi2.Error as error:
                raise _storage_error(self.path, error) from None
            if after is not None:
                after()
        return result


class Snapshot:
    """Pin what a database holds at this moment, beside whoever writes to it, and copy that under the same key.

    In WAL mode a reader's transaction sees one state, however long it lasts; writers go on.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        """Pin it.

        Raises:
            WrongKey: the key does not open it.
            StorageError: it is not there, or the disk fails.
        """
        self._path = path
        self._key = key
        self._connection = _unlock(path, key, mode="rw")
        try:
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except dbapi2.Error as error:
            self._connection.close()
            raise _storage_error(path, error) from None

    def copy(self, to: Path, *, made_s: float) -> None:
        """Write what was pinned into a new file, mode 0600, encrypted under the same key, durable, and marked.

        Args:
            to: the file, which does not exist.
            made_s: when the copy is made, in Unix seconds: see :func:`read_mark`.

        Raises:
            StorageError: it cannot be written.
        """
        to.touch(mode=0o600, exist_ok=False)
        copied = _unlock(to, self._key, mode="rwc")
        try:
            self._connection.backup(copied)
            write_mark(copied, made_s)
        except dbapi2.Error as error:
            raise _storage_error(to, error) from None
        finally:
            copied.close()

    def close(self) -> None:
        """Let go of what was pinned."""
        self._connection.close()


def read_mark(connection: Connection) -> int | None:
    """Return when a file was made as a copy of a database: Unix seconds of the minute; None if it is no copy.

    It stands in the header (``application_id``, which has 32 bits: so it counts minutes), on the page without which
    nothing of a file can be read: what of a damaged file can be read says this too.
    """
    minute: int = connection.execute("PRAGMA application_id").fetchone()[0]
    return minute * MINUTE_S or None


def write_mark(connection: Connection, made_s: float | None) -> None:
    """Mark a file as a copy that was made then, in Unix seconds; None: as no copy any more."""
    connection.execute(f"PRAGMA application_id = {int(made_s or 0) // MINUTE_S}")


def read_file_mark(path: Path, key: bytes) -> int | None:
    """Return the mark of a file that is there, whoever has it open: see :func:`read_mark`.

    Raises:
        WrongKey: the key does not open it.
        StorageError: the disk or the file fails.
        IntegrityError: its first page is damaged.
    """
    # Whoever can write empties the write-ahead log of a killed process at closing, and no other thread runs meanwhile:
    # on a disk that hangs, for ever. Whoever only reads leaves a log behind where there was none.
    killed = path.with_name(f"{path.name}-wal").exists()
    return _with_file(path, key, read_mark, mode="ro" if killed else "rw")


def write_file_mark(path: Path, key: bytes, *, made_s: float | None) -> None:
    """Write the mark of a file that is there and that nothing has open, durable: see :func:`write_mark`.

    Raises:
        WrongKey: the key does not open it.
        StorageError: the disk or the file fails.
    """
    _with_file(path, key, lambda connection: write_mark(connection, made_s), mode="rw")


def _with_file(path: Path, key: bytes, work: Callable[[Connection], T], *, mode: str) -> T:
    with _working_on(path), contextlib.closing(_unlock(path, key, mode=mode)) as connection:
        try:
            return work(connection)
        except dbapi2.Error as error:
            raise _storage_error(path, error) from None


def _storage_error(path: Path, error: Exception) -> StorageError | IntegrityError:
    """Name the file and the kind of failure; SQLite's own text may quote values, so it is left out."""
    code = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IntegrityError(
            f"{path.name}: its pages do not belong together ({code}): one is damaged, or of an old copy."
            " Put a whole copy in its place.",
            reason="DATABASE_CORRUPT",
        )
    return StorageError(f"{path.name}: {code}", reason="DATABASE")


def _unlock(path: Path, key: bytes, *, mode: str) -> Connection:
    """Open a file under its key, without preparing it for anything.

    Raises:
        WrongKey: the key does not open it.
        StorageError: it cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        connection = dbapi2.connect(uri, uri=True, isolation_level=None, check_same_thread=True)
    except dbapi2.Error as error:
        raise _storage_error(path, error) from None
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # a wrong key would print three lines on stderr
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA user_version").fetchone()
    except dbapi2.OperationalError as error:  # busy, or the disk: that says nothing of the key
        connection.close()
        raise _storage_error(path, error) from None
    except dbapi2.DatabaseError:
        connection.close()
        raise WrongKey(f"{path.name}: the key does not open it, or it is not a database of this appliance") from None
    return connection


def _connect(path: Path, key: bytes, migrations: Sequence[str], *, read_only: bool, cache_kib: int) -> Connection:
    with _working_on(path):
        return _prepare(path, key, migrations, read_only=read_only, cache_kib=cache_kib)


def _prepare(path: Path, key: bytes, migrations: Sequence[str], *, read_only: bool, cache_kib: int) -> Connection:
    existed = path.exists()
    # mode=ro would work only while the writer's -shm is there; mode=rw creates no file, and query_only stops writes.
    connection = _unlock(path, key, mode="rw" if read_only else "rwc")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")  # a temporary file would be a database without a key
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        _verify_version(path, version, len(migrations), read_only=read_only)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
            return connection
        for number, script in enumerate(migrations[version:], start=version + 1):
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        if not existed:
            path.chmod(0o600)
    except dbapi2.Error as error:
        connection.close()
        raise _storage_error(path, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _verify_version(path: Path, version: int, known: int, *, read_only: bool) -> None:
    if version > known:
        raise IntegrityError(f"{path.name}: schema {version} is newer than this version knows ({known})")
    if read_only and version < known:
        raise StorageError(f"{path.name}: schema {version} is not up to date yet", reason="NOT_READY")
