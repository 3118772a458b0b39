"""A backup: whole or not there, never over another, known to a log, and asked for by a file in the run folder."""

import asyncio
import contextlib
import errno
import json
import shutil
from types import SimpleNamespace

import pytest

from heldout_server.app import backing_up
from heldout_server.app.backing_up import ANSWER, REQUEST, answer_requests, ask_for_backup, back_up
from heldout_server.app.backup_marks import clear_marks, find_marks, verify_unmarked
from heldout_server.app.logs import DATABASES
from heldout_server.database import Database, Snapshot
from heldout_server.errors import ConfigError, IntegrityError, StorageError, WrongKey
from served_appliance import until

KEY = bytes(range(32))


class Ring:
    """Give every database one key."""

    def database_key(self, _name):
        return KEY


class Clock:
    """Stand still."""

    def now_s(self):
        return 1_700_000_000.9


class Log:
    """Keep records, or fail."""

    def __init__(self, error=None):
        self.records, self.error = [], error

    async def append(self, record):
        if self.error is not None:
            raise self.error
        self.records.append(record)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Make the databases of an appliance, each with one row, and its key files."""
    monkeypatch.setattr(backing_up, "LOOK_S", 0.001)
    home = tmp_path / "a"
    for folder in ("vault", "window", "run", "keys"):
        (home / folder).mkdir(parents=True)
    for half, name in DATABASES:
        database = Database.open(home / half / name, KEY, ("CREATE TABLE thing (name TEXT);",))
        database.write_now(lambda connection, name=name: connection.execute("INSERT INTO thing VALUES (?)", (name,)))
        database.close()
    for name in ("ring.json", "root.key"):
        (home / "keys" / name).write_text(name)
    folders = {"vault": home / "vault", "window": home / "window"}
    return SimpleNamespace(
        data=SimpleNamespace(**folders, run=home / "run", folders=lambda: folders),
        audit=SimpleNamespace(second=None, commit_deadline_s=60.0),
        keys=SimpleNamespace(ring=home / "keys" / "ring.json", root=home / "keys" / "root.key", shares=None),
        appliance=SimpleNamespace(name="lab"),
    )


def of_folder(config, folder):
    """Return the config of an appliance whose databases lie in a folder."""
    there = SimpleNamespace(vault=folder / "vault", window=folder / "window")
    there.folders = lambda: {"vault": there.vault, "window": there.window}
    return SimpleNamespace(data=there, audit=config.audit)


async def copy(config, to, logs=None, *, with_keys=False):
    logs = {"vault": Log()} if logs is None else logs
    return await back_up(config, Ring(), logs, to, with_keys=with_keys, now_s=1_700_000_000.9)


def left_in(folder):
    """Return what is left of a backup that failed."""
    return sorted(path.name for path in folder.iterdir() if path.name != "a")


async def test_every_database_is_copied_under_its_own_key_and_the_logs_name_the_manifest(config, tmp_path):
    logs = {"vault": Log(), "window": Log()}
    made = await copy(config, tmp_path / "monday", logs)
    assert (made.files, made.logs, made.folder) == (len(DATABASES), ("vault", "window"), str(tmp_path / "monday"))
    for half, name in DATABASES:
        copied = Database.open(tmp_path / "monday" / half / name, KEY, ("",))
        assert copied.write_now(lambda connection: connection.execute("SELECT name FROM thing").fetchall()) == [(name,)]
        copied.close()
    for log in logs.values():
        (record,) = log.records
        assert (record.name, record.details["manifest_sha256"], record.details["keys"]) == (
            "backup",
            made.manifest_sha256,
            "left_out",
        )
    manifest = json.loads((tmp_path / "monday" / "backup.json").read_bytes())
    assert (manifest["appliance"], manifest["time_s"]) == ("lab", 1_700_000_000)
    assert not (tmp_path / "monday" / "keys").exists()


async def test_every_copy_is_marked_and_the_appliance_is_not(config, tmp_path):
    assert await find_marks(config, Ring()) == ()
    await copy(config, tmp_path / "monday")
    assert await find_marks(config, Ring()) == ()
    backup = of_folder(config, tmp_path / "monday")
    marked = await find_marks(backup, Ring())
    assert {one.path for one in marked} == {tmp_path / "monday" / half / name for half, name in DATABASES}
    assert {one.made for one in marked} == {"2023-11-14T22:13Z"}
    assert {one.database for one in marked} >= {"audit-vault", "audit-window", "releases"}


async def test_nothing_starts_from_a_marked_file_until_its_mark_is_taken_out(config, tmp_path):
    await verify_unmarked(config, Ring())
    await copy(config, tmp_path / "monday")
    backup = of_folder(config, tmp_path / "monday")
    with pytest.raises(IntegrityError, match=r"a backup of 2023-11-14T22:13Z \(all databases and logs\)\. Nothing was"):
        await verify_unmarked(backup, Ring())
    clear_marks(Ring(), [one for one in await find_marks(backup, Ring()) if one.database != "window"])
    await verify_unmarked(backup, Ring(), ("vault",))
    with pytest.raises(IntegrityError, match=r"Z \(window\)"):
        await verify_unmarked(backup, Ring(), ("window",))
    clear_marks(Ring(), await find_marks(backup, Ring()))
    await verify_unmarked(backup, Ring())
    assert list((tmp_path / "monday").rglob("*-wal")) == []


async def test_a_log_on_a_second_disk_is_looked_at_too(config, tmp_path):
    await copy(config, tmp_path / "monday")
    (tmp_path / "second").mkdir()
    shutil.copy(tmp_path / "monday" / "vault" / "audit.db", tmp_path / "second" / "audit-vault.db")
    config.audit.second = tmp_path / "second"
    assert [one.database for one in await find_marks(config, Ring())] == ["audit-vault"]


async def test_keys_are_copied_where_asked_and_the_log_says_so(config, tmp_path):
    log = Log()
    await copy(config, tmp_path / "monday", {"vault": log}, with_keys=True)
    assert {path.name for path in (tmp_path / "monday" / "keys").iterdir()} == {"ring.json", "root.key"}
    assert log.records[0].details["keys"] == "included"


async def test_a_backup_is_never_made_over_another_or_nowhere(config, tmp_path):
    (tmp_path / "monday").mkdir()
    for to, words in (("monday", "never overwritten"), ("none/monday", "no such folder")):
        with pytest.raises(ConfigError, match=words):
            await copy(config, tmp_path / to)
    assert left_in(tmp_path) == ["monday"]
    assert list((tmp_path / "monday").iterdir()) == []


async def test_what_a_backup_left_that_was_cut_off_is_named(config, tmp_path):
    (tmp_path / ".monday.part").mkdir()
    with pytest.raises(ConfigError, match=r"\.monday\.part: was left.*\n  delete it"):
        await copy(config, tmp_path / "monday")
    assert left_in(tmp_path) == [".monday.part"]


@pytest.mark.parametrize("fails", ["copy", "write"])
async def test_a_disk_that_is_full_leaves_nothing_behind_and_no_log_knows_of_it(config, tmp_path, monkeypatch, fails):
    def full(*_words, **_more):
        if fails == "copy":
            raise StorageError("outcomes.db: SQLITE_FULL", reason="DATABASE")
        raise OSError(errno.ENOSPC, "No space left on device")

    where, name = (Snapshot, "copy") if fails == "copy" else (shutil, "copy")
    monkeypatch.setattr(where, name, full)
    log = Log()
    with pytest.raises(StorageError, match="SQLITE_FULL" if fails == "copy" else "No space left"):
        await copy(config, tmp_path / "monday", {"vault": log}, with_keys=True)
    assert left_in(tmp_path) == []
    assert log.records == []


async def test_a_database_that_is_gone_or_of_another_key_leaves_nothing_behind(config, tmp_path):
    bank = config.data.vault / "bank.db"
    bank.rename(tmp_path / "a" / "kept")
    with pytest.raises(StorageError, match=r"bank\.db"):
        await copy(config, tmp_path / "monday")
    Database.open(bank, bytes(32), ("CREATE TABLE thing (name TEXT);",)).close()
    with pytest.raises(WrongKey, match=r"bank\.db"):
        await copy(config, tmp_path / "monday")
    assert left_in(tmp_path) == []


async def test_what_no_log_knows_of_is_no_backup(config, tmp_path):
    failing = Log(StorageError("the audit log failed", reason="AUDIT_LOG_FAILED"))
    with pytest.raises(StorageError, match="audit log failed"):
        await copy(config, tmp_path / "monday", {"vault": failing})
    assert left_in(tmp_path) == []


@contextlib.asynccontextmanager
async def answering(config, log):
    answers = asyncio.ensure_future(answer_requests(config, Ring(), {"vault": log}, Clock()))
    try:
        yield
    finally:
        answers.cancel()
        await asyncio.wait({answers})


async def test_a_running_appliance_answers_with_what_it_made_or_why_it_did_not(config, tmp_path):
    log = Log()
    async with answering(config, log):
        made = await ask_for_backup(config, tmp_path / "monday", with_keys=True, deadline_s=20)
        assert (made.files, made.logs) == (len(DATABASES), ("vault",))
        assert log.records[0].details["manifest_sha256"] == made.manifest_sha256
        with pytest.raises(ConfigError, match="never overwritten"):
            await ask_for_backup(config, tmp_path / "monday", with_keys=False, deadline_s=20)
        log.error = OSError("words that nobody should read")
        with pytest.raises(ConfigError, match=r"^OSError: failed$"):
            await ask_for_backup(config, tmp_path / "tuesday", with_keys=False, deadline_s=20)
    assert list(config.data.run.iterdir()) == []


@pytest.mark.parametrize("request_bytes", [b"", b"not json", b"[]", b"7", b"{}", b'{"to": 3}', b'{"to": "monday"}'])
async def test_a_request_that_is_none_is_refused_and_the_next_is_answered(config, tmp_path, request_bytes):
    async with answering(config, Log()):
        (config.data.run / REQUEST).write_bytes(request_bytes)
        await until((config.data.run / ANSWER).exists)
        assert "no such folder" in json.loads((config.data.run / ANSWER).read_bytes())["error"]
        assert (await ask_for_backup(config, tmp_path / "monday", with_keys=False, deadline_s=20)).files


async def test_an_appliance_that_does_not_answer_is_not_left_with_the_request(config, tmp_path):
    (config.data.run / ANSWER).write_text('{"error": "an old answer"}')
    with pytest.raises(StorageError, match="did not answer within 0 s; is it sealed"):
        await ask_for_backup(config, tmp_path / "monday", with_keys=False, deadline_s=0.01)
    assert list(config.data.run.iterdir()) == []
