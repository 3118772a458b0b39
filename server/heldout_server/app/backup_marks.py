"""The mark of a backup: every file that a backup is made of carries it, and where one does nothing starts.

Put back whole, a backup fits itself: each database is what its log says, and what was released after it was made is
forgotten. So each copy says in its own header when it was made, and only ``heldout-server restore`` takes that out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from heldout_server.app.logs import HALVES, LOG_FILE, database_name, files_of, log_files
from heldout_server.audit import lock_file, run_on_disk
from heldout_server.config import AnyConfig
from heldout_server.database import read_file_mark, write_file_mark
from heldout_server.errors import IntegrityError
from heldout_server.ports.keys import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Name a file that is of a backup.

    Attributes:
        database: its name; ``audit-vault`` or ``audit-window`` for a log.
        path: of the file.
        made: when the backup was made: UTC, to the minute, such as ``2026-11-25T14:41Z``.
    """

    database: str
    path: Path
    made: str


async def find_marks(config: AnyConfig, ring: KeyRing, halves: Collection[str] = HALVES) -> tuple[Marked, ...]:
    """Return the files of these halves that are of a backup. A file that is not there yet is of none.

    Raises:
        WrongKey: a key does not open a file.
        StorageError: a disk fails, or that of a log hangs.
        IntegrityError: the first page of a file is damaged.
    """
    found: list[Marked] = []
    for database, path in _files(config, halves):
        look = partial(_read, path, ring.database_key(database))
        if path.stem.startswith("audit"):
            made_s = await run_on_disk(look, path=path, deadline_s=config.audit.commit_deadline_s)
        else:
            made_s = await asyncio.to_thread(look)
        if made_s is not None:
            made = datetime.fromtimestamp(made_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
            found.append(Marked(database=database, path=path, made=made))
    return tuple(found)


async def verify_unmarked(config: AnyConfig, ring: KeyRing, halves: Collection[str] = HALVES) -> None:
    """Check, before anything is opened, that no file of these halves is of a backup that nobody has accepted.

    Raises:
        IntegrityError: one is, with the reason ``BACKUP_PUT_BACK``.
        WrongKey: a key does not open a file.
        StorageError: another process has a log open, a disk fails, or that of a log hangs.
    """
    # (1) The locks first: of a disk that cannot be written they say so more clearly than a database that does not open.
    for half in halves:
        for path in log_files(config, half).values():
            await run_on_disk(partial(_try_lock, path), path=path, deadline_s=config.audit.commit_deadline_s)
    # (2) The marks.
    marked = await find_marks(config, ring, halves)
    if marked:
        whole = len(marked) == len(_files(config, halves))
        names = "all databases and logs" if whole else ", ".join(one.database for one in marked)
        times = " and ".join(sorted({one.made for one in marked}))
        raise IntegrityError(
            f"this is a backup of {times} ({names}). Nothing was started. Put the newest files back, or, if they are"
            " lost, take it in for good: heldout-server restore --config FILE --accept REASON",
            reason="BACKUP_PUT_BACK",
        )


def clear_marks(ring: KeyRing, marked: Iterable[Marked]) -> None:
    """Take the mark out of files that were accepted and that nothing has open.

    Raises:
        WrongKey: a key does not open a file.
        StorageError: a disk fails.
    """
    for one in marked:
        write_file_mark(one.path, ring.database_key(one.database), made_s=None)


def _files(config: AnyConfig, halves: Collection[str]) -> tuple[tuple[str, Path], ...]:
    """Return name and file of every database and log, of a log on each of its disks."""
    found: list[tuple[str, Path]] = []
    for folder, name in files_of(config, halves):
        first = config.data.folders()[folder] / name
        files = log_files(config, folder).values() if name == LOG_FILE else (first,)
        found += [(database_name(folder, name), path) for path in files]
    return tuple(found)


def _try_lock(path: Path) -> None:
    if path.exists():
        os.close(lock_file(path))


def _read(path: Path, key: bytes) -> int | None:
    return read_file_mark(path, key) if path.exists() else None
