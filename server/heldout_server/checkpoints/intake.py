"""Copy a checkpoint into the staging folder, digesting on the way. Blocking: it runs in a thread.

In order:

1. list the checkpoint without following a link, and refuse by kind of file, name, suffix and size before anything is
   read;
2. copy the manifest and read the copy; then copy the rest, each file in parts, digested as it is written;
3. read the headers of weights and the configs, from the copy, and refuse what is malformed or asks for code;
4. refuse a file that changed while it was read, and a checkpoint that lists differently afterwards;
5. make everything durable and read-only, and only then give the folder its name.

A folder that is not finished is called ``.<name>.partial``, which no checkpoint can be called. One that a crash left
behind is thrown away: a staged folder counts only once the registry has its digest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from heldout_server.checkpoints.allowance import Allowance
from heldout_server.checkpoints.content import HEAD_BYTES, known_ending, verify_head, verify_name
from heldout_server.checkpoints.formats import Inspection
from heldout_server.checkpoints.manifest import MANIFEST, MAX_MANIFEST_BYTES, CheckpointManifest, parse_manifest
from heldout_server.checkpoints.refusal import Fault, Reason, Spot, Unacceptable
from heldout_server.checkpoints.sources import MARKER, FolderSource, Holding, Source, Tree
from heldout_server.checkpoints.sources.walk import FOLDER, storage_error
from heldout_server.config.watch import DEFAULT_LIMITS, Limits
from heldout_server.domain import CheckpointFacts
from heldout_server.errors import StorageError

SYNC_BYTES: Final = 256 * 1024 * 1024
"""After how much of a file its copy is made durable: so that neither the end nor a stop waits for all of it, and what
the disk says is free has it counted."""

REFUSED_BY_DISK: Final = {
    errno.ENAMETOOLONG: Reason.BAD_NAME,
    errno.EINVAL: Reason.BAD_NAME,
    errno.EILSEQ: Reason.BAD_NAME,
    errno.EEXIST: Reason.BAD_NAME,
    errno.EFBIG: Reason.TOO_LARGE,
}
"""What a sound disk says to a name or a size that it does not take; EEXIST where it tells two names not apart."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """Hold what one file is: its path in the checkpoint, hex SHA-256, and size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Staged:
    """Hold what was staged: what its manifest says, the digest of all of it, and what its files say of themselves."""

    manifest: CheckpointManifest
    digest: str
    facts: CheckpointFacts


def stage(
    source: Source,
    *,
    name: str,
    staging: Path,
    stop: threading.Event,
    quota: int,
    limits: Limits = DEFAULT_LIMITS,
    elsewhere: Container[str] = (),
) -> Staged:
    """Copy the checkpoint called ``name`` to ``staging/<name>``, in whose place nothing that counts may be.

    Args:
        source: where it appeared.
        name: its folder's name there, and what its manifest must call it.
        staging: the appliance's own folder, on one file system.
        stop: ends the work at the next part.
        quota: bytes that all that is staged may take.
        limits: what it may take.
        elsewhere: engines whose model is served elsewhere: such a checkpoint may be a manifest alone.

    Raises:
        Unacceptable: it is refused; nothing is left in the staging folder.
        StorageError: the staging folder's disk fails (``DISK``) or has no room for it now (``STAGING_FULL``), or the
            source fails (a reason that begins with ``SOURCE``); likewise.
        Stopped: ``stop`` was set; likewise.
    """
    partial, final = staging / f".{name}.partial", staging / name
    remove(partial)
    remove(final)
    try:
        with source.open(name, stop=stop) as holding:
            allowance = Allowance(limits, staging, quota=quota)
            staged = _copy_tree(holding, partial, name=name, allowance=allowance, elsewhere=elsewhere)
        _publish(partial, final)
    except BaseException:
        remove(partial)
        raise
    return staged


def digest_folder(folder: Path, *, stop: threading.Event) -> str:
    """Return the digest of a staged folder as it is now.

    Raises:
        Unacceptable: it holds what was never staged, or a file is gone.
        StorageError: the disk fails.
        Stopped: ``stop`` was set.
    """
    try:
        with FolderSource(folder.parent, hard_links=True).open(folder.name, stop=stop) as holding:
            return tree_digest(_read_file(holding, path) for path in holding.list().files)
    except StorageError as error:  # here the source is our own disk
        raise StorageError(str(error), reason="DISK") from None


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
        raise storage_error(error, reason="DISK") from None


def _copy_tree(holding: Holding, target: Path, *, name: str, allowance: Allowance, elsewhere: Container[str]) -> Staged:
    tree = holding.list()
    paths = _verify_listing(tree)
    allowance.admit(tree)
    _make_folders(target, tree)
    numbers = {path: number for number, path in enumerate(paths, start=1)}
    paths.remove(MANIFEST)
    digests = [_copy_file(holding, MANIFEST, target, allowance=allowance, most=MAX_MANIFEST_BYTES)]
    manifest = parse_manifest((target / MANIFEST).read_bytes())
    if manifest.name != name:
        raise Unacceptable(Reason.NAME_MISMATCH)
    if not paths and manifest.runtime not in elsewhere:
        raise Unacceptable(Reason.EMPTY)
    if manifest.files is not None and sorted(manifest.files) != paths:
        raise Unacceptable(Reason.FILES_MISMATCH)
    inspection = Inspection()
    for path in paths:
        with _at_file(numbers[path], path):
            digest = _copy_file(holding, path, target, allowance=allowance)
            if manifest.files is not None and manifest.files[path] != digest.sha256:
                raise Unacceptable(Reason.FILES_MISMATCH)
            with _disk():
                inspection.add(path, target / path)
        digests.append(digest)
    if holding.list() != tree:
        raise Unacceptable(Reason.CHANGED_WHILE_READ)
    if inspection.adapter != bool(manifest.base) and (inspection.adapter or paths):
        raise Unacceptable(Reason.ADAPTER)  # of what it does not say, or what it calls its base needs no adapter
    _seal_folders(target, tree)
    return Staged(manifest=manifest, digest=tree_digest(digests), facts=inspection.facts())


def _verify_listing(tree: Tree) -> list[str]:
    """Return the files that are part of the checkpoint."""
    paths = [path for path in tree.files if path != MARKER]
    if not paths:
        raise Unacceptable(Reason.EMPTY)
    if MANIFEST not in paths:
        raise Unacceptable(Reason.MANIFEST_MISSING)
    for number, path in enumerate(paths, start=1):
        with _at_file(number, path):
            verify_name(path)
    return paths


@contextmanager
def _at_file(number: int, path: str) -> Iterator[None]:
    """Add to a refusal which file it is about: by its number, for its name may say anything."""
    try:
        yield
    except Unacceptable as refusal:
        raise Unacceptable(refusal.code, Spot(file=number, ending=known_ending(path))) from None


def _copy_file(
    holding: Holding, path: str, target: Path, *, allowance: Allowance, most: int | None = None
) -> FileDigest:
    place = target / path
    with _disk(REFUSED_BY_DISK):
        file = place.open("xb", buffering=0)
    with file:
        digest = _read_file(holding, path, sink=_Sink(file, allowance, most=most))
        with _disk():
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
    return digest


class _Sink:
    """Write a file as far as the checkpoint's allowance, and its own, go."""

    def __init__(self, file: FileIO, allowance: Allowance, *, most: int | None) -> None:
        self._file = file
        self._allowance = allowance
        self._most = most
        self._written = 0

    def write(self, part: memoryview) -> None:
        """Write a part of the file, as a whole."""
        synced, self._written = self._written // SYNC_BYTES, self._written + len(part)
        if self._most is not None and self._written > self._most:
            raise Unacceptable(Reason.MANIFEST_INVALID, Spot(fault=Fault.TOO_LONG))
        self._allowance.spend(len(part))
        with _disk(REFUSED_BY_DISK):
            while part:
                part = part[self._file.write(part) :]
        if self._written // SYNC_BYTES > synced:
            with _disk():
                os.fdatasync(self._file.fileno())
            self._allowance.verify_disk()


def _read_file(holding: Holding, path: str, *, sink: _Sink | None = None) -> FileDigest:
    whole, size = hashlib.sha256(), 0
    with closing(holding.read(path)) as parts:
        for part in parts:
            if size == 0:
                verify_head(path, bytes(part[:HEAD_BYTES]))
            size += len(part)
            whole.update(part)
            if sink is not None:
                sink.write(part)
    return FileDigest(path, whole.hexdigest(), size)


def _make_folders(target: Path, tree: Tree) -> None:
    with _disk():
        target.mkdir(mode=0o700)
    with _disk(REFUSED_BY_DISK):
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
def _disk(refused: Mapping[int, Reason] | None = None) -> Iterator[None]:
    """Map what the staging folder's disk says: to a refusal where it is sound and does not take what it is given."""
    try:
        yield
    except OSError as error:
        if refused is not None and (reason := refused.get(error.errno or 0)) is not None:
            raise Unacceptable(reason) from None
        raise storage_error(error, reason="DISK") from None
