from __future__ import annotations

import errno
import os
import resource
import shutil
from pathlib import Path

import pytest
from intake_refusals import refusal

from heldout_server.checkpoints import intake
from heldout_server.checkpoints.allowance import decide_quota
from heldout_server.checkpoints.sources import folder as folder_source
from heldout_server.checkpoints.sources import walk
from heldout_server.config.watch import DEFAULT_LIMITS, Limits
from heldout_server.errors import StorageError


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
    disk(total=10_000, free=5000)
    with pytest.raises(StorageError) as caught:
        take_in(quota=900)
    assert caught.value.reason == "STAGING_FULL"
    assert list(place.staging.iterdir()) == []


def test_what_was_staged_before_counts_and_what_others_write_does_not(place, take_in, disk):
    sizes = [sum(path.stat().st_size for path in place.put(f"nova-{n}").iterdir()) for n in (1, 2, 3)]
    for free in (10_000, 2000, 2000 - sizes[0]):
        disk(total=100_000, free=free)
        with pytest.raises(StorageError):
            take_in("nova-1", quota=sizes[0] - 1)
    disk(total=100_000, free=10_000)
    take_in("nova-1", quota=sizes[0] + sizes[1])
    disk(total=100_000, free=2000)
    take_in("nova-2", quota=sizes[0] + sizes[1])
    disk(total=100_000, free=10_000)
    with pytest.raises(StorageError) as caught:
        take_in("nova-3", quota=sum(sizes) - 1)
    assert caught.value.reason == "STAGING_FULL"


@pytest.mark.parametrize("size", [0, 500, 3000])
def test_where_others_took_of_the_quota_nothing_is_taken_in_however_small(place, take_in, disk, size):
    """Else whoever submits would find out, by holes of many sizes, what a run makes the vault write."""
    os.truncate(place.put(files={"model.dat": b""}) / "model.dat", size)
    disk(total=100_000, free=4999)
    with pytest.raises(StorageError) as caught:
        take_in(quota=5000)
    assert caught.value.reason == "STAGING_FULL"
    disk(total=100_000, free=5000)
    assert len(take_in(quota=5000).digest) == 64


@pytest.mark.parametrize(("free", "quota"), [(99, 0), (100, 0), (104, 3), (2100, 1024), (2200, 1536), (10_100, 6144)])
def test_without_a_word_of_the_config_the_quota_is_most_of_what_is_free_at_the_start_and_round(
    place, take_in, disk, free, quota
):
    place.put()
    take_in()
    staged = sum(path.stat().st_size for path in (place.staging / "nova-1").iterdir())
    disk(total=100_000, free=free)
    assert decide_quota(Limits(min_free_bytes=100), place.staging) == staged + quota
    assert decide_quota(Limits(min_free_bytes=100, max_staged_bytes=7), place.staging) == 7


def test_a_staging_folder_that_cannot_be_read_has_failed(place, take_in):
    place.put()
    take_in()
    with pytest.raises(StorageError) as caught:
        decide_quota(DEFAULT_LIMITS, place.folder / "nothing")
    assert caught.value.reason == "DISK"


@pytest.mark.parametrize(("total", "kept"), [(10**9, 5 * 10**7), (10**12, 5 * 1024**3)])
def test_five_per_cent_of_a_small_disk_stay_free_and_5_gib_of_a_large_one(place, take_in, disk, total, kept):
    size = sum(path.stat().st_size for path in place.put().iterdir())
    disk(total=total, free=kept + size - 1)
    with pytest.raises(StorageError):
        take_in(min_free_bytes=None, quota=size)
    disk(total=total, free=kept + size)
    assert len(take_in(min_free_bytes=None, quota=size).digest) == 64


def test_a_disk_that_others_fill_meanwhile_ends_the_copy(place, take_in, disk, monkeypatch):
    place.put(files={"model.dat": b"G" * (3 * folder_source.CHUNK_BYTES)})
    monkeypatch.setattr(intake, "SYNC_BYTES", folder_source.CHUNK_BYTES)
    measured = disk(total=10**9, free=10**8, then=50)
    with pytest.raises(StorageError) as caught:
        take_in(min_free_bytes=100, quota=10**7)
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
