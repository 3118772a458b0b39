"""Calls and events that come while no log is open: kept in a file, and put into the log once it is.

The file is JSON lines, mode 0600, synced line by line. It holds no share and no answer, only what the log will say.
What links its lines is in :mod:`heldout_server.audit.kept_lines`, what signs them in
:mod:`heldout_server.audit.kept_key`:

- a line that is gone, changed or moved: the file is refused, at the start where that can be told without the root key,
  else once the key is back, and then nothing of it is put into the log;
- which lines the log has already, where a crash came before the file was removed: a leaf carries the link of its line,
  so none is put into the log twice;
- what the log was given: the event ``unseal`` names the last link, whether every line was signed, and the row of keys
  that signs from then on. A file or a key of an earlier row is refused; one that is gone is told of, as ``unsigned``.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout_server.audit.anchors import tree_size
from heldout_server.audit.entry import EVENT, INTENT, OUTCOME
from heldout_server.audit.kept_key import KeptKey, KeyWrapper, draw_key, first_key, read_key, sync_folder, write_key
from heldout_server.audit.kept_lines import BEFORE_ALL, KeptEvent, Line, append_line, broken, read_lines
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.seal import KeptCall

MOST_KEPT: Final = 10_000
"""Calls beyond it are counted."""

SALT_BYTES: Final = 16
LINK: Final = "kept"
"""The detail of a leaf that names the line which it was."""

KEPT_FILE: Final = "sealed-calls.jsonl"
"""In the folder of the vault; its key is beside it, and ends in ``.key``."""

UNSEAL: Final = "unseal"
"""The event that ends what was put into the log from a file."""

NEW_KEY: Final = "kept_key"
"""The event that names the key of lines to come."""

ROW: Final = "row"
PAGE: Final = 1_000
_MARKS: Final = (UNSEAL.encode(), NEW_KEY.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Say what was put into the log.

    Attributes:
        outcomes: the outcome of the last call of each identity, of those that were not there before.
        lines: how many lines the file had.
        head: the link of the last; empty if there was none.
        signed: whether a key that moves on signed every line, or would have; not on a first start without one, or where
            somebody took it away.
        row: of the key that signs from then on.
    """

    outcomes: Mapping[str, Logged]
    lines: int
    head: str
    signed: bool
    row: str


class KeptFile:
    """Keep calls. Implements :class:`heldout_server.ports.seal.KeptCalls`.

    Args:
        path: of the file; what an earlier process kept there is still to be logged. Its key is beside it.
        random_bytes: draws the salts of lines, and keys.

    Raises:
        IntegrityError: the file holds something else than what was kept, or less.
        StorageError: it cannot be read.
    """

    def __init__(self, path: Path, *, random_bytes: Callable[[int], bytes]) -> None:
        self._path = path
        self._random_bytes = random_bytes
        self._key_path = path.with_suffix(".key")
        self._lines = read_lines(path)
        self._key = self._catch_up(read_key(self._key_path))
        self._earlier = frozenset(line.link for line in self._lines)
        self._lock = threading.Lock()  # a line follows from the one before: held on a thread while one is written

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

    async def record(self, log: AuditLog, ring: KeyWrapper, *, policy_digest: str) -> Recorded:
        """Put everything that was kept into the log, durable, then forget it.

        What an earlier process put there before it ended without removing the file is not put there again.

        Raises:
            IntegrityError: a line is not the one that was signed, or the key is not the one that the log names. Nothing
                is put into the log.
            StorageError: the log cannot be written, or the file not removed.
        """
        found = await _find(log, self._earlier)
        signed = self._verify(ring, found)
        outcomes: dict[str, Logged] = {}
        head, done, forgotten = "", 0, self._key is not None and not self._lines
        while not forgotten:
            for line in self._lines[done:]:  # more may have come meanwhile
                logged = await _record(log, line, found, policy_digest=policy_digest)
                if isinstance(line.kept, KeptCall) and logged is not None:
                    outcomes[line.kept.identity] = logged
                head = line.link
                done += 1
            key = draw_key(ring, random_bytes=self._random_bytes)
            # Named before it is written: a crash in between leaves the key before, which UNSEAL names still.
            await log.append(Record(kind=EVENT, name=NEW_KEY, details={ROW: key.row}))
            forgotten = await asyncio.to_thread(self._forget, done, key)
        return Recorded(outcomes=outcomes, lines=done, head=head, signed=signed, row=self._key.row if self._key else "")

    def _catch_up(self, key: KeptKey | None) -> KeptKey | None:
        """Return the key of the next line: a crash may have come before it had moved on from the last.

        Raises:
            IntegrityError: lines were taken away, or the key is older than they are.
            StorageError: it cannot be written.
        """
        if key is None:
            return None
        own = [line for line in self._lines if line.row == key.row]
        if len(own) == key.step:
            return key
        if len(own) != key.step + 1 or not hmac.compare_digest(own[-1].signature, key.sign(own[-1].link)):
            raise broken(self._path)
        return self._move_on(key)

    def _move_on(self, key: KeptKey) -> KeptKey:
        after = key.moved_on()
        try:
            write_key(self._key_path, after)
        except OSError as error:
            raise _storage_error(self._key_path, error) from None
        return after

    def _verify(self, ring: KeyWrapper, found: _Found) -> bool:
        """Check what the log lacks of the lines against the keys that signed them; say whether all were signed.

        Raises:
            IntegrityError: the row is not the one that the log named, or a line is not the one that was signed.
        """
        key = self._key
        if key is None:
            return False
        if found.rows and key.row not in found.rows:
            raise broken(self._path)
        try:
            key = first_key(key, ring)
        except IntegrityError:
            raise broken(self._path) from None
        signed = True
        for line in self._lines:
            if line.row == key.row:
                if not hmac.compare_digest(line.signature, key.sign(line.link)):
                    raise broken(self._path)
                key = key.moved_on()
            elif not found.has(line.link):
                signed = False
        return signed

    def _add(self, kept: KeptCall | KeptEvent) -> None:
        with self._lock:
            before = self._lines[-1].link if self._lines else BEFORE_ALL
            salt = self._random_bytes(SALT_BYTES).hex()
            try:
                line = append_line(self._path, kept, before=before, salt=salt, key=self._key)
            except OSError as error:
                raise _storage_error(self._path, error) from None
            self._lines.append(line)
            if self._key is not None:
                self._key = self._move_on(self._key)

    def _forget(self, done: int, key: KeptKey) -> bool:
        """Take the next key and remove the file, durable, unless there are more lines in it than are done with."""
        with self._lock:
            if len(self._lines) > done:
                return False
            try:
                write_key(self._key_path, key)
                self._key = key
                self._path.unlink(missing_ok=True)
                sync_folder(self._path.parent)  # a file that comes back after a loss of power would be logged again
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
        rows: of keys that may sign: that which the newest ``unseal`` names, and those that were begun since; empty if
            it names none.
    """

    intents: dict[str, tuple[int, int]] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    rows: frozenset[str] = frozenset()

    def has(self, link: str) -> bool:
        """Say whether the log has a line, or at least its beginning."""
        return link in self.intents or link in self.events


async def _find(log: AuditLog, links: Iterable[str]) -> _Found:
    """Look for lines from the end of the log on, up to ``unseal``: before that is logged the file was removed."""
    wanted, found, stop = set(links), _Found(), tree_size(log)
    begun: set[str] = set()
    while stop:
        start = max(0, stop - PAGE)
        page = await log.entries(start=start, limit=stop - start)
        for index in range(stop - 1, start - 1, -1):
            leaf = page[index - start]
            if not wanted and not any(mark in leaf for mark in _MARKS):
                continue
            entry = json.loads(leaf or b"{}")  # a damaged one is empty
            details = entry.get("details", {})
            if (entry.get("kind"), entry.get("name")) == (EVENT, UNSEAL):
                if ROW in details:
                    found.rows = frozenset({details[ROW], *begun})
                return found
            if (entry.get("kind"), entry.get("name")) == (EVENT, NEW_KEY):
                begun.add(details[ROW])
            elif entry.get("kind") == OUTCOME:
                found.ended.add(details[INTENT])
            elif details.get(LINK) not in wanted:
                pass
            elif entry["kind"] == INTENT:
                found.intents[details[LINK]] = (index, entry["counter"])
            else:
                found.events.add(details[LINK])
        stop = start
    return found


async def _record(log: AuditLog, line: Line, found: _Found, *, policy_digest: str) -> Logged | None:
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


def begin_kept_key(path: Path, ring: KeyWrapper, *, random_bytes: Callable[[int], bytes]) -> None:
    """Write the first key of a file of kept calls, while the root key is at hand.

    Raises:
        OSError: the disk fails.
    """
    write_key(path.with_suffix(".key"), draw_key(ring, random_bytes=random_bytes))


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path.name}: cannot be written ({error.strerror})", reason="KEPT_CALLS")
