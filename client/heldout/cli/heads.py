"""Signed heads seen before, kept on this machine: a log that shrinks or forks between two looks shows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heldout.state_files import state_home

if TYPE_CHECKING:
    from heldout.services.audit import SignedHead

DIGITS: Final = 16


class SeenHeads:
    """Keep the heads of one log.

    Args:
        vkey: the log's verifier key: another key is another log.
        root: folder of the heads of all logs.
    """

    def __init__(self, vkey: str, *, root: Path) -> None:
        self._folder = root / hashlib.sha256(vkey.encode()).hexdigest()[:DIGITS]

    def notes(self) -> tuple[str, ...]:
        """Return the signed notes, those of smaller trees first."""
        if not self._folder.is_dir():
            return ()
        return tuple(file.read_text(encoding="utf-8") for file in sorted(self._folder.glob("*.note")))

    def keep(self, seen: SignedHead) -> None:
        """Keep a head. Two of one size with different roots are both kept: they are the proof of a fork."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{seen.head.size:020d}-{seen.head.root.hex()[:DIGITS]}.note"
        (self._folder / name).write_text(seen.note, encoding="utf-8")


def default_root() -> Path:
    """Return where heads are kept: ``$XDG_STATE_HOME/heldout/heads``."""
    return state_home() / "heads"
