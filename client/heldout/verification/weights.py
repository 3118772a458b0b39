r"""The digest of a checkpoint's files, as releases name it: which release is about the weights in this folder?

SHA-256 over the sorted lines ``path\0sha256\0size\n`` of every file, but the marker ``READY`` that says that the folder
is complete. Paths are relative, with slashes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from heldout.errors import HeldoutClientError

MARKER: Final = "READY"
CHUNK_BYTES: Final = 4 << 20


def measure_folder(folder: Path) -> int:
    """Return the bytes that :func:`digest_weights` will read.

    Raises:
        HeldoutClientError: the folder holds a link or a special file, or is none.
    """
    return sum(size for _, size in _files(folder))


def digest_weights(folder: Path, *, report: Callable[[int], None] = lambda _done: None) -> str:
    """Return the digest of a checkpoint's folder, 64 hex digits.

    Args:
        folder: a checkpoint, as it was given to the appliance.
        report: told how many bytes were read in all.

    Raises:
        HeldoutClientError: the folder holds a link or a special file, or is none.
        OSError: a file cannot be read.
    """
    lines: list[str] = []
    done = 0
    for path, _ in _files(folder):
        digest, size = hashlib.sha256(), 0
        with (folder / path).open("rb") as file:
            while part := file.read(CHUNK_BYTES):
                digest.update(part)
                size += len(part)
                done += len(part)
                report(done)
        lines.append(f"{path}\0{digest.hexdigest()}\0{size}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _files(folder: Path) -> list[tuple[str, int]]:
    """Return path and size of every file that counts.

    No checkpoint that an appliance took in holds a link, so a folder with one is refused and not followed.
    """
    if not folder.is_dir():
        raise HeldoutClientError(f"{folder}: no such folder")
    found: list[tuple[str, int]] = []
    for root, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(root) / name
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                continue
            relative = path.relative_to(folder).as_posix()
            if not stat.S_ISREG(status.st_mode):
                raise HeldoutClientError(f"{folder}: {relative} is a link or a special file, which no checkpoint holds")
            if relative != MARKER:
                found.append((relative, status.st_size))
    return found
