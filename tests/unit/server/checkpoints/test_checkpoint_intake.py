from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import threading
from pathlib import Path

import pytest

from heldout_server.checkpoints import FolderSource, intake
from heldout_server.checkpoints.intake import digest_folder, stage
from heldout_server.checkpoints.refusal import Unacceptable
from heldout_server.checkpoints.sources import Stopped, walk
from heldout_server.checkpoints.sources import folder as folder_source
from heldout_server.config_watch import Limits
from heldout_server.errors import StorageError


@pytest.fixture
def take_in(place):
    def take_in(name="nova-1", stop=None, **limits):
        return stage(
            FolderSource(place.source),
            name=name,
            staging=place.staging,
            stop=stop or threading.Event(),
            limits=Limits(**{"min_free_bytes": 0, **limits}),
        )

    return take_in


@pytest.fixture
def disk(monkeypatch):
    """Say how large and how free the disk is, and after the first look how free ``then``."""

    def disk(*, total, free, then=None):
        measured = []

        def disk_usage(_folder):
            measured.append(free if then is None or not measured else then)
            return shutil._ntuple_diskusage(total, total - measured[-1], measured[-1])

        monkeypatch.setattr(shutil, "disk_usage", disk_usage)
        return measured

    return disk


def refusal(take_in, place, name="nova-1", **limits):
    """Return why a checkpoint is refused, having seen that nothing of it stays and nothing of it is quoted."""
    with pytest.raises(Unacceptable) as caught:
        take_in(name, **limits)
    assert list(place.staging.iterdir()) == []
    assert str(caught.value) == f"the checkpoint is refused: {caught.value.code.value}"
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value.code.value


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
        ({"model.pt": b"x"}, "pickle"),
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


def test_too_many_files_are_refused(place, take_in, monkeypatch):
    place.put(files={f"{n}": b"" for n in range(9)})
    assert refusal(take_in, place, max_files=10) == "too_many_files"
    monkeypatch.setattr(walk, "MAX_FILES", 8)
    assert refusal(take_in, place) == "too_many_files"


def test_folders_count_as_files_do(place, take_in):
    (place.put() / "deep").mkdir()
    assert refusal(take_in, place, max_files=3) == "too_many_files"
    assert len(take_in(max_files=4).digest) == 64


@pytest.mark.parametrize("depth", [16, 17])
def test_folders_deeper_than_sixteen_are_refused(place, take_in, depth):
    place.put(files={"/".join("d" * depth): b""})
    if depth == 16:
        assert len(take_in().digest) == 64
    else:
        assert refusal(take_in, place) == "bad_name"


def test_an_empty_folder_that_is_too_deep_is_refused(place, take_in):
    (place.put() / "/".join("d" * 17)).mkdir(parents=True)
    assert refusal(take_in, place) == "bad_name"


@pytest.mark.parametrize("last", [10, 11])
def test_paths_longer_than_512_bytes_are_refused(place, take_in, last):
    place.put(files={f"{'d' * 250}/{'e' * 250}/{'f' * last}": b""})
    if last == 10:
        assert len(take_in().digest) == 64
    else:
        assert refusal(take_in, place) == "bad_name"


def test_a_path_that_could_be_read_step_by_step_but_not_staged_is_refused(place, take_in):
    """16 folders of 250 characters: more than one path may have, so the source is made from folder to folder."""
    folder = os.open(place.put(), os.O_RDONLY)
    for _ in range(16):
        os.mkdir("d" * 250, dir_fd=folder)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("f" * 250, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    assert refusal(take_in, place) == "bad_name"
    shutil.rmtree(place.source)  # from folder to folder as well, which not everyone who tidies up does


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENAMETOOLONG, "bad_name"),
        (errno.EINVAL, "bad_name"),
        (errno.EILSEQ, "bad_name"),
        (errno.EEXIST, "bad_name"),
        (errno.EFBIG, "too_large"),
    ],
)
def test_what_a_sound_disk_does_not_take_is_refused(place, take_in, monkeypatch, code, reason):
    place.put()
    real = Path.open

    def open_(path, *arguments, **keywords):
        if path.name == "model.safetensors":
            raise OSError(code, "as the staging disk says")
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", open_)
    assert refusal(take_in, place) == reason


def test_a_write_that_a_sound_disk_does_not_take_is_refused(place, take_in):
    """The kernel's own limit on a file's size, as a small file system would have it."""
    place.put(files={"model.dat": b"G" * 5000})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))  # Python ignores SIGXFSZ: the write fails with EFBIG
    try:
        reason = refusal(take_in, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert reason == "too_large"


def test_a_checkpoint_larger_than_the_limit_is_refused_before_anything_is_read(place, take_in, monkeypatch):
    folder = place.put(files={"model.dat": b"12345678"})
    size = 8 + (folder / "checkpoint.toml").stat().st_size
    assert len(take_in(max_checkpoint_bytes=size).digest) == 64
    intake.remove(place.staging / "nova-1")
    monkeypatch.setattr(folder_source, "_read_chunk", None)
    assert refusal(take_in, place, max_checkpoint_bytes=size - 1) == "too_large"


def test_a_sparse_file_counts_with_its_holes(place, take_in):
    folder = place.put(files={"model.dat": b""})
    os.truncate(folder / "model.dat", 10**12)
    assert refusal(take_in, place, max_checkpoint_bytes=10**12) == "too_large"


def test_the_marker_counts_nothing(place, take_in):
    folder = place.put()
    os.truncate(folder / "READY", 10**12)
    assert len(take_in(max_checkpoint_bytes=1000).digest) == 64


def test_a_checkpoint_that_no_empty_disk_could_hold_is_refused(place, take_in, disk):
    os.truncate(place.put() / "model.safetensors", 900)
    disk(total=1000, free=1000)
    assert refusal(take_in, place, min_free_bytes=101) == "too_large"


def test_a_checkpoint_that_does_not_fit_now_is_not_refused(place, take_in, disk):
    os.truncate(place.put() / "model.safetensors", 900)
    disk(total=10_000, free=1000)
    with pytest.raises(StorageError) as caught:
        take_in(min_free_bytes=101)
    assert caught.value.reason == "STAGING_FULL"
    assert list(place.staging.iterdir()) == []


@pytest.mark.parametrize(("total", "kept"), [(10**9, 5 * 10**7), (10**12, 5 * 1024**3)])
def test_five_per_cent_of_a_small_disk_stay_free_and_5_gib_of_a_large_one(place, take_in, disk, total, kept):
    size = sum(path.stat().st_size for path in place.put().iterdir())
    disk(total=total, free=kept + size - 1)
    with pytest.raises(StorageError):
        take_in(min_free_bytes=None)
    disk(total=total, free=kept + size)
    assert len(take_in(min_free_bytes=None).digest) == 64


def test_a_disk_that_others_fill_meanwhile_ends_the_copy(place, take_in, disk, monkeypatch):
    place.put(files={"model.dat": b"G" * (3 * folder_source.CHUNK_BYTES)})
    monkeypatch.setattr(intake, "SYNC_BYTES", folder_source.CHUNK_BYTES)
    measured = disk(total=10**9, free=10**8, then=50)
    with pytest.raises(StorageError) as caught:
        take_in(min_free_bytes=100)
    assert (caught.value.reason, len(measured)) == ("STAGING_FULL", 2)
    assert list(place.staging.iterdir()) == []


def test_a_disk_that_cannot_be_measured_has_failed(place, take_in, monkeypatch):
    place.put()

    def disk_usage(_folder):
        raise OSError(errno.EIO, "canary")

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    with pytest.raises(StorageError) as caught:
        take_in()
    assert (caught.value.reason, "canary" in str(caught.value)) == ("DISK", False)


def test_more_bytes_than_were_listed_are_not_written(place, take_in, monkeypatch):
    """The file grows between the listing and its opening, when its size is looked at again."""
    folder = place.put(files={"model.dat": b"G"})
    real = folder_source.open_within

    def open_within(root, path, **keywords):
        if path == "model.dat":
            os.truncate(folder / "model.dat", 10**12)
        return real(root, path, **keywords)

    monkeypatch.setattr(folder_source, "open_within", open_within)
    assert refusal(take_in, place) == "changed_while_read"


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
