"""The file of calls that are kept while no log is open: JSON lines, each linked to the one before, and signed.

A line's link is the hash of the line before and of its own words, among them a salt. Its signature is over that link,
under a key that is gone once it was used (:mod:`heldout_server.audit.kept_key`); a file that was begun without such a
key has links alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from heldout_server.audit.kept_key import KeptKey, sync_folder
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.seal import KeptCall

BEFORE_ALL: Final = "0" * 64
"""What the first line is linked to."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """Hold an event that came while no log was open, when, in Unix seconds, and what else the log will say of it."""

    name: str
    at_s: int
    details: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Line:
    """Hold a line.

    Attributes:
        kept: what the log will say.
        link: ties it to the line before.
        row: of the key that signed it; empty where there was none.
        signature: over the link.
    """

    kept: KeptCall | KeptEvent
    link: str
    row: str = ""
    signature: str = ""


def append_line(path: Path, kept: KeptCall | KeptEvent, *, before: str, salt: str, key: KeptKey | None) -> Line:
    """Write a line at the end, durable, or leave the file as it was.

    Args:
        path: of the file.
        kept: what the log will say.
        before: link of the line before.
        salt: of the link, in hex.
        key: signs it; None for none.

    Raises:
        OSError: the disk fails.
    """
    words: dict[str, Any] = {**dataclasses.asdict(kept), "salt": salt}
    if key is not None:
        words["row"] = key.row
    link = link_of(before, words)
    signed = {} if key is None else {"signature": key.sign(link)}
    _append(path, json.dumps({**words, "link": link, **signed}).encode() + b"\n")
    return Line(kept, link, **{"row": words.get("row", ""), **signed})


def read_lines(path: Path) -> list[Line]:
    """Return what is in the file; a last line that a crash cut off was never answered, and is taken away.

    Raises:
        IntegrityError: the file holds something else than what was kept.
        StorageError: it cannot be read.
    """
    try:
        content = path.read_bytes()
        whole, _, cut_off = content.rpartition(b"\n")
        if cut_off:
            os.truncate(path, len(content) - len(cut_off))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})", reason="KEPT_CALLS") from None
    try:
        return _follow(whole.split(b"\n") if whole else [])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise broken(path) from None


def link_of(before: str, words: Mapping[str, Any]) -> str:
    """Return the link of a line with these words, in hex."""
    return sha256(before.encode() + json.dumps(words, sort_keys=True).encode()).hexdigest()


def broken(path: Path) -> IntegrityError:
    """Return the error for a file that is not what was kept."""
    return IntegrityError(
        f"{path}: it should hold the calls that came while the appliance was sealed, and is damaged. Keep it for"
        " the auditor and move it away, with the .key file beside it; nothing was started.",
        reason="KEPT_CALLS_BROKEN",
    )


def _append(path: Path, line: bytes) -> None:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)  # half a line would be taken for damage once another came after it
            raise
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)


def _follow(lines: Sequence[bytes]) -> list[Line]:
    """Return lines, each linked to the one before.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: one is not, or is no line of such a file.
    """
    followed: list[Line] = []
    before = BEFORE_ALL
    for line in lines:
        words = json.loads(line)
        link, signature = words.pop("link"), words.pop("signature", "")
        if link != link_of(before, words):
            raise ValueError
        words.pop("salt")
        row = words.pop("row", "")
        kept = KeptCall(**{**words, "rules": tuple(words["rules"])}) if "identity" in words else KeptEvent(**words)
        followed.append(Line(kept, link, row, signature))
        before = link
    return followed
