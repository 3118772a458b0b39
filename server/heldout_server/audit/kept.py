"""Calls and events that come while no log is open: kept in a file, and put into the log once it is.

The file is JSON lines, mode 0600, synced line by line. It holds no share and no answer, only what the log will say.

Each line carries a link: the hash of the line before and of its own words, among them a salt. Links tell three things:

- a line that is gone from the middle, changed or moved: the file is refused;
- which lines the log has already, where a crash came before the file was removed: a leaf carries the link of its line,
  so none is put into the log twice;
- what the log was given: the event ``unseal`` names the last link.

No key is at hand while the appliance is sealed, so a link is no signature: whoever can write to the disk then can take
lines off the end, or make all links anew (SECURITY.md).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from heldout_server.audit.anchors import tree_size
from heldout_server.audit.entry import EVENT, INTENT, OUTCOME
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.seal import KeptCall

MOST_KEPT: Final = 10_000
"""Calls beyond it are counted."""

SALT_BYTES: Final = 16
BEFORE_ALL: Final = "0" * 64
"""What the first line is linked to."""

LINK: Final = "kept"
"""The detail of a leaf that names the line which it was."""

UNSEAL: Final = "unseal"
"""The event that ends what was put into the log from a file."""

PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """Hold an event that came while no log was open, when, in Unix seconds, and what else the log will say of it."""

    name: str
    at_s: int
    details: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class _Line:
    kept: KeptCall | KeptEvent
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Say what was put into the log.

    Attributes:
        outcomes: the outcome of the last call of each identity, of those that were not there before.
        lines: how many lines the file had.
        head: the link of the last; empty if there was none.
    """

    outcomes: Mapping[str, Logged]
    lines: int
    head: str


class KeptFile:
    """Keep calls. Implements :class:`heldout_server.ports.seal.KeptCalls`.

    Args:
        path: of the file; what an earlier process kept there is still to be logged.
        random_bytes: draws the salts of lines.

    Raises:
        IntegrityError: the file holds something else than what was kept.
        StorageError: it cannot be read.
    """

    def __init__(self, path: Path, *, random_bytes: Callable[[int], bytes]) -> None:
        self._path = path
        self._random_bytes = random_bytes
        self._lines = _read(path)
        self._earlier = frozenset(line.link for line in self._lines)
        self._lock = (
            threading.Lock()
        )  # a line is linked to the one before it: held on a worker thread while one is written

    async def keep(self, call: KeptCall, *, anyway: bool = False) -> bool:
        """Keep a call, durable; say whether there was room for it.

        Raises:
            StorageError: it cannot be kept. Nothing may be answered then.
        """
        if len(self._lines) >= MOST_KEPT and not anyway:
            return False
        await asyncio.to_thread(self._add, call)
        return True

    async def keep_event(self, name: str, *, at_s: int, details: Mapping[str, str | int] | None = None) -> None:
        """Keep an event, durable.

        Raises:
            StorageError: it cannot be kept.
        """
        await asyncio.to_thread(self._add, KeptEvent(name, at_s, dict(details or {})))

    async def record(self, log: AuditLog, *, policy_digest: str) -> Recorded:
        """Put everything that was kept into the log, durable, then forget it.

        What an earlier process put there before it ended without removing the file is not put there again.

        Raises:
            StorageError: the log cannot be written, or the file not removed.
        """
        found = await _find(log, self._earlier) if self._earlier else _Found()
        outcomes: dict[str, Logged] = {}
        done = 0
        while not await asyncio.to_thread(self._forget, done):
            for line in self._lines[done:]:  # more may have come meanwhile
                logged = await _record(log, line, found, policy_digest=policy_digest)
                if isinstance(line.kept, KeptCall) and logged is not None:
                    outcomes[line.kept.identity] = logged
                head = line.link
                done += 1
        return Recorded(outcomes=outcomes, lines=done, head=head if done else "")

    def _add(self, kept: KeptCall | KeptEvent) -> None:
        with self._lock:
            before = self._lines[-1].link if self._lines else BEFORE_ALL
            words = {**dataclasses.asdict(kept), "salt": self._random_bytes(SALT_BYTES).hex()}
            line = _Line(kept, _link(before, words))
            try:
                _append(self._path, json.dumps({**words, "link": line.link}).encode() + b"\n")
            except OSError as error:
                raise _storage_error(self._path, error) from None
            self._lines.append(line)

    def _forget(self, done: int) -> bool:
        """Remove the file, durable, unless there are more lines in it than are done with."""
        with self._lock:
            if len(self._lines) > done:
                return False
            try:
                self._path.unlink(missing_ok=True)
                _sync(self._path.parent)  # a file that comes back after a loss of power would be logged again
            except OSError as error:
                raise _storage_error(self._path, error) from None
            self._lines, self._earlier = [], frozenset()
            return True


@dataclass(slots=True)
class _Found:
    """Hold what of a file is in the log already.

    Attributes:
        intents: index and counter of a call's intent, by the link of its line.
        events: links of events.
        ended: intents that have an outcome.
    """

    intents: dict[str, tuple[int, int]] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)


async def _find(log: AuditLog, links: Iterable[str]) -> _Found:
    """Look for lines from the end of the log on, up to ``unseal``: before that is logged the file was removed."""
    wanted, found, stop = set(links), _Found(), tree_size(log)
    while stop:
        start = max(0, stop - PAGE)
        page = await log.entries(start=start, limit=stop - start)
        for index in range(stop - 1, start - 1, -1):
            entry = json.loads(page[index - start] or b"{}")  # a damaged one is empty
            details = entry.get("details", {})
            if (entry.get("kind"), entry.get("name")) == (EVENT, UNSEAL):
                return found
            if entry.get("kind") == OUTCOME:
                found.ended.add(details[INTENT])
            elif details.get(LINK) not in wanted:
                pass
            elif entry["kind"] == INTENT:
                found.intents[details[LINK]] = (index, entry["counter"])
            else:
                found.events.add(details[LINK])
        stop = start
    return found


async def _record(log: AuditLog, line: _Line, found: _Found, *, policy_digest: str) -> Logged | None:
    """Put a line into the log, or what the log lacks of it; return the outcome of a call that had none."""
    kept = line.kept
    if isinstance(kept, KeptEvent):
        if line.link not in found.events:
            await log.append(
                Record(kind=EVENT, name=kept.name, details={**kept.details, "at_s": kept.at_s, LINK: line.link})
            )
        return None
    who = {"name": kept.name, "identity": kept.identity, "role": kept.role}
    if line.link in found.intents:
        index, counter = found.intents[line.link]
        if index in found.ended:
            return None
    else:
        intent = await log.append(
            Record(
                kind=INTENT,
                **who,
                details={
                    "at_s": kept.at_s,
                    "decision": kept.decision,
                    LINK: line.link,
                    "policy_digest": policy_digest,
                    "request_sha256": kept.request_sha256,
                    "rules": kept.rules,
                },
            )
        )
        index, counter = intent.index, intent.counter
    details: dict[str, str | int] = {INTENT: index, "counter": counter, "status": kept.status}
    if kept.response_sha256:
        details["response_sha256"] = kept.response_sha256
    return await log.append(Record(kind=OUTCOME, **who, details=details))


def _link(before: str, words: Mapping[str, Any]) -> str:
    return sha256(before.encode() + json.dumps(words, sort_keys=True).encode()).hexdigest()


def _append(path: Path, line: bytes) -> None:
    """Write a line at the end, durable, or leave the file as it was."""
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
        _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> list[_Line]:
    """Return what is in the file; a last line that a crash cut off was never answered."""
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
        raise IntegrityError(
            f"{path}: it should hold the calls that came while the appliance was sealed, and is damaged. Keep it for"
            " the auditor and move it away; nothing was started.",
            reason="KEPT_CALLS_BROKEN",
        ) from None


def _follow(lines: Sequence[bytes]) -> list[_Line]:
    """Return lines, each linked to the one before.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: one is not, or is no line of such a file.
    """
    followed: list[_Line] = []
    before = BEFORE_ALL
    for line in lines:
        words = json.loads(line)
        link = words.pop("link")
        if link != _link(before, words):
            raise ValueError
        words.pop("salt")
        kept = KeptCall(**{**words, "rules": tuple(words["rules"])}) if "identity" in words else KeptEvent(**words)
        followed.append(_Line(kept, link))
        before = link
    return followed


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path.name}: cannot be written ({error.strerror})", reason="KEPT_CALLS")
