"""What a client remembers from one process to the next: the newest signed head of each log, and its own call numbers.

A log that shrinks or forks behind the remembered head is found by a new process too, and so is a replayed receipt. The
appliance numbers the calls of an identity without a gap and tells each caller its number, so that a number which none
of our calls had is a call made elsewhere with our certificate, or one that is left out of the log.

The file is JSON, one a profile, 0600, replaced as a whole under a lock: several processes may share a profile.

::

    {"identity": "spiffe://…", "logs": {"window": {"head": "<signed note>", "number": 12, "missing": [[9, 9]],
     "told": 0, "unanswered": 1}}, "open": {"<pid>-<n>": {"window": 4}}, "vkeys": {"window": "…"}}
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from heldout.call_numbers import CounterGap, LogMemory
from heldout.errors import ProfileError, VerificationError
from heldout.state_files import replace_file, state_home
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint

DIGITS: Final = 16
MOST_BYTES: Final = 1 << 20
MOST_ALLOWED: Final = 64
"""Calls that a process may make before it writes again."""

SETTLE_S: Final = 0.2

_names: Final = itertools.count()


class ClientMemory:
    """Remember heads and call numbers of one identity at one appliance.

    The file is written before a call, for as many calls as this process may make until it writes again: so others do
    not take them for somebody else's. After a call it is written at most every :data:`SETTLE_S`; a killed process
    leaves that many calls unexplained, and the heads that it saw since.

    Args:
        file: where; None to remember nothing beyond this object.
        identity: who we are in the logs.
        vkeys: the verifier key of the log of each half.
        monotonic_s: tells the time between two writes.

    Attributes:
        file: where.
        failure: why nothing can be remembered, if so; else empty.
    """

    def __init__(
        self,
        file: Path | None,
        *,
        identity: str,
        vkeys: Mapping[str, str],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.file = file
        self.failure = ""
        self._identity = identity
        self._vkeys = dict(vkeys)
        self._monotonic_s = monotonic_s
        self._name = f"{os.getpid()}-{next(_names)}"
        self._gaps: list[CounterGap] = []
        self._logs = {half: LogMemory() for half in vkeys}  # as in the file
        self._open: dict[str, dict[str, int]] = {}  # calls that others may make, as in the file
        self._heads = dict.fromkeys(vkeys, "")  # the newest that we saw
        self._under_way = dict.fromkeys(vkeys, 0)
        self._begun = dict.fromkeys(vkeys, 0)  # calls since the file was written, with those under way then
        self._allowed = dict.fromkeys(vkeys, 0)  # as many as the file tells others of
        self._answered: list[tuple[str, int]] = []  # numbers that are not in the file yet
        self._unanswered = dict.fromkeys(vkeys, 0)  # calls that are not in the file yet
        self._seen: tuple[int, int] | None = None
        self._written_s = 0.0
        self._take_turn()

    @property
    def gaps(self) -> tuple[CounterGap, ...]:
        """Return the gaps that this client has found so far."""
        if self._answered:
            self._take_turn()
        return tuple(self._gaps)

    def head(self, half: str) -> str:
        """Return the newest verified signed note of a half's log; empty before any."""
        return self._heads[half]

    def size(self, half: str) -> int:
        """Return how many leaves that head covers; 0 before any."""
        note = self._heads[half]
        return _opened(note, self._vkeys[half]).size if note else 0

    def begin(self, half: str) -> int:
        """Note that a call begins; return how many leaves the log of that half had before it.

        The outcome of the call stands behind them.

        Raises:
            VerificationError: another process was shown another log.
        """
        self._under_way[half] += 1
        self._begun[half] += 1
        if self._begun[half] > self._allowed[half]:
            self._allowed[half] = max(self._begun[half], min(2 * self._allowed[half], MOST_ALLOWED))
            self._take_turn()
        return self.size(half)

    def fail(self, half: str) -> None:
        """Note that a call ended without a receipt."""
        self._under_way[half] -= 1
        self._unanswered[half] += 1
        self._settle()

    def finish(self, half: str, note: str, *, number: int) -> None:
        """Note that a call ended with a receipt that holds.

        Args:
            half: whose log.
            note: the signed note that the receipt was under.
            number: of the call among those of our identity; 0 if the appliance does not tell.

        Raises:
            VerificationError: another head of that size was signed before.
        """
        self._under_way[half] -= 1
        if number:
            self._answered.append((half, number))
        self._heads[half] = self._newer(half, self._heads[half], note)
        self._settle()

    def keep(self, half: str, note: str) -> None:
        """Remember a head that was verified, if it is newer.

        Raises:
            VerificationError: another head of that size was signed before.
        """
        self._heads[half] = self._newer(half, self._heads[half], note)

    def close(self) -> None:
        """Write all of it, durably, and that no call is under way any more."""
        self._under_way = dict.fromkeys(self._vkeys, 0)
        self._allowed = dict.fromkeys(self._vkeys, 0)
        self._take_turn(durable=True)

    def _newer(self, half: str, known: str, note: str) -> str:
        if not known or not note:
            return known or note
        one, other = _opened(known, self._vkeys[half]), _opened(note, self._vkeys[half])
        if one.size == other.size and one.root != other.root:
            where = f"; the other is in {self.file}" if self.file else ""
            raise VerificationError(f"two heads of {one.size} entries were signed: the log forked{where}")
        return note if other.size > one.size else known

    def _settle(self) -> None:
        """Write what has come of calls, unless that was just done."""
        if self.file is None or self._monotonic_s() - self._written_s >= SETTLE_S:
            self._take_turn()

    def _count_all(self) -> None:
        """Take over what came of our calls."""
        for name, calls in list(self._open.items()):
            if not _is_alive(name):
                del self._open[name]
                for half, number in calls.items():
                    self._logs[half].unanswered += number
        for half, log in self._logs.items():
            log.unanswered += self._unanswered[half]
            log.head = self._heads[half] = self._newer(half, log.head, self._heads[half])
        self._unanswered = dict.fromkeys(self._vkeys, 0)
        answered, self._answered = self._answered, []
        for half, number in answered:
            self._logs[half].count(number)
        for half in {half for half, _ in answered}:
            under_way = sum(calls.get(half, 0) for calls in self._open.values()) + self._under_way[half]
            gap = self._logs[half].find_gap(half, under_way=under_way)
            if gap is not None:
                self._gaps.append(gap)

    # The file

    def _take_turn(self, *, durable: bool = False) -> None:
        """Read what others wrote, take over what came of our calls, and write all of it."""
        with contextlib.ExitStack() as stack:
            if self.file is not None and not self.failure:
                try:
                    self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    lock = os.open(f"{self.file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                    stack.callback(os.close, lock)  # which gives up the lock
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    self._read(self.file)
                except OSError as error:
                    self.failure = f"{error.filename or self.file}: {error.strerror}"
            self._count_all()
            self._begun = dict(self._under_way)
            if self.file is not None and not self.failure:
                try:
                    self._write(self.file, durable=durable)
                except OSError as error:
                    self.failure = f"{error.filename or self.file}: {error.strerror}"

    def _read(self, file: Path) -> None:
        try:
            found = file.stat()
        except FileNotFoundError:
            return
        if (found.st_ino, found.st_mtime_ns) == self._seen:
            return
        try:
            document = json.loads(file.read_bytes()[:MOST_BYTES])
            if (document["identity"], document["vkeys"]) != (self._identity, self._vkeys):
                raise ProfileError(f"{file}: is the memory of another identity or appliance; move it away")
            self._logs = {half: LogMemory(**document["logs"][half]) for half in self._vkeys}
            others = {name: calls for name, calls in document["open"].items() if name != self._name}
            self._open = {name: {half: int(calls[half]) for half in calls} for name, calls in others.items()}
            for half, log in self._logs.items():
                if log.head:
                    _opened(log.head, self._vkeys[half])  # what does not verify is not remembered
        except (ValueError, KeyError, TypeError, AttributeError, VerificationError):
            raise ProfileError(f"{file}: is damaged; move it away to begin anew, and tell the auditor") from None

    def _write(self, file: Path, *, durable: bool) -> None:
        allowed = {half: calls for half, calls in self._allowed.items() if calls}
        document: dict[str, Any] = {
            "identity": self._identity,
            "logs": {half: asdict(log) for half, log in self._logs.items()},
            "open": self._open | ({self._name: allowed} if allowed else {}),
            "vkeys": self._vkeys,
        }
        replace_file(file, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), durable=durable)
        found = file.stat()
        self._seen = (found.st_ino, found.st_mtime_ns)
        self._written_s = self._monotonic_s()


def memory_file(identity: str, vkeys: Mapping[str, str]) -> Path:
    """Return where a client remembers unless its profile says otherwise: ``$XDG_STATE_HOME/heldout/clients/…``."""
    words = "\n".join([identity, *(vkeys[half] for half in sorted(vkeys))])
    return state_home() / "clients" / f"{hashlib.sha256(words.encode()).hexdigest()[:DIGITS]}.json"


@functools.lru_cache(maxsize=256)
def _opened(note: str, vkey: str) -> Checkpoint:
    """Open a head; the same one is looked at before and after each call."""
    return open_checkpoint(note, VerifierKey.parse(vkey))


def _is_alive(name: str) -> bool:
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        pass
    return True
