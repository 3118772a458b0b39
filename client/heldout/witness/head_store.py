"""The head that a witness signed last, by log: on the disk before it signs, and never put back."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heldout.errors import HeldoutClientError
from heldout.state_files import replace_file

DIGITS: Final = 16
MOST_BYTES: Final = 1 << 16


class HeadStore:
    """Keep the newest head of one log.

    Args:
        folder: of the witness; its own for each key.
        vkey: the log's verifier key.
    """

    def __init__(self, folder: Path, *, vkey: str) -> None:
        name = hashlib.sha256(vkey.encode()).hexdigest()[:DIGITS]
        self.file = folder / f"{name}.note"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this witness away.

        Raises:
            HeldoutClientError: another one is at work.
        """
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HeldoutClientError(f"{self.file.parent}: another witness is at work here") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def read(self) -> str | None:
        """Return the newest head that was noted; None if there never was one."""
        try:
            with self.file.open("rb") as opened:
                return opened.read(MOST_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return None

    def write(self, note: str) -> None:
        """Note a head; on return it outlasts a power cut."""
        replace_file(self.file, note.encode(), durable=True)

    def keep_evidence(self, note: str) -> Path:
        """Keep a head that contradicts what was signed before, and return where."""
        file = self.file.with_name(f"{self.file.stem}.fork-{hashlib.sha256(note.encode()).hexdigest()[:DIGITS]}.note")
        replace_file(file, note.encode(), durable=True)
        return file
