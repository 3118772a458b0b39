"""What a place in which checkpoints appear can do: the one protocol that intake knows. Blocking, run in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.domain import LeftOutReason

MARKER: Final = "READY"
"""The file that is written last, by whoever puts a checkpoint there. It is not part of the checkpoint."""

MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 16
MAX_NAME_BYTES: Final = 255
MAX_PATH_BYTES: Final = 512
"""What the staging folder's file system takes, with room for its own path (PATH_MAX is 4096 on Linux)."""


class Stopped(Exception):
    """Say that nobody waits for this work any more."""


@dataclass(frozen=True, slots=True, order=True)
class Ready:
    """Name a checkpoint whose marker is there; they sort in the order in which they are taken in.

    Attributes:
        marked_ns: when the marker was written, in nanoseconds of Unix time.
        folder: its name in the source.
        link: whether it is no folder but a symbolic link, which is not followed.
    """

    marked_ns: int
    folder: str
    link: bool


@dataclass(frozen=True, slots=True)
class Unready:
    """Name something that stands in the source and is not ready: a folder without its marker, or a file by itself."""

    name: str
    reason: LeftOutReason


def ignore(_unready: Unready) -> None:
    """Pass over what is not ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """List what a checkpoint holds, as paths from its folder, sorted. Folders come before what is in them.

    Attributes:
        sizes: of the files, in bytes and in their order; a sparse file counts with its holes, for it is copied so.
        versions: what the source says of the files' versions, one line a file; empty where it says nothing.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    versions: tuple[str, ...] = ()


class Holding(Protocol):
    """Be one checkpoint, as its source holds it."""

    def list(self) -> Tree:
        """Return what it holds. Comes before any reading.

        Raises:
            Unacceptable: it holds a link, a special file, a bad name, or more files and folders than anyone may.
            StorageError: the source fails, with a reason that begins with ``SOURCE``.
            Stopped: nobody waits any more.
        """
        ...

    def read(self, path: str) -> Generator[memoryview]:
        """Yield a listed file in parts, each of bounded size and none empty, the first of at least 16 bytes or whole.

        Raises:
            Unacceptable: it is a link, special, unreadable, no longer there, or changes while it is read.
            StorageError: the source fails, with a reason that begins with ``SOURCE``.
            Stopped: nobody waits any more.
        """
        ...


class Source(Protocol):
    """Be a place in which checkpoints appear."""

    def find_ready(
        self, is_known: Callable[[str], bool], *, stop: threading.Event, on_unready: Callable[[Unready], None] = ignore
    ) -> tuple[Ready, ...]:
        """Return what is ready, in order, without what is known.

        Args:
            is_known: says of a folder's name whether it was noticed before.
            stop: ends the work soon.
            on_unready: told of what is there and not ready, as far as this source sees it; not of hidden names.

        Raises:
            StorageError: the source cannot be listed.
            Stopped: ``stop`` was set.
        """
        ...

    def open(self, folder: str, *, stop: threading.Event) -> AbstractContextManager[Holding]:
        """Return one checkpoint, whose work ends soon once ``stop`` is set.

        Raises:
            Unacceptable: there is none.
            StorageError: the source fails.
        """
        ...


def verify_segment(name: str) -> None:
    """Refuse what could be taken for a step upwards, a separator elsewhere, or a line's end; and what is not UTF-8.

    Raises:
        Unacceptable: ``bad_name``.
    """
    if name in {"", "."} or ".." in name or "\\" in name or not name.isprintable():
        raise Unacceptable(Reason.BAD_NAME)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise Unacceptable(Reason.BAD_NAME)


def verify_path(path: str) -> None:
    """Refuse what is too long or too deep for the staging folder, or holds a name that is refused.

    Raises:
        Unacceptable: ``bad_name``.
    """
    segments = path.split("/")
    for segment in segments:
        verify_segment(segment)
    if len(path.encode()) > MAX_PATH_BYTES or len(segments) > MAX_DEPTH:
        raise Unacceptable(Reason.BAD_NAME)
