from __future__ import annotations

import asyncio
import os
import threading

import pytest

from heldout_server.anchoring import Content
from heldout_server.checkpoints import SqlCheckpoints
from heldout_server.checkpoints import registry as registry_module
from heldout_server.checkpoints.sources import FolderSource, Stopped
from heldout_server.checkpoints.sources import folder as folder_source
from heldout_server.domain import CheckpointFacts, CheckpointState
from heldout_server.errors import IntegrityError, NotFound, StorageError, WrongKey


async def names(registry):
    return [one.name for one in await registry.scan()]


async def test_a_checkpoint_is_described_as_it_was_staged(place, registry):
    place.put()
    (one,) = await registry.scan()
    assert (one.name, one.line, one.runtime, one.sequence) == ("nova-1", "nova", "scripted", 1)
    assert (one.state, one.reason, one.noticed_s) == (CheckpointState.STAGED, "", 1_750_000_000)
    assert one.path == str(place.staging / "nova-1")
    assert len(one.digest) == 64
    assert await registry.get("nova-1") == one


async def test_a_folder_without_its_marker_is_not_new_until_it_has_one(place, registry):
    place.put(ready_s=None)
    (place.source / "a file").touch()
    (place.source / "nova-2" / "READY").mkdir(parents=True)
    assert await names(registry) == []
    place.mark("nova-1")
    assert await names(registry) == ["nova-1"]


async def test_checkpoints_come_in_the_order_of_their_markers_then_of_their_names(place, registry):
    for name, ready_s in (("zeta", 100), ("beta", 300), ("alpha", 300), ("eta", 200)):
        place.put(name, ready_s=ready_s)
    found = await registry.scan()
    assert [one.name for one in found] == ["zeta", "eta", "alpha", "beta"]
    assert [one.sequence for one in found] == [1, 2, 3, 4]


async def test_a_checkpoint_is_noticed_once_even_across_a_restart(place):
    place.put()
    place.put("bad", files={"model.pt": b""})
    first = place.open()
    assert sorted(await names(first)) == ["bad", "nova-1"]
    assert await names(first) == []
    first.close()
    (place.source / "bad" / "model.pt").unlink()
    place.mark("bad", 5000)
    again = place.open()
    assert await names(again) == []
    assert [one.name for one in await again.list(after=0, limit=10)] == ["bad", "nova-1"]
    again.close()


async def test_a_refused_checkpoint_is_recorded_with_its_reason_and_nothing_staged(place, registry):
    place.put(files={"model.pt": b""})
    (one,) = await registry.scan()
    assert (one.state, one.reason, one.digest, one.path, one.line) == (
        CheckpointState.REFUSED,
        "pickle_name",
        "",
        "",
        "",
    )
    assert one.detail == "file-2.ending-pt"
    assert list(place.staging.iterdir()) == []


@pytest.mark.parametrize("folder", ["Nova 1", "refused-9", "x" * 65, "a\nb", b"\xff", ".hidden"])
async def test_a_folder_whose_name_cannot_be_recorded_gets_a_number(place, registry, folder):
    ready = place.source / os.fsdecode(folder) / "READY"
    ready.parent.mkdir()
    ready.touch()
    (one,) = await registry.scan()
    assert (one.name, one.reason, one.sequence) == ("refused-1", "bad_name", 1)
    assert await registry.scan() == ()


async def test_a_link_in_the_source_is_refused_and_not_followed(place, registry):
    place.put().rename(place.folder / "elsewhere")
    (place.source / "nova-1").symlink_to(place.folder / "elsewhere")
    (one,) = await registry.scan()
    assert (one.name, one.reason) == ("nova-1", "symlink")


async def test_listing_goes_on_past_a_sequence(place, registry):
    for number in range(5):
        place.put(f"nova-{number}", ready_s=number + 1)
    await registry.scan()
    page = await registry.list(after=1, limit=3)
    assert [one.sequence for one in page] == [2, 3, 4]


async def test_an_unknown_name_is_not_found(registry):
    for call in (registry.get("none"), registry.settle("none")):
        with pytest.raises(NotFound):
            await call


async def test_what_is_noticed_is_pending_until_it_is_settled_even_across_a_restart(place):
    place.put("nova-1", ready_s=1)
    place.put("nova-2", files={}, ready_s=2)
    place.put("nova-3", ready_s=3)
    first = place.open()
    await first.scan()
    assert [one.name for one in await first.pending()] == ["nova-1", "nova-2", "nova-3"]
    await first.settle("nova-1")
    await first.settle("nova-1")
    first.close()
    again = place.open()
    assert [one.name for one in await again.pending()] == ["nova-2", "nova-3"]
    again.close()


async def test_a_staged_checkpoint_verifies(place, registry):
    place.put()
    (one,) = await registry.scan()
    await registry.verify(one)


def _change(folder):
    path = folder / "model.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1])


def _add(folder):
    (folder / "more.json").write_text("{}")


def _remove(folder):
    (folder / "model.safetensors").unlink()


def _link(folder):
    (folder / "model.safetensors").rename(folder.parent / "aside")
    (folder / "model.safetensors").symlink_to(folder.parent / "aside")


def _remove_all(folder):
    folder.rename(folder.parent / "aside")


@pytest.mark.parametrize("meddle", [_change, _add, _remove, _link, _remove_all])
async def test_a_staged_checkpoint_that_changed_is_noticed(place, registry, meddle):
    place.put()
    (one,) = await registry.scan()
    (place.staging / "nova-1").chmod(0o755)
    meddle(place.staging / "nova-1")
    with pytest.raises(IntegrityError) as caught:
        await registry.verify(one)
    assert caught.value.reason == "STAGED_FILES_CHANGED"


async def test_a_refused_checkpoint_never_verifies(place, registry):
    place.put(files={})
    (one,) = await registry.scan()
    with pytest.raises(IntegrityError) as caught:
        await registry.verify(one)
    assert caught.value.reason == "CHECKPOINT_RECORD"


async def test_a_crash_between_staging_and_recording_stages_again(place, monkeypatch):
    place.put()
    first = place.open()

    async def fail(*_arguments, **_keywords):
        raise StorageError("as if the power went")

    monkeypatch.setattr(first, "_record", fail)
    with pytest.raises(StorageError):
        await first.scan()
    first.close()
    assert (place.staging / "nova-1").exists()
    again = place.open()
    (one,) = await again.scan()
    await again.verify(one)
    again.close()


async def test_what_a_crash_left_half_staged_is_gone_after_the_next_start(place):
    (place.staging / ".nova-1.partial").mkdir()
    (place.staging / ".nova-1.partial" / "half").write_bytes(b"half")
    place.open().close()
    assert list(place.staging.iterdir()) == []


async def test_a_failure_keeps_what_was_noticed_before_it(place, registry, monkeypatch):
    place.put("nova-1", ready_s=1)
    place.put("nova-2", ready_s=2)
    real = registry_module.stage

    def stage(source, **keywords):
        if keywords["name"] == "nova-2":
            raise StorageError("disk full", reason="DISK")
        return real(source, **keywords)

    monkeypatch.setattr(registry_module, "stage", stage)
    with pytest.raises(StorageError):
        await registry.scan()
    assert [one.name for one in await registry.pending()] == ["nova-1"]
    monkeypatch.undo()
    assert await names(registry) == ["nova-2"]


class TroubledSource(FolderSource):
    """Fail to open some checkpoints, and to list while it is ``away``."""

    def __init__(self, folder):
        super().__init__(folder)
        self.troubled, self.asked, self.away = set(), [], False

    def find_ready(self, is_known, **rest):
        if self.away:
            raise StorageError("nobody answers", reason="SOURCE")
        return super().find_ready(is_known, **rest)

    def open(self, folder, *, stop):
        self.asked.append(folder)
        if folder in self.troubled:
            raise StorageError("one object is denied", reason="SOURCE_DENIED")
        return super().open(folder, stop=stop)


@pytest.fixture
def troubled(place):
    source = TroubledSource(place.source)
    registry = place.open(source)
    yield source, registry
    registry.close()


async def scan_and_fail(registry):
    with pytest.raises(StorageError) as caught:
        await registry.scan()
    return caught.value.reason


async def test_a_checkpoint_whose_files_cannot_be_read_does_not_hold_up_those_behind_it(place, troubled):
    source, registry = troubled
    for number in (1, 2, 3):
        place.put(f"nova-{number}", ready_s=number)
    source.troubled = {"nova-1", "nova-3"}
    assert await scan_and_fail(registry) == "SOURCE_DENIED"
    assert [one.name for one in await registry.pending()] == ["nova-2"]
    source.troubled = set()
    place.put("nova-4", ready_s=4)
    found = await registry.scan()
    assert [(one.name, one.sequence) for one in found] == [("nova-4", 2), ("nova-1", 3), ("nova-3", 4)]


async def test_a_checkpoint_that_fails_again_and_again_sits_out_ever_more_looks(place, troubled):
    source, registry = troubled
    place.put()
    source.troubled = {"nova-1"}
    attempts = []
    for look in range(200):
        source.asked.clear()
        if look in {0, 1, 3, 7, 15, 31, 63, 127, 191}:
            assert await scan_and_fail(registry) == "SOURCE_DENIED"
        else:
            assert await registry.scan() == ()
        attempts += [look] * len(source.asked)
    assert attempts == [0, 1, 3, 7, 15, 31, 63, 127, 191]


async def test_a_source_that_is_away_as_a_whole_is_not_asked_for_the_rest(place, troubled, monkeypatch):
    source, registry = troubled
    place.put("nova-1", ready_s=1)
    place.put("nova-2", ready_s=2)
    real = source.open

    def open_(folder, *, stop):
        source.away = True
        return real(folder, stop=stop)

    source.troubled = {"nova-1"}
    monkeypatch.setattr(source, "open", open_)
    assert await scan_and_fail(registry) == "SOURCE"
    assert source.asked == ["nova-1"]
    monkeypatch.undo()
    source.away, source.troubled = False, set()
    assert sorted(await names(registry)) == ["nova-1", "nova-2"]


async def test_a_checkpoint_that_does_not_fit_now_waits_and_smaller_ones_go_on(place):
    folder = place.put("nova-1", ready_s=1)
    os.truncate(folder / "model.safetensors", 10_000)
    place.put("nova-2", ready_s=2)
    registry = place.open(max_staged_bytes=5_000)
    assert await scan_and_fail(registry) == "STAGING_FULL"
    assert [one.name for one in await registry.pending()] == ["nova-2"]
    registry.close()
    registry = place.open(max_staged_bytes=50_000)
    (one,) = await registry.scan()
    assert (one.name, one.reason) == ("nova-1", "bad_offsets")  # it was read
    registry.close()


async def test_a_checkpoint_beyond_the_limits_is_refused_for_good(place):
    place.put()
    registry = place.open(max_checkpoint_bytes=10)
    (one,) = await registry.scan()
    assert (one.state, one.reason) == (CheckpointState.REFUSED, "too_large")
    registry.close()


async def test_a_source_that_cannot_be_listed_is_a_failed_disk(place, registry):
    place.source.rmdir()
    with pytest.raises(StorageError) as caught:
        await registry.scan()
    assert (caught.value.reason, str(place.folder) in str(caught.value)) == ("SOURCE", False)


def test_a_look_at_a_folder_ends_when_nobody_waits_any_more(place):
    place.put()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        FolderSource(place.source).find_ready(lambda _name: False, stop=stop)


async def test_a_registry_of_an_earlier_version_learns_to_hold_facts(place, monkeypatch):
    place.put()
    with monkeypatch.context() as earlier:
        earlier.setattr(registry_module, "MIGRATIONS", registry_module.MIGRATIONS[:1])
        earlier.setattr(registry_module, "CONTENT", Content(rows={}))
        place.open().close()
    registry = place.open()
    (one,) = await registry.scan()
    assert one.facts == CheckpointFacts(precision="bf16")
    registry.close()


async def test_two_scans_at_once_notice_once(place, registry):
    place.put()
    one, other = await asyncio.gather(registry.scan(), registry.scan())
    assert [found.name for found in (*one, *other)] == ["nova-1"]


async def test_a_cancelled_scan_stops_its_thread(place, registry, monkeypatch):
    place.put()
    began, ended = threading.Event(), threading.Event()

    def read_chunk(_file, stop):
        began.set()
        stop.wait()
        ended.set()
        raise Stopped

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    task = asyncio.create_task(registry.scan())
    await asyncio.to_thread(began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 10)


async def test_another_key_does_not_open_the_registry(place, registry, monkeypatch):
    with pytest.raises(WrongKey):
        SqlCheckpoints.open(
            place.folder / "checkpoints.db",
            keys=type("OtherKeys", (), {"database_key": lambda _self, _name: bytes(32)})(),
            clock=None,
            source=FolderSource(place.source),
            staging=place.staging,
        )
