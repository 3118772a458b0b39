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
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.errors import StorageError

MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 16
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """List what a folder holds, as paths from it, sorted. Folders come before what is in them."""

    folders: tuple[str, ...]
    files: tuple[str, ...]


def walk(root: int) -> Tree:
    """List the folder behind a descriptor.

    Raises:
        Unacceptable: it holds a link, a special file, a bad name, or too much.
        StorageError: the disk fails.
    """
    folders: list[str] = []
    files: list[str] = []
    _walk(root, "", folders, files)
    return Tree(folders=tuple(sorted(folders)), files=tuple(sorted(files)))


@contextmanager
def open_within(root: int, path: str) -> Iterator[int]:
    """Open a file below a folder's descriptor, no link on the way, and yield its descriptor.

    Raises:
        Unacceptable: it is a link, special, unreadable, or no longer there.
        StorageError: the disk fails.
    """
    *parents, name = PurePosixPath(path).parts
    with _open_parents(root, parents) as parent, _opened(name, FILE, parent) as file:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Unacceptable(Reason.SPECIAL_FILE)
        yield file


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Map what the operating system says of a source to a reason, or to a failed disk; it names no path."""
    try:
        yield
    except OSError as error:
        if (reason := REASONS.get(error.errno or 0)) is not None:
            raise Unacceptable(reason) from None
        raise storage_error(error) from None


def storage_error(error: OSError) -> StorageError:
    """Return a failed disk's error by the name of its code, without a path."""
    return StorageError(f"a checkpoint's disk fails: {errno.errorcode.get(error.errno or 0, 'EIO')}", reason="DISK")


def _walk(folder: int, prefix: str, folders: list[str], files: list[str]) -> None:
    if prefix.count("/") > MAX_DEPTH:
        raise Unacceptable(Reason.TOO_MANY_FILES)
    with mapped_errors(), os.scandir(folder) as entries:
        found = [
            (entry.name, entry.stat(follow_symlinks=False).st_mode)
            for entry in itertools.islice(entries, MAX_FILES + 1)
        ]
    for name, mode in sorted(found):
        _verify_name(name)
        path = prefix + name
        if stat.S_ISREG(mode):
            files.append(path)
        elif stat.S_ISDIR(mode):
            folders.append(path)
            with _opened(name, FOLDER, folder) as below:
                _walk(below, f"{path}/", folders, files)
        else:
            raise Unacceptable(Reason.SYMLINK if stat.S_ISLNK(mode) else Reason.SPECIAL_FILE)
        if len(files) + len(folders) > MAX_FILES:
            raise Unacceptable(Reason.TOO_MANY_FILES)


def _verify_name(name: str) -> None:
    """Refuse what could be taken for a step upwards, a separator elsewhere, or a line's end; and what is not UTF-8."""
    if ".." in name or "\\" in name or not name.isprintable():
        raise Unacceptable(Reason.BAD_NAME)


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
