from __future__ import annotations

import hashlib
import os
import threading

import pytest
from intake_refusals import refusal

from heldout_server.checkpoints import intake
from heldout_server.checkpoints.intake import digest_folder
from heldout_server.checkpoints.sources import Stopped
from heldout_server.checkpoints.sources import folder as folder_source
from heldout_server.errors import StorageError


def test_files_are_copied_as_they_are_and_made_read_only(place, take_in):
    place.put(files={"model.dat": b"dat!" * 500_000, "tokenizer/vocab.json": b"{}", "empty": b""})
    staged = take_in()
    folder = place.staging / "nova-1"
    assert (folder / "model.dat").read_bytes() == b"dat!" * 500_000
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.toml", "empty", "model.dat", "tokenizer"]
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o444}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "tokenizer")} == {0o555}
    assert staged.manifest.line == "nova"


def test_the_digest_is_over_the_sorted_paths_digests_and_sizes(place, take_in):
    folder = place.put(files={"b": b"bee", "a/c": b""})
    manifest = (folder / "checkpoint.toml").read_bytes()
    lines = b"".join(
        b"%s\0%s\0%d\n" % (path, hashlib.sha256(content).hexdigest().encode(), len(content))
        for path, content in ((b"a/c", b""), (b"b", b"bee"), (b"checkpoint.toml", manifest))
    )
    digest = take_in().digest
    assert digest == hashlib.sha256(lines).hexdigest()
    assert digest_folder(place.staging / "nova-1", stop=threading.Event()) == digest


def test_the_marker_is_no_part_of_the_checkpoint_but_one_below_is(place, take_in):
    folder = place.put(files={"a": b"1"})
    (folder / "READY").write_text("written by whoever")
    first = take_in().digest
    (folder / "READY").write_text("something else")
    assert take_in().digest == first
    (folder / "sub").mkdir()
    (folder / "sub" / "READY").touch()
    assert take_in().digest != first


@pytest.mark.parametrize("where", ["file", "folder", "marker", "dangling"])
def test_links_are_refused(place, take_in, where):
    folder = place.put()
    (place.folder / "outside").mkdir()
    (place.folder / "outside" / "secret").write_text("canary")
    match where:
        case "file":
            (folder / "link").symlink_to(place.folder / "outside" / "secret")
        case "folder":
            (folder / "link").symlink_to(place.folder / "outside")
        case "marker":
            (folder / "READY").unlink()
            (folder / "READY").symlink_to(place.folder / "outside" / "secret")
        case "dangling":
            (folder / "link").symlink_to("nowhere")
    assert refusal(take_in, place) == "symlink"


def test_a_file_with_a_further_name_is_refused(place, take_in):
    """Its other name may be where only the appliance can read, such as that of its root key."""
    (place.folder / "secret").write_text("canary")
    os.link(place.folder / "secret", place.put() / "model.dat")
    assert refusal(take_in, place) == "hard_link"


def test_a_file_that_is_swapped_for_a_further_name_of_another_is_refused(place, take_in, monkeypatch):
    folder = place.put(files={"a": b"a", "b": b"b"})
    (place.folder / "secret").write_text("canary")
    real = folder_source._read_chunk

    def read_chunk(file, stop):
        if (folder / "b").stat().st_nlink == 1:
            (folder / "b").unlink()
            os.link(place.folder / "secret", folder / "b")
        return real(file, stop)

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    assert refusal(take_in, place) == "hard_link"


def test_a_backup_may_give_staged_files_further_names(place, take_in):
    place.put()
    digest = take_in().digest
    os.link(place.staging / "nova-1" / "model.safetensors", place.folder / "backup")
    assert digest_folder(place.staging / "nova-1", stop=threading.Event()) == digest


def test_a_pipe_is_refused_and_not_waited_for(place, take_in):
    os.mkfifo(place.put() / "pipe")
    assert refusal(take_in, place) == "special_file"


@pytest.mark.parametrize("name", ["a..b", "a\nb", "a\x1bb", "a\\b", "a\u202eb", b"a\xffb"])
def test_names_that_mislead_are_refused(place, take_in, name):
    (place.put() / os.fsdecode(name)).touch()
    assert refusal(take_in, place) == "bad_name"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "empty"),
        ({"model.pt": b"x"}, "pickle_name"),
        ({"model": b"\x80\x04\x95"}, "pickle"),
        ({"code/model.py": b""}, "code"),
        ({"model.dat": b"PK\x03\x04"}, "archive"),
    ],
)
def test_what_may_not_come_in_is_refused(place, take_in, files, reason):
    place.put(files=files)
    assert refusal(take_in, place) == reason


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (False, "manifest_missing"),
        ("canary canary", "manifest_invalid"),
        ('name = "other"\nline = "nova"\nruntime = "scripted"\n', "name_mismatch"),
    ],
)
def test_a_manifest_must_be_there_and_name_its_folder(place, take_in, manifest, reason):
    place.put(manifest=manifest)
    assert refusal(take_in, place) == reason


def test_a_checkpoint_that_is_served_elsewhere_may_be_a_manifest_alone(place, take_in):
    manifest = 'name = "nova-1"\nline = "nova"\nruntime = "gateway"\n'
    place.put(files={}, manifest=manifest)
    assert refusal(take_in, place) == "empty"
    staged = take_in(elsewhere={"gateway"})
    assert staged.manifest.runtime == "gateway"
    assert [path.name for path in (place.staging / "nova-1").iterdir()] == ["checkpoint.toml"]


def test_a_folder_with_a_marker_alone_is_empty(place, take_in):
    place.put(files={}, manifest=False)
    assert refusal(take_in, place) == "empty"


def test_a_manifest_larger_than_its_bound_is_refused(place, take_in, monkeypatch):
    monkeypatch.setattr(intake, "MAX_MANIFEST_BYTES", 20)
    place.put()
    assert refusal(take_in, place) == "manifest_invalid"


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ({"a": b"1"}, None),
        ({"a": b"2"}, "files_mismatch"),
        ({"a": b"1", "b": b"1"}, "files_mismatch"),
        ({}, "files_mismatch"),
    ],
)
def test_files_that_a_manifest_lists_must_be_there_and_be_those(place, take_in, listed, reason):
    files = "".join(f'"{path}" = "{hashlib.sha256(content).hexdigest()}"\n' for path, content in listed.items())
    place.put(files={"a": b"1"}, manifest=f'name = "nova-1"\nline = "nova"\nruntime = "scripted"\n[files]\n{files}')
    if reason is None:
        assert len(take_in().digest) == 64
    else:
        assert refusal(take_in, place) == reason


def _grow(path):
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite(path):
    content = path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(1, 1))


def _shrink(path):
    os.truncate(path, 1)


def _add(path):
    (path.parent / "late.json").write_text("{}")


def _remove(path):
    path.unlink()


@pytest.mark.parametrize("meddle", [_grow, _rewrite, _shrink, _add, _remove])
def test_what_changes_while_it_is_read_is_refused(place, take_in, monkeypatch, meddle):
    """The change happens while the second chunk of the last file is asked for, or between two files."""
    folder = place.put(files={"a": b"a", "model.dat": b"G" * (folder_source.CHUNK_BYTES + 10)})
    target, real, reads = folder / "model.dat", folder_source._read_chunk, []

    def read_chunk(file, stop):
        reads.append(file)
        if len(reads) == (3 if meddle is _remove else 6):  # 2 reads for the manifest, 2 for a, then 3 for the model
            meddle(target)
        return real(file, stop)

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    assert refusal(take_in, place) == "changed_while_read"


def test_a_file_that_is_swapped_for_a_link_is_refused_and_not_followed(place, take_in, monkeypatch):
    folder = place.put(files={"a": b"a", "b": b"b"})
    real = folder_source._read_chunk

    def read_chunk(file, stop):
        if not (folder / "b").is_symlink():
            (folder / "b").unlink()
            (folder / "b").symlink_to("/etc/hostname")
        return real(file, stop)

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    assert refusal(take_in, place) == "symlink"


def test_a_file_that_is_swapped_for_a_pipe_is_refused_and_not_waited_for(place, take_in, monkeypatch):
    folder = place.put(files={"a": b"a", "b": b"b"})
    real = folder_source._read_chunk

    def read_chunk(file, stop):
        if (folder / "b").is_file():
            (folder / "b").unlink()
            os.mkfifo(folder / "b")
        return real(file, stop)

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    assert refusal(take_in, place) == "special_file"


def test_a_file_in_a_folder_below_is_opened_from_folder_to_folder(place, take_in, monkeypatch):
    folder = place.put(files={"a": b"a", "deep/er/b": b"b"})
    real = folder_source._read_chunk

    def read_chunk(file, stop):
        if not (folder / "deep").is_symlink():
            (folder / "deep").rename(place.folder / "elsewhere")
            (folder / "deep").symlink_to(place.folder / "elsewhere")
        return real(file, stop)

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    assert refusal(take_in, place) in {"symlink", "changed_while_read"}


def test_a_source_that_is_gone_has_changed(take_in, place):
    assert refusal(take_in, place, "gone") == "changed_while_read"


def test_a_full_disk_is_no_fault_of_the_checkpoint_and_leaves_nothing_behind(place, take_in, monkeypatch):
    place.put()

    def fsync(_descriptor):
        raise OSError(28, "No space left on device", "/a/path")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError) as caught:
        take_in()
    assert str(caught.value) == "a checkpoint's disk fails: ENOSPC"
    assert list(place.staging.iterdir()) == []


def test_a_disk_that_cannot_be_read_is_no_fault_of_the_checkpoint(place, take_in, monkeypatch):
    place.put()

    def read(_descriptor, _size):
        raise OSError(5, "Input/output error")

    place.put("nova-2")
    take_in("nova-2")
    monkeypatch.setattr(os, "read", read)
    with pytest.raises(StorageError) as caught:
        take_in()
    assert caught.value.reason == "SOURCE"
    with pytest.raises(StorageError) as caught:
        digest_folder(place.staging / "nova-2", stop=threading.Event())
    assert caught.value.reason == "DISK"


@pytest.mark.parametrize("staged", [False, True])
def test_a_stop_in_the_middle_of_a_file_ends_its_digest_at_the_next_part(place, take_in, monkeypatch, staged):
    place.put(files={"model.dat": b"G" * (9 * folder_source.CHUNK_BYTES)})
    if staged:
        take_in()
    stop, reads, real = threading.Event(), [], folder_source._read_chunk

    def read_chunk(file, stop):
        reads.append(file)
        if len(reads) == 5:
            stop.set()
        return real(file, stop)

    monkeypatch.setattr(folder_source, "_read_chunk", read_chunk)
    with pytest.raises(Stopped):
        digest_folder(place.staging / "nova-1", stop=stop) if staged else take_in(stop=stop)
    assert len(reads) == 5
    assert [path.name for path in place.staging.iterdir()] == (["nova-1"] if staged else [])


def test_a_copy_is_made_durable_as_it_grows_so_that_its_end_waits_for_little(place, take_in, monkeypatch):
    place.put(files={"model.dat": b"G" * (4 * folder_source.CHUNK_BYTES + 10)})
    monkeypatch.setattr(intake, "SYNC_BYTES", 2 * folder_source.CHUNK_BYTES)
    real, synced = os.fdatasync, []
    monkeypatch.setattr(os, "fdatasync", lambda file: (synced.append(os.fstat(file).st_size), real(file)))
    take_in()
    assert synced == [2 * folder_source.CHUNK_BYTES, 4 * folder_source.CHUNK_BYTES]


def test_work_that_nobody_waits_for_stops(place, take_in):
    place.put()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        take_in(stop=stop)
    assert list(place.staging.iterdir()) == []


def test_what_a_crash_left_is_replaced(place, take_in):
    place.put()
    for leftover in ("nova-1", ".nova-1.partial"):
        (place.staging / leftover / "deep").mkdir(parents=True)
        (place.staging / leftover / "deep" / "half.safetensors").write_bytes(b"half")
        (place.staging / leftover / "deep").chmod(0o555)
    digest = take_in().digest
    assert [path.name for path in place.staging.iterdir()] == ["nova-1"]
    assert digest_folder(place.staging / "nova-1", stop=threading.Event()) == digest


def test_a_leftover_that_cannot_be_removed_is_a_failed_disk(place, take_in, monkeypatch):
    place.put()
    (place.staging / "nova-1").mkdir()

    def rmtree(_folder):
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(intake.shutil, "rmtree", rmtree)
    with pytest.raises(StorageError):
        take_in()
