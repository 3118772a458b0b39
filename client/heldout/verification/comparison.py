"""Two exports of one log: one history, or a fork and where."""

from __future__ import annotations

from pathlib import Path

from heldout.errors import HeldoutClientError
from heldout.verification.log_folder import read_bundle, read_checkpoint
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.verification.tiles import TILE_WIDTH


class ForkError(HeldoutClientError):
    """Say at which entry two exports of one log differ: both were signed by its key, which proves it.

    Attributes:
        index: of the first entry that differs.
    """

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index


def compare_exports(one: Path, other: Path, vkey: str) -> tuple[int, int]:
    """Check that one of two exports continues the other, and return the sizes of both.

    Args:
        one: an export that was verified.
        other: another.
        vkey: the verifier key of both.

    Raises:
        ForkError: they differ at an entry that both have.
        VerificationError: one cannot be read.
    """
    key = VerifierKey.parse(vkey)
    sizes = tuple(open_checkpoint(read_checkpoint(each), key).size for each in (one, other))
    for first in range(0, min(sizes), TILE_WIDTH):
        width = min(TILE_WIDTH, min(sizes) - first)
        ours, theirs = (_leaves(each, first, width, size) for each, size in zip((one, other), sizes, strict=True))
        if ours != theirs:
            index = first + next(place for place in range(width) if ours[place] != theirs[place])
            raise ForkError(
                f"{key.name} forked: entry {index} is one in {one} and another in {other}, and the log signed both."
                " Keep both: together they are the proof",
                index=index,
            )
    return sizes[0], sizes[1]


def _leaves(folder: Path, first: int, width: int, size: int) -> list[bytes]:
    whole = min(TILE_WIDTH, size - first)
    return read_bundle(folder, number=first // TILE_WIDTH, width=whole)[:width]
