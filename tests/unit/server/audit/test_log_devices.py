"""A log on two devices: it goes on while one is whole, says so, and brings both together when it is opened again."""

from __future__ import annotations

import asyncio
import json
import threading
from functools import partial

import pytest
from audit_log_lab import break_device, damage, event, intent, mend, open_log, opened, store_database

from heldout.verification.receipt import verify_logged
from heldout_server.audit import Pace, store
from heldout_server.audit.examination import Damage, Finding
from heldout_server.errors import IntegrityError, InvalidRequest, StorageError


async def names_in(log):
    return [json.loads(entry)["name"] for entry in await log.entries(start=0, limit=100)]


async def test_every_group_goes_to_both_devices(two, tmp_path):
    async with two() as log:
        for _ in range(5):
            await log.append(intent())
        head = log.checkpoint()
    for folder in (tmp_path, tmp_path / "other"):
        database = store_database(folder / "audit.db")
        assert await database.read(lambda c: c.execute("SELECT size, checkpoint FROM head").fetchone()) == (5, head)
        assert len(await database.read(partial(store.read_entries, start=0, end=5))) == 5
        database.close()


@pytest.mark.parametrize("lost", ["first", "second"])
async def test_a_log_goes_on_without_one_device_and_says_so_and_catches_up(two, tmp_path, lost):
    failures, faults = [], []
    async with two(on_failure=lambda: failures.append(1), on_fault=faults.append) as log:
        await log.append(intent())
        await break_device(log, lost)
        logged = await log.append(intent())
        assert verify_logged(logged.entry, logged.proof, log.verifier_key)[1].size == 2
        for _ in range(3):
            await log.append(intent())
        assert log._devices.names == tuple({"first", "second"} - {lost})
        assert (failures, faults, log.failed) == ([], ["log_device_lost"], False)
        told = [json.loads(entry) for entry in await log.entries(start=0, limit=100)]
        (loss,) = [entry for entry in told if entry["name"] == "log_device_lost"]
        assert loss["details"] == {"device": lost, "reason": "DATABASE"}
        head = log.checkpoint()
    await mend({"first": tmp_path, "second": tmp_path / "other"}[lost] / "audit.db")
    async with two() as log:
        assert log.checkpoint() == head
        assert log._devices.names == ("first", "second")
        logged = await log.append(intent())
        assert b'"counter":6,' in logged.entry
    for folder in (tmp_path, tmp_path / "other"):
        database = store_database(folder / "audit.db")
        assert len(await database.read(partial(store.read_entries, start=0, end=7))) == 7
        database.close()


async def test_a_log_without_any_device_left_takes_nothing(two):
    failures, faults = [], []
    async with two(on_failure=lambda: failures.append(1), on_fault=faults.append) as log:
        await log.append(event())
        await break_device(log, "first")
        await break_device(log, "second")
        with pytest.raises(StorageError):
            await log.append(event())
        assert (failures, faults) == ([1], [])
        with pytest.raises(StorageError):
            await log.append(event())
        with pytest.raises(StorageError):
            await log.entries(start=0, limit=1)


async def hang(hung):
    """Hold the thread of a device until the returned event is set."""
    release, begun = threading.Event(), threading.Event()

    def hold(_connection):
        begun.set()
        release.wait(30)

    held = asyncio.ensure_future(hung.read(hold))
    await asyncio.to_thread(begun.wait, 10)
    return release, held


async def test_a_disk_that_hangs_poisons_a_log_within_its_deadline(tmp_path):
    failed = asyncio.Event()
    log = await open_log(tmp_path, commit_deadline_s=0.05, on_failure=failed.set)
    release, held = await hang(log._devices._whole[0])
    with pytest.raises(StorageError, match="AUDIT_DEADLINE"):
        await log.append(event())
    assert failed.is_set()
    await asyncio.wait_for(log.close(), 1)  # it waits for no disk
    release.set()
    await held


async def test_a_second_disk_that_hangs_is_left_behind(two):
    async with two(commit_deadline_s=0.05) as log:
        release, held = await hang(log._devices._whole[1])
        logged = await log.append(event())
        assert logged.index == 0
        assert log._devices.names == ("first",)
        await log.append(event("stop"))
        assert await names_in(log) == ["start", "log_device_lost", "stop"]
        release.set()
        await held


@pytest.mark.parametrize("name", ["audit.db", "audit.db-wal"])
async def test_a_truncated_file_poisons_the_log(tmp_path, name):
    async with opened(tmp_path) as log:
        for _ in range(3):
            await log.append(event())
        with (tmp_path / name).open("r+b") as file:
            file.truncate((tmp_path / name).stat().st_size - 1)
        with pytest.raises(StorageError, match="AUDIT_FILE_TRUNCATED"):
            await log.append(event())
        assert log.failed


async def test_a_leaf_that_reads_back_differently_is_never_signed(tmp_path, monkeypatch):
    async with opened(tmp_path) as log:
        await log.append(event())
        head = log.checkpoint()
        read = store.read_leaves

        def flipped(connection, **limits):
            first, *rest = read(connection, **limits)
            changed = bytes([first.entry[0] ^ 1]) + first.entry[1:]
            return [store.StoredLeaf(first.leaf, changed, first.row), *rest]

        monkeypatch.setattr(store, "read_leaves", flipped)
        with pytest.raises(StorageError, match="AUDIT_REREAD"):
            await log.append(event())
    monkeypatch.undo()
    async with opened(tmp_path) as log:
        assert (log.size, log.checkpoint()) == (1, head)


async def test_a_device_that_is_found_damaged_gives_way_to_the_whole_one(two, tmp_path, monkeypatch):
    async with two() as log:
        for _ in range(5):
            await log.append(intent())
        leaves = await log.entries(start=0, limit=5)
    for leaf in (1, 2):
        await damage(tmp_path / "audit.db", leaf)
    monkeypatch.setattr(store, "CHECKED_LEAVES", 2)
    faults, told = [], asyncio.Event()

    def note(name):
        faults.append(name)
        told.set()

    async with two(on_fault=note) as log:
        auditing = asyncio.ensure_future(log.audit_itself(Pace(leaves_per_s=1e9, pause_s=0.0)))
        await asyncio.wait_for(told.wait(), 10)
        assert (faults, log._devices.names) == (["log_device_lost"], ("second",))
        assert await log.entries(start=0, limit=5) == leaves
        for _ in range(20):
            await log.append(intent())
        auditing.cancel()
        await asyncio.wait({auditing})
        names = await names_in(log)
        assert (names.count("log_damaged"), names.count("log_device_lost")) == (2, 1)
        assert faults == ["log_device_lost"]


async def test_what_a_lost_device_holds_is_no_news(two, tmp_path):
    faults = []
    async with two(on_fault=faults.append) as log:
        await log.append(event())
        await break_device(log, "second")
        await log.append(event())
        await log._record_damage("second", Finding(0, Damage.HEAD))
        await log.append(event())
        assert (await names_in(log)).count("log_damaged") == 0
        assert faults == ["log_device_lost"]


async def test_devices_that_make_different_trees_of_one_group_poison_the_log(two):
    async with two() as log:
        second = log._devices._whole[1]
        commit = second.commit

        async def other(before, group, signer):
            made = await commit(before, group, signer)
            return store.Commit(made.growth, made.checkpoint.replace("lab", "lob"))

        second.commit = other
        with pytest.raises(StorageError, match="AUDIT_DEVICES_DIFFER"):
            await log.append(event())
        assert log.failed


async def test_a_loss_that_two_writes_find_is_told_once(two):
    faults = []
    async with two(on_fault=faults.append) as log:

        async def fail(one):
            if one.name == "second":
                raise StorageError("gone")

        await asyncio.gather(log._devices.write(fail), log._devices.write(fail))
        assert faults == ["log_device_lost"]


async def test_a_leaf_is_proved_under_the_newest_head(tmp_path):
    async with opened(tmp_path) as log:
        logged = [await log.append(event(f"event-{number}")) for number in range(3)]
        for each in logged:
            entry, head = verify_logged(each.entry, await log.prove(each.index), log.verifier_key)
            assert (entry.index, head.size) == (each.index, 3)
        with pytest.raises(InvalidRequest):
            await log.prove(3)
        with pytest.raises(InvalidRequest):
            await log.root(size=4)


async def test_without_any_device_nothing_is_written_and_closing_twice_does_no_harm(two):
    async with two() as log:
        first, second = log._devices._whole
        assert log._devices.drop("second", "AUDIT_DAMAGED")
        assert log._devices.drop("second", "AUDIT_DAMAGED")  # it is gone already
        assert not log._devices.drop("first", "AUDIT_DAMAGED")  # the last is kept
        await log._devices.close()
        with pytest.raises(StorageError, match="no device"):
            await log._devices.write(lambda one: one.keep(()))
        for one in (first, second):
            one.close()
            one.abandon()


async def test_what_one_device_has_lost_is_read_from_the_other(two, tmp_path, monkeypatch):
    async with two() as log:
        for _ in range(5):
            await log.append(intent())
        leaves = await log.entries(start=0, limit=5)
    monkeypatch.setattr(store, "CHECKED_LEAVES", 2)
    for path, leaf in ((tmp_path / "audit.db", 1), (tmp_path / "other" / "audit.db", 2)):
        await damage(path, leaf)
    async with two() as log:
        for leaf in (1, 2):
            assert await log.entries(start=leaf, limit=1) == leaves[leaf : leaf + 1]
        with pytest.raises(IntegrityError):
            await log.entries(start=1, limit=2)


async def test_a_database_that_another_holds_busy_poisons_the_log_within_its_deadline(tmp_path):
    """Another program that ignores our lock: SQLite's own lock is then waited for, and not for long."""
    log = await open_log(tmp_path, commit_deadline_s=0.05)
    release, begun = threading.Event(), threading.Event()

    def hold(_connection):
        begun.set()
        release.wait(30)

    other = store_database(tmp_path / "audit.db")
    held = asyncio.ensure_future(other.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(StorageError, match="AUDIT_DEADLINE"):
        await log.append(event())
    release.set()
    await held
    await log.close()
    other.close()
    async with opened(tmp_path) as log:
        await log.append(event())
