"""One SQLCipher database behind one thread: what it says when it does not open, and that it rolls back."""

import asyncio
import os
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from heldout_server.database import Database, files_at_work
from heldout_server.errors import IntegrityError, StorageError, WrongKey

KEY = bytes(32)
SCHEMA = ("CREATE TABLE thing (name TEXT PRIMARY KEY);",)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "thing.db"


def names(connection):
    return [name for (name,) in connection.execute("SELECT name FROM thing ORDER BY name")]


async def test_what_was_written_is_there_after_opening_again(path):
    database = Database.open(path, KEY, SCHEMA)
    await database.write(lambda connection: connection.execute("INSERT INTO thing VALUES ('a')"))
    database.close()
    database.close()
    again = Database.open(path, KEY, SCHEMA)
    assert await again.read(names) == ["a"]
    again.close()
    assert path.stat().st_mode & 0o077 == 0


async def test_a_write_that_raises_leaves_nothing(path):
    database = Database.open(path, KEY, SCHEMA)

    def half(connection):
        connection.execute("INSERT INTO thing VALUES ('a')")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        await database.write(half)
    assert await database.read(names) == []
    database.close()


async def test_a_failing_statement_is_a_storage_error_that_quotes_nothing(path):
    database = Database.open(path, KEY, SCHEMA)
    for work in (database.read, database.write):
        with pytest.raises(StorageError) as caught:
            await work(lambda connection: connection.execute("SELECT 'sealed text' FROM nowhere"))
        assert "sealed" not in str(caught.value)
    database.close()


def test_another_key_does_not_open_it_and_changes_nothing(path):
    Database.open(path, KEY, SCHEMA).close()
    before = path.read_bytes()
    with pytest.raises(WrongKey):
        Database.open(path, bytes([1]) * 32, SCHEMA)
    assert path.read_bytes() == before
    with pytest.raises(WrongKey):
        Database.open(path, b"short", SCHEMA)


def test_a_busy_database_says_nothing_of_the_key(path, monkeypatch):
    def busy(*_arguments, **_options):
        raise dbapi2.OperationalError("database is locked")

    monkeypatch.setattr(dbapi2, "connect", busy)
    with pytest.raises(StorageError) as caught:
        Database.open(path, KEY, SCHEMA)
    assert not isinstance(caught.value, WrongKey)


def test_a_newer_schema_and_one_that_is_not_there_yet_are_refused(path):
    with pytest.raises(StorageError):
        Database.open(path, KEY, SCHEMA, read_only=True)
    assert not path.exists()
    Database.open(path, KEY, (*SCHEMA, "CREATE TABLE more (n INTEGER);")).close()
    with pytest.raises(IntegrityError):
        Database.open(path, KEY, SCHEMA)
    with pytest.raises(StorageError) as caught:
        Database.open(path, KEY, (*SCHEMA, "CREATE TABLE more (n);", "CREATE TABLE yet (n);"), read_only=True)
    assert caught.value.reason == "NOT_READY"


async def test_a_reader_reads_what_is_written_beside_it_and_writes_nothing(path):
    writer = Database.open(path, KEY, SCHEMA)
    reader = Database.open(path, KEY, SCHEMA, read_only=True)
    await writer.write(lambda connection: connection.execute("INSERT INTO thing VALUES ('a')"))
    assert await reader.read(names) == ["a"]
    with pytest.raises(StorageError):
        await reader.write(lambda connection: connection.execute("INSERT INTO thing VALUES ('b')"))
    reader.close()
    writer.close()


async def test_writes_that_come_together_are_done_one_after_another(path):
    database = Database.open(path, KEY, SCHEMA)
    inserts = [
        database.write(lambda connection, n=n: connection.execute("INSERT INTO thing VALUES (?)", (f"{n:02}",)))
        for n in range(50)
    ]
    await asyncio.gather(*inserts)
    assert len(await database.read(names)) == 50
    database.close()


def test_a_file_that_is_no_database_is_left_as_it_is(path):
    path.write_bytes(os.urandom(8192))
    before = path.read_bytes()
    with pytest.raises(WrongKey):
        Database.open(path, KEY, SCHEMA)
    assert path.read_bytes() == before


def test_temporary_data_stays_in_memory_and_what_is_deleted_is_overwritten(path):
    database = Database.open(path, KEY, SCHEMA)

    def settings(connection):
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("temp_store", "secure_delete")]

    assert database.write_now(settings) == [2, 1]  # MEMORY, ON
    database.close()


def test_sorting_more_than_the_cache_holds_opens_no_file_and_nothing_plain_is_in_the_wal(path):
    """Statement journals, sorters and rollback: all that SQLite would use a temporary file for."""
    database = Database.open(path, KEY, SCHEMA, cache_kib=64)
    word = "quokkafjordzephyr"

    def fill(connection):
        rows = ((f"{number * 7919 % 20_000:05d} {word}",) for number in range(20_000))
        connection.executemany("INSERT INTO thing VALUES (?)", rows)
        connection.execute("CREATE TEMPORARY TABLE copy AS SELECT name FROM thing ORDER BY substr(name, 3)")
        connection.execute("UPDATE thing SET name = name || '.'")
        return open_files()

    before = open_files()
    assert database.write_now(fill) <= before
    files = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    assert files.keys() == {"thing.db", "thing.db-wal", "thing.db-shm"}
    assert len(files["thing.db-wal"]) > 100_000
    assert not [name for name, content in files.items() if word.encode() in content]
    database.close()


def open_files():
    """Return what this process has open, files that were deleted too."""
    descriptors = Path("/proc/self/fd")
    return {str(one.readlink()) for one in descriptors.iterdir() if one.is_symlink()}


async def test_a_database_is_at_work_while_something_runs_on_it_and_no_longer(path):
    database = Database.open(path, KEY, SCHEMA)
    assert await database.read(lambda _connection: files_at_work()) == (path,)
    assert await database.write(lambda _connection: files_at_work()) == (path,)
    with pytest.raises(ZeroDivisionError):
        await database.write(lambda _connection: 1 / 0)
    database.close()
    assert files_at_work() == ()
