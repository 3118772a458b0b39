"""How much one checkpoint may take of the staging folder's disk.

A sparse file costs its maker nothing and is copied with all its holes; and on a full disk no audit log can be written.
So what a checkpoint says of its size is held against bounds before anything is read, and held to afterwards.

Whoever submits checkpoints sees which are taken in, and can ask with holes of any size. If that were decided by what is
free on the disk, they would measure what the vault writes there meanwhile, the responses of a run above all. So it is
decided by a quota, fixed when the registry is opened, and by what was staged before: they know both. All of the quota
must be free, however small a checkpoint is: that is a bound on what others write, and submitting moves it nowhere.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.sources import MARKER, Tree
from heldout_server.checkpoints.sources.walk import storage_error
from heldout_server.config.watch import Limits
from heldout_server.errors import StorageError

STAGING_FULL: Final = "STAGING_FULL"
MIN_FREE_BYTES: Final = 5 * 1024**3
MIN_FREE_SHARE: Final = 20
"""What stays free where the config does not say: so many bytes, or one part in so many of a small disk."""

QUARTERS: Final = 3
"""How many quarters of what is free the quota takes where the config does not say; the rest is for the databases."""

KEPT_BITS: Final = 2


def decide_quota(limits: Limits, staging: Path) -> int:
    """Return how many bytes all checkpoints together may take: once, before any is taken in.

    Where the config does not say it is what is staged now, and most of what is free, rounded down to two binary
    digits: so that a restart tells hardly anything of what the databases grew by.

    Raises:
        StorageError: the disk fails.
    """
    if limits.max_staged_bytes is not None:
        return limits.max_staged_bytes
    room = max(0, QUARTERS * _measure(limits, staging)[1] // 4)
    shift = max(0, room.bit_length() - KEPT_BITS)
    return _staged_bytes(staging) + (room >> shift << shift)


class Allowance:
    """Hold one checkpoint to what it may take.

    Args:
        limits: what the operator decided.
        staging: a folder on the disk that counts.
        quota: bytes that all that is staged may take, from :func:`decide_quota`.
    """

    def __init__(self, limits: Limits, staging: Path, *, quota: int) -> None:
        self._limits = limits
        self._staging = staging
        self._quota = quota
        self._left = 0

    def admit(self, tree: Tree) -> None:
        """Let a checkpoint in, as large as it is listed.

        Raises:
            Unacceptable: it has too many files or bytes, or more than this disk could hold if it were empty.
            StorageError: it does not fit now (``STAGING_FULL``), or the disk fails.
        """
        if len(tree.files) + len(tree.folders) > self._limits.max_files:
            raise Unacceptable(Reason.TOO_MANY_FILES)
        size = sum(size for path, size in zip(tree.files, tree.sizes, strict=True) if path != MARKER)
        total, free = _measure(self._limits, self._staging)
        if size > min(self._limits.max_checkpoint_bytes, total):
            raise Unacceptable(Reason.TOO_LARGE)
        room = self._quota - _staged_bytes(self._staging)
        if size > room or room > free:  # never size > free: see above
            raise _full()
        self._left = size

    def spend(self, size: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            Unacceptable: they are more than was listed.
        """
        self._left -= size
        if self._left < 0:
            raise Unacceptable(Reason.CHANGED_WHILE_READ)

    def verify_disk(self) -> None:
        """Look whether the disk still has what must stay free: others write to it as well.

        Raises:
            StorageError: it has not (``STAGING_FULL``), or it fails.
        """
        if _measure(self._limits, self._staging)[1] < 0:
            raise _full()


def _measure(limits: Limits, staging: Path) -> tuple[int, int]:
    """Return the disk's size and what is free, both without what must stay free."""
    try:
        disk = shutil.disk_usage(staging)
    except OSError as error:
        raise storage_error(error, reason="DISK") from None
    kept = limits.min_free_bytes
    if kept is None:
        kept = min(MIN_FREE_BYTES, disk.total // MIN_FREE_SHARE)
    return disk.total - kept, disk.free - kept


def _staged_bytes(staging: Path) -> int:
    """Return the sizes of all staged files together; a folder that cannot be listed has failed."""

    def fail(error: OSError) -> None:
        raise storage_error(error, reason="DISK") from None

    try:
        return sum(
            (Path(folder) / name).lstat().st_size
            for folder, _, names in os.walk(staging, onerror=fail)
            for name in names
        )
    except OSError as error:
        raise storage_error(error, reason="DISK") from None


def _full() -> StorageError:
    return StorageError("the staging folder's disk is too full for this checkpoint", reason=STAGING_FULL)
