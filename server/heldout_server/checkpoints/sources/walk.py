"""Walk a folder that somebody else may be changing: every step from an open folder, and no link followed.

A path is looked up name by name with ``O_NOFOLLOW`` from the descriptor of its parent (openat(2)), so a name that is
swapped for a link between two looks is noticed and never followed.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.sources.source import MAX_FILES, Tree, verify_path
from heldout_server.errors import StorageError

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""``O_NONBLOCK`` so that a pipe which takes a file's place does not hold us up."""

REASONS: Final = {
    errno.ELOOP: Reason.SYMLINK,
    errno.ENOENT: Reason.CHANGED_WHILE_READ,
    errno.ENOTDIR: Reason.CHANGED_WHILE_READ,
    errno.ENXIO: Reason.SPECIAL_FILE,
    errno.EACCES: Reason.UNREADABLE,
    errno.EPERM: Reason.UNREADABLE,
}


def walk(root: int, *, hard_links: bool) -> Tree:
    """List the folder behind a descriptor.

    Args:
        root: the descriptor.
        hard_links: whether files may have further names.

    Raises:
        Unacceptable: it holds a link, a special file, a bad name, or too much.
        StorageError: the disk fails.
    """
    folders: list[str] = []
    files: dict[str, int] = {}
    _walk(root, "", folders, files, hard_links=hard_links)
    names = sorted(files)
    return Tree(folders=tuple(sorted(folders)), files=tuple(names), sizes=tuple(files[name] for name in names))


@contextmanager
def open_within(root: int, path: str, *, hard_links: bool) -> Iterator[int]:
    """Open a file below a folder's descriptor, no link on the way, and yield its descriptor.

    Raises:
        Unacceptable: it is a link, special, unreadable, or no longer there.
        StorageError: the disk fails.
    """
    *parents, name = PurePosixPath(path).parts
    with _open_parents(root, parents) as parent, _opened(name, FILE, parent) as file:
        _verify_file(os.fstat(file), hard_links=hard_links)
        yield file


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Map what the operating system says of a source to a reason, or to a failed disk; it names no path."""
    try:
        yield
    except OSError as error:
        if (reason := REASONS.get(error.errno or 0)) is not None:
            raise Unacceptable(reason) from None
        raise storage_error(error, reason="SOURCE") from None


def storage_error(error: OSError, *, reason: str) -> StorageError:
    """Return a failed disk's error by the name of its code, without a path."""
    return StorageError(f"a checkpoint's disk fails: {errno.errorcode.get(error.errno or 0, 'EIO')}", reason=reason)


def _walk(folder: int, prefix: str, folders: list[str], files: dict[str, int], *, hard_links: bool) -> None:
    with mapped_errors(), os.scandir(folder) as entries:
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in itertools.islice(entries, MAX_FILES + 1)}
    for name in sorted(found):
        path = prefix + name
        verify_path(path)
        if stat.S_ISDIR(found[name].st_mode):
            folders.append(path)
            with _opened(name, FOLDER, folder) as below:
                _walk(below, f"{path}/", folders, files, hard_links=hard_links)
        else:
            _verify_file(found[name], hard_links=hard_links)
            files[path] = found[name].st_size
        if len(files) + len(folders) > MAX_FILES:
            raise Unacceptable(Reason.TOO_MANY_FILES)


def _verify_file(said: os.stat_result, *, hard_links: bool) -> None:
    """Refuse what is no file, or one with a further name: that may be somewhere where only we can read it."""
    if not stat.S_ISREG(said.st_mode):
        raise Unacceptable(Reason.SYMLINK if stat.S_ISLNK(said.st_mode) else Reason.SPECIAL_FILE)
    if said.st_nlink > 1 and not hard_links:
        raise Unacceptable(Reason.HARD_LINK)


@contextmanager
def _opened(name: str, flags: int, folder: int) -> Iterator[int]:
    with mapped_errors():
        descriptor = os.open(name, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _open_parents(root: int, parents: list[str]) -> Iterator[int]:
    if not parents:
        yield root
        return
    with _opened(parents[0], FOLDER, root) as folder, _open_parents(folder, parents[1:]) as last:
        yield last
