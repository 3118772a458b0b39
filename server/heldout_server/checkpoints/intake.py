"""Copy a checkpoint into the staging folder, digesting on the way. Blocking: it runs in a thread.

In order:

1. list the source without following a link, and refuse by kind of file, name and suffix before anything is read;
2. copy the manifest and read the copy; then copy the rest, each file in chunks, digested as it is written;
3. refuse a file that changed while it was read, and a folder that lists differently afterwards;
4. make everything durable and read-only, and only then give the folder its name.

A folder that is not finished is called ``.<name>.partial``, which no checkpoint can be called. One that a crash left
behind is thrown away: a staged folder counts only once the registry has its digest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from heldout_server.checkpoints.content import verify_head, verify_name
from heldout_server.checkpoints.manifest import MANIFEST, MAX_MANIFEST_BYTES, CheckpointManifest, parse_manifest
from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.walk import FOLDER, Tree, mapped_errors, open_within, storage_error, walk

MARKER: Final = "READY"
"""The file that is written last, by whoever puts a checkpoint there. It is not part of the checkpoint."""

CHUNK_BYTES: Final = 1024 * 1024


class Stopped(Exception):
    """Say that nobody waits for this work any more."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """Hold what one file is: its path in the checkpoint, hex SHA-256, and size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Staged:
    """Hold what was staged: what its manifest says, and the digest of all of it."""

    manifest: CheckpointManifest
    digest: str


def stage(source: Path, *, name: str, staging: Path, stop: threading.Event) -> Staged:
    """Copy the checkpoint in the folder ``source`` to ``staging/<name>``, in whose place nothing that counts may be.

    Args:
        source: the checkpoint's folder.
        name: what it must be called.
        staging: the appliance's own folder, on one file system.
        stop: ends the work at the next chunk.

    Raises:
        Unacceptable: it is refused; nothing is left in the staging folder.
        StorageError: a disk fails.
        Stopped: ``stop`` was set.
    """
    partial, final = staging / f".{name}.partial", staging / name
    remove(partial)
    remove(final)
    with mapped_errors():
        root = os.open(source, FOLDER)
    try:
        staged = _copy_tree(root, partial, name=name, stop=stop)
        _publish(partial, final)
    except BaseException:
        remove(partial)
        raise
    finally:
        os.close(root)
    return staged


def digest_folder(folder: Path, *, stop: threading.Event) -> str:
    """Return the digest of a staged folder as it is now.

    Raises:
        Unacceptable: it holds what was never staged, or a file is gone.
        StorageError: the disk fails.
        Stopped: ``stop`` was set.
    """
    with mapped_errors():
        root = os.open(folder, FOLDER)
    try:
        return tree_digest(_read_file(root, path, sink=None, stop=stop) for path in walk(root).files)
    finally:
        os.close(root)


def tree_digest(files: Iterable[FileDigest]) -> str:
    r"""Return the hex SHA-256 over the sorted lines ``path\0sha256\0size\n`` of a checkpoint's files."""
    whole = hashlib.sha256()
    for line in sorted(f"{one.path}\0{one.sha256}\0{one.size}\n" for one in files):
        whole.update(line.encode())
    return whole.hexdigest()


def remove(folder: Path) -> None:
    """Remove a folder of ours, read-only or not, if it is there.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o700)
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
    except OSError as error:
        raise storage_error(error) from None


def _copy_tree(root: int, target: Path, *, name: str, stop: threading.Event) -> Staged:
    tree = walk(root)
    paths = [path for path in tree.files if path != MARKER]
    for path in paths:
        verify_name(path)
    if not paths:
        raise Unacceptable(Reason.EMPTY)
    if MANIFEST not in paths:
        raise Unacceptable(Reason.MANIFEST_MISSING)
    _make_folders(target, tree)
    paths.remove(MANIFEST)
    digests = [_copy_file(root, MANIFEST, target, limit=MAX_MANIFEST_BYTES, stop=stop)]
    manifest = parse_manifest((target / MANIFEST).read_bytes())
    if manifest.name != name:
        raise Unacceptable(Reason.NAME_MISMATCH)
    if not paths:
        raise Unacceptable(Reason.EMPTY)
    if manifest.files is not None and sorted(manifest.files) != paths:
        raise Unacceptable(Reason.FILES_MISMATCH)
    for path in paths:
        digest = _copy_file(root, path, target, limit=None, stop=stop)
        if manifest.files is not None and manifest.files[path] != digest.sha256:
            raise Unacceptable(Reason.FILES_MISMATCH)
        digests.append(digest)
    if walk(root) != tree:
        raise Unacceptable(Reason.CHANGED_WHILE_READ)
    _seal_folders(target, tree)
    return Staged(manifest=manifest, digest=tree_digest(digests))


def _copy_file(root: int, path: str, target: Path, *, limit: int | None, stop: threading.Event) -> FileDigest:
    place = target / path
    with _disk(), place.open("xb") as sink:
        digest = _read_file(root, path, sink=sink, stop=stop, limit=limit)
        sink.flush()
        os.fchmod(sink.fileno(), 0o444)
        os.fsync(sink.fileno())
    return digest


def _read_file(
    root: int, path: str, *, sink: BinaryIO | None, stop: threading.Event, limit: int | None = None
) -> FileDigest:
    whole, size = hashlib.sha256(), 0
    with open_within(root, path) as file:
        before = os.fstat(file)
        if limit is not None and before.st_size > limit:
            raise Unacceptable(Reason.MANIFEST_INVALID)
        while chunk := _read_chunk(file, stop):
            if size == 0:
                verify_head(path, chunk)
            size += len(chunk)
            if size > before.st_size:  # somebody may be appending without end
                raise Unacceptable(Reason.CHANGED_WHILE_READ)
            whole.update(chunk)
            if sink is not None:
                sink.write(chunk)
        after = os.fstat(file)
    if size != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise Unacceptable(Reason.CHANGED_WHILE_READ)
    return FileDigest(path, whole.hexdigest(), size)


def _read_chunk(file: int, stop: threading.Event) -> bytes:
    if stop.is_set():
        raise Stopped
    with mapped_errors():
        return os.read(file, CHUNK_BYTES)


def _make_folders(target: Path, tree: Tree) -> None:
    with _disk():
        target.mkdir(mode=0o700)
        for folder in tree.folders:
            (target / folder).mkdir(mode=0o700)


def _seal_folders(target: Path, tree: Tree) -> None:
    with _disk():
        for folder in (*reversed(tree.folders), ""):
            _sync_folder(target / folder, mode=0o555)


def _publish(partial: Path, final: Path) -> None:
    with _disk():
        partial.rename(final)
        _sync_folder(final.parent)


def _sync_folder(folder: Path, *, mode: int | None = None) -> None:
    descriptor = os.open(folder, FOLDER)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk() -> Iterator[None]:
    """Map what the staging folder's disk says."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) from None
