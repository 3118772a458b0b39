"""Opening a log: on one device or two, which are brought together, or refused with one clear line."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
from audit_log_lab import TESTER, break_device, damage, event, intent, mend, open_log, opened, store_database

from heldout_server.audit import device, opening, store
from heldout_server.audit.device import lock_file
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.audit import Record


async def test_a_device_that_is_gone_is_never_made_anew(two, tmp_path):
    async with two() as log:
        await log.append(event())
    for folder, name in ((tmp_path, "first"), (tmp_path / "other", "second")):
        kept = tmp_path / "kept"
        (folder / "audit.db").rename(kept)
        with pytest.raises(IntegrityError, match=f"log device {name} is gone.*audit repair"):
            async with two():
                pass
        assert not (folder / "audit.db").exists()
        kept.rename(folder / "audit.db")
    with pytest.raises(IntegrityError, match="second is not in the config"):
        await open_log(tmp_path)
    async with two() as log:
        assert log.size == 1


async def test_a_second_device_is_added_to_a_log_that_never_had_one(two, tmp_path):
    async with opened(tmp_path) as log:
        for _ in range(3):
            await log.append(intent())
        head = log.checkpoint()
    async with two() as log:
        assert log.checkpoint() == head
        await log.append(intent())
    database = store_database(tmp_path / "other" / "audit.db")
    assert len(await database.read(partial(store.read_entries, start=0, end=4))) == 4
    database.close()


@pytest.mark.parametrize("more", [0, 2])
async def test_devices_with_different_histories_are_refused(two, tmp_path, more):
    for folder, name, leaves in ((tmp_path, "one", 1 + more), (tmp_path / "other", "another", 1)):
        async with opened(folder) as log:
            for _ in range(leaves):
                await log.append(event(name))
    before = (tmp_path / "other" / "audit.db").read_bytes()
    with pytest.raises(IntegrityError, match="hold different logs"):
        async with two():
            pass
    assert (tmp_path / "other" / "audit.db").read_bytes() == before


async def test_a_log_that_is_open_is_opened_by_nobody_else(tmp_path):
    async with opened(tmp_path) as log:
        await log.append(event())
        with pytest.raises(StorageError, match="another process has this log open") as caught:
            await open_log(tmp_path)
        assert caught.value.reason == "AUDIT_LOCKED"
        await log.append(event())
    async with opened(tmp_path) as log:
        assert log.size == 2


def test_a_lock_that_cannot_be_made_says_so(tmp_path):
    with pytest.raises(StorageError, match="cannot be locked"):
        lock_file(tmp_path / "nowhere" / "audit.db")


async def test_a_copy_that_is_damaged_is_not_taken_over(two, tmp_path, monkeypatch):
    async with two() as log:
        await log.append(event())
        await break_device(log, "second")
        for _ in range(4):
            await log.append(intent())
    await mend(tmp_path / "other" / "audit.db")
    await damage(tmp_path / "audit.db", 2)
    monkeypatch.setattr(store, "CHECKED_LEAVES", 1)
    with pytest.raises(IntegrityError, match="entry 2 is not what was hashed"):
        async with two():
            pass


async def test_a_catch_up_in_several_steps_ends_with_the_same_head(two, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "BATCH", 3)
    async with opened(tmp_path) as log:
        for _ in range(10):
            await log.append(intent())
        head = log.checkpoint()
    async with two() as log:
        assert log.checkpoint() == head
    database = store_database(tmp_path / "other" / "audit.db")
    assert await database.read(store.read_counters) == {TESTER: 10}
    database.close()


async def test_a_catch_up_that_does_not_end_with_the_signed_head_is_refused(two, tmp_path, monkeypatch):
    async with opened(tmp_path) as log:
        await log.append(event())
    read = store.load

    def other(connection, *, signer):
        found = read(connection, signer=signer)
        return dataclasses.replace(found, checkpoint=found.checkpoint + " ") if found.frontier.size else found

    monkeypatch.setattr(device, "load", other)
    with pytest.raises(IntegrityError, match="does not lead to the signed head"):
        async with two():
            pass


async def test_a_disk_that_fails_while_the_file_is_opened_leaves_no_lock(tmp_path, monkeypatch):
    def gone(_device):
        raise StorageError("gone")

    monkeypatch.setattr(device.LogDevice, "_look", gone)
    with pytest.raises(StorageError, match="gone"):
        await open_log(tmp_path)
    monkeypatch.undo()
    async with opened(tmp_path) as log:
        await log.append(event())


async def test_counters_of_an_old_page_are_noticed(tmp_path):
    async with opened(tmp_path) as log:
        for _ in range(3):
            await log.append(intent())
            await log.append(Record(kind="event", name="noted", details={"counter": 3}))
    database = store_database(tmp_path / "audit.db")
    await database.write(lambda connection: connection.execute("UPDATE counters SET counter = 2"))
    database.close()
    with pytest.raises(IntegrityError, match="the counters are not those of the newest entries"):
        await open_log(tmp_path)


async def test_a_head_without_some_hashes_is_named_for_what_is_missing(tmp_path, monkeypatch):
    async with opened(tmp_path) as log:
        for _ in range(5):
            await log.append(event())
    database = store_database(tmp_path / "audit.db")
    await database.write(lambda connection: connection.execute("DELETE FROM rows WHERE leaf = 3"))
    database.close()
    monkeypatch.setattr(store, "CHECKED_LEAVES", 1)
    with pytest.raises(IntegrityError, match="the hashes of leaf 3 are missing"):
        await open_log(tmp_path)
