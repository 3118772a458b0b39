"""Look at the folder in which checkpoints appear. Blocking: it runs in a thread."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from heldout_server.checkpoints.intake import MARKER
from heldout_server.errors import StorageError


@dataclass(frozen=True, slots=True, order=True)
class Ready:
    """Name a folder whose marker is there; they sort in the order in which they are taken in.

    Attributes:
        marked_ns: when the marker was written, in nanoseconds of Unix time.
        folder: its name in the source.
        link: whether it is no folder but a symbolic link, which is not followed.
    """

    marked_ns: int
    folder: str
    link: bool


def find_ready(source: Path) -> tuple[Ready, ...]:
    """Return what is ready in a source, in order.

    Raises:
        StorageError: the source cannot be listed.
    """
    try:
        with os.scandir(source) as entries:
            found = [_look(entry) for entry in entries]
    except OSError as error:
        raise StorageError(f"the source cannot be listed: {type(error).__name__}", reason="SOURCE") from None
    return tuple(sorted(one for one in found if one is not None))


def _look(entry: os.DirEntry[str]) -> Ready | None:
    try:
        if entry.is_symlink():
            return Ready(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name, link=True)
        if not entry.is_dir(follow_symlinks=False):
            return None
        marker = (Path(entry.path) / MARKER).lstat()
    except OSError:  # not there yet, or gone again: the next look sees
        return None
    return None if stat.S_ISDIR(marker.st_mode) else Ready(marker.st_mtime_ns, entry.name, link=False)
