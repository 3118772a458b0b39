from __future__ import annotations

import os
import threading

import obstore
import pytest
from obstore.store import MemoryStore
from store_server import StoreServer

from heldout_server.checkpoints import SqlCheckpoints, open_source
from heldout_server.checkpoints.intake import stage
from heldout_server.checkpoints.refusal import Unacceptable
from heldout_server.checkpoints.sources import Stopped, objects
from heldout_server.checkpoints.sources.objects import ObjectSource
from heldout_server.config.place import Place
from heldout_server.config.watch import Store
from heldout_server.domain import CheckpointState
from heldout_server.errors import StorageError

PART = 1000
DATA = os.urandom(4500)
MANIFEST = b'name = "nova-1"\nline = "nova"\nruntime = "scripted"\n'


@pytest.fixture
def server():
    server = StoreServer()
    server.objects = {
        "nova-1/READY": b"",
        "nova-1/checkpoint.toml": MANIFEST,
        "nova-1/data": DATA,
        "nova-1/deep/er/empty": b"",
    }
    yield server
    server.close()


@pytest.fixture
def source(server):
    return ObjectSource(server.client(), part_bytes=PART, backoff_s=0)


@pytest.fixture
def take_in(place):
    def take_in(source, name="nova-1", stop=None):
        return stage(source, name=name, staging=place.staging, stop=stop or threading.Event(), quota=10**9)

    return take_in


def find(source, is_known=lambda _name: False):
    return [one.folder for one in source.find_ready(is_known, stop=threading.Event())]


def in_memory(keys):
    store = MemoryStore()
    for key, content in keys.items():
        obstore.put(store, key, content)
    return ObjectSource(store, backoff_s=0)


def failure(error, call, *arguments):
    """Return why a call fails, having seen that it quotes neither URL nor key."""
    with pytest.raises(error) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "127.0.0.1" not in message
    assert "nova" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


def test_what_has_its_marker_is_found_in_the_order_of_the_markers(server, source):
    server.objects |= {"late/half": b"", "READY": b"", "beside": b""}
    assert find(source) == ["nova-1"]
    assert find(source, {"nova-1"}.__contains__) == []
    (ready,) = source.find_ready(lambda _name: False, stop=threading.Event())
    assert (ready.marked_ns, ready.link) == (1_445_412_480_000_000_000, False)


def test_many_markers_are_asked_for_in_batches():
    source = in_memory({f"nova-{n}/READY": b"" for n in range(40)} | {"late/half": b""})
    assert sorted(find(source)) == sorted(f"nova-{n}" for n in range(40))


def test_an_object_is_read_in_parts_and_staged_whole(server, source, place, take_in):
    staged = take_in(source)
    folder = place.staging / "nova-1"
    assert (folder / "data").read_bytes() == DATA
    assert (folder / "deep" / "er" / "empty").read_bytes() == b""
    assert staged.manifest.name == "nova-1"
    assert server.ranges[1:] == [(n, min(n + PART, 4500) - 1) for n in range(0, 4500, PART)]


@pytest.mark.parametrize("fault", ["break", "500", "503", "429"])
def test_a_read_that_breaks_is_taken_up_at_its_part(server, source, place, take_in, fault):
    server.faults.extend(["fine", "fine", fault, fault, "fine", fault])
    take_in(source)
    assert (place.staging / "nova-1" / "data").read_bytes() == DATA
    parts = [part for part in server.ranges[1:] if part[0] == 0]
    assert parts == [(0, PART - 1)], "a part that was read is not read again"


def test_a_source_that_keeps_breaking_off_leaves_nothing_and_is_tried_at_the_next_look(server, source, place, take_in):
    server.faults.extend(["fine", "fine", *["break"] * 5])
    assert failure(StorageError, take_in, source) == "SOURCE"
    assert list(place.staging.iterdir()) == []
    take_in(source)
    assert (place.staging / "nova-1" / "data").read_bytes() == DATA


def test_an_object_that_changes_between_two_parts_is_refused(server, source, place, take_in):
    server.faults.extend(["fine", "fine", "change"])
    assert failure(Unacceptable, take_in, source) == "changed_while_read"
    assert list(place.staging.iterdir()) == []


def test_without_tags_an_object_is_read_too(server, source, place, take_in):
    server.tags = False
    take_in(source)
    assert (place.staging / "nova-1" / "data").read_bytes() == DATA


@pytest.mark.parametrize("grown", [DATA + b"more", DATA[:-1]])
def test_without_tags_an_object_is_known_by_its_size_and_time(server, source, take_in, monkeypatch, grown):
    server.tags = False
    real = objects.ObjectHolding.read

    def read(self, path):
        server.objects["nova-1/data"] = grown
        return real(self, path)

    monkeypatch.setattr(objects.ObjectHolding, "read", read)
    assert failure(Unacceptable, take_in, source) == "changed_while_read"


def test_an_object_that_changes_after_the_listing_is_refused(server, source, take_in):
    server.faults.extend(["fine", "change"])
    assert failure(Unacceptable, take_in, source) == "changed_while_read"


def test_an_object_that_is_gone_after_the_listing_is_refused(server, source, take_in):
    server.faults.extend(["fine", "404"])
    assert failure(Unacceptable, take_in, source) == "changed_while_read"


def test_a_checkpoint_that_lists_differently_afterwards_is_refused(server, source, take_in, monkeypatch):
    real = objects.ObjectHolding.read

    def read(self, path):
        server.objects["nova-1/more"] = b"late"
        return real(self, path)

    monkeypatch.setattr(objects.ObjectHolding, "read", read)
    assert failure(Unacceptable, take_in, source) == "changed_while_read"


@pytest.mark.parametrize("status", ["401", "403"])
def test_what_is_denied_is_the_sources_fault_and_not_the_checkpoints(server, source, place, take_in, status):
    server.faults.extend(["fine", status])
    assert failure(StorageError, take_in, source) == "SOURCE_DENIED"
    assert list(place.staging.iterdir()) == []
    server.listing_fault = status
    assert failure(StorageError, find, source) == "SOURCE_DENIED"
    assert failure(StorageError, take_in, source) == "SOURCE_DENIED"


def test_a_listing_that_fails_is_tried_again_and_then_reported(server, source):
    server.listing_fault = "503"
    assert failure(StorageError, find, source) == "SOURCE"
    server.listing_fault = "400"
    assert failure(StorageError, find, source) == "SOURCE"


def test_a_server_that_does_not_list_says_so(server):
    source = ObjectSource(server.client(server.url), prefix="lab", backoff_s=0)
    assert failure(StorageError, find, source) == "SOURCE_UNLISTABLE"


def test_an_http_server_with_webdav_is_a_source(server, place, take_in):
    server.webdav = True
    source = ObjectSource(server.client(server.url), prefix="lab", part_bytes=PART, backoff_s=0)
    assert find(source) == ["nova-1"]
    take_in(source)
    assert (place.staging / "nova-1" / "data").read_bytes() == DATA
    assert (place.staging / "nova-1" / "deep" / "er" / "empty").is_file()


def test_a_url_of_an_http_server_is_a_source_at_its_path(server):
    server.webdav = True
    place = Place("config.toml", 1)
    source = open_source(Store(url=f"{server.url}/lab/", options={"allow_http": True}, place=place, option_places={}))
    assert find(source) == ["nova-1"]
    with source.open("nova-1", stop=threading.Event()) as holding:
        assert holding.list().files == ("READY", "checkpoint.toml", "data", "deep/er/empty")
        assert b"".join(holding.read("data")) == DATA


def test_an_http_server_that_sends_no_parts_says_so(server, take_in):
    server.webdav = True
    server.faults.append("whole")
    source = ObjectSource(server.client(server.url), prefix="lab", backoff_s=0)
    assert failure(StorageError, take_in, source) == "SOURCE_UNSUPPORTED"


def test_a_server_that_is_away_is_reported(source, server):
    server.close()
    assert failure(StorageError, find, source) == "SOURCE"


@pytest.mark.parametrize("fault", ["stall", "endless"])
def test_a_listing_that_does_not_end_is_given_up(server, monkeypatch, fault):
    monkeypatch.setattr(objects, "LISTING_S", 0.05)
    server.listing_fault = fault
    assert failure(StorageError, find, ObjectSource(server.client(), attempts=2, backoff_s=0)) == "SOURCE"


def test_a_read_that_stalls_is_given_up(server, monkeypatch, take_in):
    monkeypatch.setattr(objects, "PART_S", 0.2)
    server.faults.extend(["fine", "stall", "stall"])
    source = ObjectSource(server.client(), part_bytes=PART, attempts=2, backoff_s=0)
    assert failure(StorageError, take_in, source) == "SOURCE"


def test_a_stalled_read_ends_when_nobody_waits_any_more(server, source, place, take_in):
    server.faults.extend(["fine", "stall"])
    stop = threading.Event()

    def stop_once_asked():
        server.asked.wait()
        stop.set()

    thread = threading.Thread(target=stop_once_asked)
    thread.start()
    with pytest.raises(Stopped):
        take_in(source, stop=stop)
    thread.join()
    assert list(place.staging.iterdir()) == []


def test_the_wait_before_another_attempt_ends_when_nobody_waits_any_more(server):
    server.listing_fault = "503"
    stop = threading.Event()

    def stop_once_asked():
        server.asked.wait()
        stop.set()

    thread = threading.Thread(target=stop_once_asked)
    thread.start()
    with pytest.raises(Stopped):
        ObjectSource(server.client(), backoff_s=3600).find_ready(lambda _name: False, stop=stop)
    thread.join()


@pytest.mark.parametrize(
    "key",
    [
        "nova-1/a\\b",
        "nova-1/a..b",
        "nova-1/../up",
        "nova-1/x//y",
        "nova-1/./x",
        "nova-1/a\u202eb",
        "nova-1/" + "n" * 256,
        "nova-1/" + "/".join(["d" * 200] * 6),
    ],
)
def test_keys_that_are_no_paths_are_refused(server, source, place, take_in, key):
    server.objects[key] = b"x"
    assert find(source) == ["nova-1"], "it stands in the way of no other"
    assert failure(Unacceptable, take_in, source) == "bad_name"
    assert list(place.staging.iterdir()) == []


def test_a_key_beside_the_checkpoints_that_cannot_be_listed_is_the_sources_fault(server, source):
    server.objects["../up/READY"] = b"x"
    assert failure(StorageError, find, source) == "SOURCE_KEY"


def test_a_consoles_folders_are_no_files_but_a_file_in_a_folders_place_is_refused(server, source, take_in):
    server.objects |= {"nova-1/": b"", "nova-1/deep/": b"", "nova-1/deep/er": b""}
    assert len(take_in(source).digest) == 64
    server.objects["nova-1/deep/er"] = b"no folder"
    assert failure(Unacceptable, take_in, source) == "bad_name"


def test_two_keys_of_one_path_are_refused(server, source, take_in):
    server.objects["nova-1/data/"] = b""
    assert failure(Unacceptable, take_in, source) == "bad_name"


def test_too_many_files_and_too_deep_folders_are_refused(server, source, take_in, monkeypatch):
    server.objects["nova-1/" + "/".join("d" * 17)] = b""
    assert failure(Unacceptable, take_in, source) == "bad_name"
    server.objects.popitem()
    monkeypatch.setattr(objects, "MAX_FILES", 3)
    assert failure(Unacceptable, take_in, source) == "too_many_files"


def test_a_hundred_thousand_keys_are_listed_and_one_more_is_refused():
    source = in_memory({f"{name}/{n}": b"" for name in ("full", "over") for n in range(100_000)} | {"over/more": b""})
    with source.open("full", stop=threading.Event()) as holding:
        assert len(holding.list().files) == 100_000
    with source.open("over", stop=threading.Event()) as holding:
        assert failure(Unacceptable, holding.list) == "too_many_files"


def test_too_many_new_names_are_reported(monkeypatch):
    monkeypatch.setattr(objects, "MAX_NAMES", 3)
    source = in_memory({f"nova-{n}/READY": b"" for n in range(5)})
    assert failure(StorageError, find, source) == "SOURCE_CROWDED"
    assert find(source, {"nova-1", "nova-2"}.__contains__) == ["nova-0", "nova-3", "nova-4"]


async def test_a_registry_over_a_store_notices_once_and_only_what_could_be_read(place, server, source):
    registry = SqlCheckpoints.open(
        place.folder / "store.db",
        keys=type("Keys", (), {"database_key": lambda _self, _name: bytes(32)})(),
        clock=type("Clock", (), {"now_s": lambda _self: 1.0, "monotonic_s": lambda _self: 1.0})(),
        source=source,
        staging=place.staging,
    )
    server.faults.extend(["fine", *["503"] * 5])
    with pytest.raises(StorageError):
        await registry.scan()
    assert await registry.pending() == ()
    (one,) = await registry.scan()
    assert (one.name, one.state) == ("nova-1", CheckpointState.STAGED)
    await registry.verify(one)
    assert await registry.scan() == ()
    registry.close()
