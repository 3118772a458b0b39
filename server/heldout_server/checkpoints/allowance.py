"""How much one checkpoint may take of the staging folder's disk.

A sparse file costs its maker nothing and is copied with all its holes; and on a full disk no audit log can be written.
So what a checkpoint says of its size is held against three bounds before anything is read, and held to afterwards.
"""

from __future__ import annotations

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


class Allowance:
    """Hold one checkpoint to what it may take.

    Args:
        limits: what the operator decided.
        staging: a folder on the disk that counts.
    """

    def __init__(self, limits: Limits, staging: Path) -> None:
        self._limits = limits
        self._staging = staging
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
        total, free = self._measure()
        if size > min(self._limits.max_checkpoint_bytes, total):
            raise Unacceptable(Reason.TOO_LARGE)
        if size > free:
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
        if self._measure()[1] < 0:
            raise _full()

    def _measure(self) -> tuple[int, int]:
        """Return the disk's size and what is free, both without what must stay free."""
        try:
            disk = shutil.disk_usage(self._staging)
        except OSError as error:
            raise storage_error(error, reason="DISK") from None
        kept = self._limits.min_free_bytes
        if kept is None:
            kept = min(MIN_FREE_BYTES, disk.total // MIN_FREE_SHARE)
        return disk.total - kept, disk.free - kept


def _full() -> StorageError:
    return StorageError("the staging folder's disk is too full for this checkpoint", reason=STAGING_FULL)
