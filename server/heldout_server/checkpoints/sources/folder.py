"""A folder in which checkpoints appear, one folder each."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.sources.source import MARKER, Ready, Stopped, Tree, Unready, ignore
from heldout_server.checkpoints.sources.walk import FOLDER, mapped_errors, open_within, walk
from heldout_server.domain import LeftOutReason
from heldout_server.errors import StorageError

CHUNK_BYTES: Final = 1024 * 1024


class FolderSource:
    """Find checkpoints in a folder, and read them without following a link.

    Args:
        folder: where they appear.
        hard_links: take files that have further names. Whoever puts a checkpoint there could so make us read, as part
            of it, what only we can read; where the folder is our own, the further names may be those of a backup.
    """

    def __init__(self, folder: Path, *, hard_links: bool = False) -> None:
        self._folder = folder
        self._hard_links = hard_links

    def find_ready(
        self, is_known: Callable[[str], bool], *, stop: threading.Event, on_unready: Callable[[Unready], None] = ignore
    ) -> tuple[Ready, ...]:
        """Return what is ready, in order, without what is known.

        Raises:
            StorageError: the folder cannot be listed.
            Stopped: ``stop`` was set.
        """
        found: list[Ready] = []
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if stop.is_set():
                        raise Stopped
                    if is_known(entry.name):
                        continue
                    seen = _look(entry)
                    if isinstance(seen, Ready):
                        found.append(seen)
                    elif seen is not None and not entry.name.startswith("."):
                        on_unready(seen)
        except OSError as error:
            raise StorageError(f"the source cannot be listed: {type(error).__name__}", reason="SOURCE") from None
        return tuple(sorted(found))

    @contextmanager
    def open(self, folder: str, *, stop: threading.Event) -> Iterator[FolderHolding]:
        """Yield one checkpoint.

        Raises:
            Unacceptable: there is no such folder.
            StorageError: the disk fails.
        """
        with mapped_errors():
            root = os.open(self._folder / folder, FOLDER)
        try:
            yield FolderHolding(root, stop, hard_links=self._hard_links)
        finally:
            os.close(root)


class FolderHolding:
    """List and read the folder behind a descriptor."""

    def __init__(self, root: int, stop: threading.Event, *, hard_links: bool) -> None:
        self._root = root
        self._stop = stop
        self._hard_links = hard_links

    def list(self) -> Tree:
        """Return what it holds.

        Raises:
            Unacceptable: it holds a link, a special file, a bad name, or too much.
            StorageError: the disk fails.
        """
        return walk(self._root, hard_links=self._hard_links)

    def read(self, path: str) -> Generator[memoryview]:
        """Yield a file in parts of :data:`CHUNK_BYTES`.

        Raises:
            Unacceptable: it is a link, special, unreadable, no longer there, or changes while it is read.
            StorageError: the disk fails.
            Stopped: nobody waits any more.
        """
        size = 0
        with open_within(self._root, path, hard_links=self._hard_links) as file:
            before = os.fstat(file)
            while chunk := _read_chunk(file, self._stop):
                size += len(chunk)
                if size > before.st_size:  # somebody may be appending without end
                    raise Unacceptable(Reason.CHANGED_WHILE_READ)
                yield memoryview(chunk)
            after = os.fstat(file)
        if size != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
            raise Unacceptable(Reason.CHANGED_WHILE_READ)


def _look(entry: os.DirEntry[str]) -> Ready | Unready | None:
    """Return what an entry is; None of what is gone again."""
    try:
        if entry.is_symlink():
            return Ready(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name, link=True)
        if not entry.is_dir(follow_symlinks=False):
            return Unready(entry.name, LeftOutReason.STRAY_FILE)
    except OSError:  # the next look sees
        return None
    try:
        marker = (Path(entry.path) / MARKER).lstat()
    except OSError:  # not there yet
        return Unready(entry.name, LeftOutReason.NO_MARKER)
    if stat.S_ISDIR(marker.st_mode):
        return Unready(entry.name, LeftOutReason.NO_MARKER)
    return Ready(marker.st_mtime_ns, entry.name, link=False)


def _read_chunk(file: int, stop: threading.Event) -> bytes:
    if stop.is_set():
        raise Stopped
    with mapped_errors():
        return os.read(file, CHUNK_BYTES)
