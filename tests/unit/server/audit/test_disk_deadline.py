"""Work on a disk that hangs is left alone after its deadline, and undone when it comes after all."""

import asyncio
import threading
from pathlib import Path

import pytest
from audit_log_lab import event, open_log, opened

from heldout_server.audit import DISK_HANGS, device, opening
from heldout_server.audit.deadline import run_on_disk
from heldout_server.errors import StorageError

PATH = Path("vault/audit.db")
SOON_S = 0.05


@pytest.fixture
def stuck():
    """Return an event on which a disk hangs until the test is over."""
    release = threading.Event()
    yield release
    release.set()


async def test_what_a_disk_does_in_time_is_returned_or_raised():
    def fail():
        raise StorageError("full", reason="DATABASE")

    assert await run_on_disk(lambda: 7, path=PATH, deadline_s=10) == 7
    with pytest.raises(StorageError, match="full"):
        await run_on_disk(fail, path=PATH, deadline_s=10)


async def test_what_comes_too_late_is_undone_on_its_thread(stuck):
    undone, late = threading.Event(), []

    def undo(result):
        late.append((result, threading.current_thread() is threading.main_thread()))
        undone.set()

    def hang():
        stuck.wait()
        return "opened"

    with pytest.raises(StorageError, match=r"vault/audit\.db: its disk did not answer within 0\.05 s") as caught:
        await run_on_disk(hang, path=PATH, deadline_s=SOON_S, undo=undo)
    assert caught.value.reason == DISK_HANGS
    stuck.set()
    assert await asyncio.to_thread(undone.wait, 10)
    assert late == [("opened", False)]


async def test_what_fails_too_late_is_not_undone(stuck):
    done, undone = threading.Event(), []

    def hang():
        stuck.wait()
        try:
            raise StorageError("gone")
        finally:
            done.set()

    with pytest.raises(StorageError, match="did not answer"):
        await run_on_disk(hang, path=PATH, deadline_s=SOON_S, undo=undone.append)
    stuck.set()
    assert await asyncio.to_thread(done.wait, 10)
    assert undone == []


async def test_a_log_whose_file_cannot_be_opened_is_let_go_of_once_its_disk_comes_back(tmp_path, monkeypatch, stuck):
    lock, unlocked = device.lock_file, threading.Event()
    close = device.LogDevice._unlock

    def hang(path):
        stuck.wait()
        return lock(path)

    def unlock(one):
        close(one)
        unlocked.set()

    monkeypatch.setattr(device, "lock_file", hang)
    monkeypatch.setattr(device.LogDevice, "_unlock", unlock)
    with pytest.raises(StorageError, match=r"audit.db: its disk did not answer.*Nothing was started") as caught:
        await open_log(tmp_path, commit_deadline_s=SOON_S)
    assert caught.value.reason == DISK_HANGS
    stuck.set()
    assert await asyncio.to_thread(unlocked.wait, 10)
    monkeypatch.undo()
    async with opened(tmp_path) as log:
        await log.append(event())


@pytest.mark.parametrize(("name", "where"), [("load", device), ("write_devices", opening)])
async def test_a_log_whose_file_hangs_once_it_is_open_is_left_alone(tmp_path, monkeypatch, stuck, name, where):
    async with opened(tmp_path) as log:
        await log.append(event())
    work = getattr(where, name)

    def hang(*words, **more):
        stuck.wait()
        return work(*words, **more)

    monkeypatch.setattr(where, name, hang)
    with pytest.raises(StorageError, match="did not answer") as caught:
        await open_log(tmp_path, commit_deadline_s=0.5)
    assert caught.value.reason == DISK_HANGS
    assert "damaged" not in str(caught.value)
    stuck.set()
    monkeypatch.undo()
    async with opened(tmp_path) as log:
        assert log.size == 1
