"""What a client remembers from one process to the next: the newest signed head of each log, and its own call numbers.

A log that shrinks or forks behind the remembered head is found by a new process too, and so is a replayed receipt. The
appliance numbers the calls of an identity without a gap and tells each caller its number, so that a number which none
of our calls had is a call made elsewhere with our certificate, or one that is left out of the log.

The file is JSON, one a profile, 0600, replaced as a whole under a lock: several processes may share a profile.

::

    {"identity": "spiffe://…", "logs": {"window": {"head": "<signed note>", "number": 12, "missing": [[9, 9]],
     "told": 0, "unanswered": 1}}, "open": {"<pid>-<n>": {"window": 1}}, "vkeys": {"window": "…"}}
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from heldout.errors import ProfileError, VerificationError
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint

DIGITS: Final = 16
MOST_RANGES: Final = 1000
MOST_BYTES: Final = 1 << 20

_names: Final = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterGap:
    """Name calls that stand in a log under our identity and that nobody who shares this memory has made.

    They were made elsewhere with this certificate, or by a process that kept no memory; or the appliance leaves calls
    out of what it tells.

    Attributes:
        half: whose log, ``vault`` or ``window``.
        calls: how many.
        first, last: the numbers between which they are.
    """

    half: str
    calls: int
    first: int
    last: int

    def __str__(self) -> str:
        """Say it in one line."""
        what = f"{self.calls} call" + ("" if self.calls == 1 else "s")
        between = f"number {self.first}" if self.first == self.last else f"among numbers {self.first} to {self.last}"
        return f"{what} in the {self.half}'s log ({between}) not made from here: another user of this certificate?"


@dataclass(slots=True)
class LogMemory:
    """Hold what is remembered of one log.

    Attributes:
        head: the newest verified signed note; empty before any.
        number: the highest number of our own calls; 0 before any.
        missing: ranges of numbers below it that no answer had, both ends included.
        told: how many of those were reported.
        unanswered: calls of ours that ended without a receipt: they may have numbers, or none.
    """

    head: str = ""
    number: int = 0
    missing: list[list[int]] = field(default_factory=list)
    told: int = 0
    unanswered: int = 0


class ClientMemory:
    """Remember heads and call numbers of one identity at one appliance.

    Args:
        file: where; None to remember nothing beyond this object.
        identity: who we are in the logs.
        vkeys: the verifier key of the log of each half.
    """

    def __init__(self, file: Path | None, *, identity: str, vkeys: Mapping[str, str]) -> None:
        self.file = file
        self.gaps: list[CounterGap] = []
        self.failure = ""  # why nothing is remembered, if so
        self._identity = identity
        self._vkeys = dict(vkeys)
        self._name = f"{os.getpid()}-{next(_names)}"
        self._logs = {half: LogMemory() for half in vkeys}
        self._open: dict[str, dict[str, int]] = {}
        self._ours = dict.fromkeys(vkeys, 0)  # calls under way
        self._noted = dict.fromkeys(vkeys, 0)  # as many of them as the file tells others
        self._seen: tuple[int, int] | None = None
        with self._turn():
            pass

    def head(self, half: str) -> str:
        """Return the newest verified signed note of a half's log; empty before any."""
        return self._logs[half].head

    def size(self, half: str) -> int:
        """Return how many leaves that head covers; 0 before any."""
        note = self._logs[half].head
        return _opened(note, self._vkeys[half]).size if note else 0

    def begin(self, half: str) -> int:
        """Note that a call begins; return how many leaves the log of that half had before it.

        The outcome of the call stands behind them.
        """
        self._ours[half] += 1
        if self._ours[half] > self._noted[half]:
            with self._turn():
                self._noted[half] = self._ours[half]
        return self.size(half)

    def fail(self, half: str) -> None:
        """Note that a call ended without a receipt."""
        self._ours[half] -= 1
        with self._turn():
            self._logs[half].unanswered += 1

    def finish(self, half: str, note: str, *, number: int) -> None:
        """Note that a call ended with a receipt that holds.

        Args:
            half: whose log.
            note: the signed note that the receipt was under.
            number: of the call among those of our identity; 0 if the appliance does not tell.

        Raises:
            VerificationError: another head of that size was signed before.
        """
        self._ours[half] -= 1
        with self._turn():
            self._keep(half, note)
            if number:
                self._count(self._logs[half], half, number)

    def keep(self, half: str, note: str) -> None:
        """Remember a head that was verified, if it is newer.

        Raises:
            VerificationError: another head of that size was signed before.
        """
        known = self._logs[half].head
        if known == note or (known and _opened(note, self._vkeys[half]).size < self.size(half)):
            return
        with self._turn():
            self._keep(half, note)

    def close(self) -> None:
        """Note that no call is under way any more, durably."""
        self._ours = dict.fromkeys(self._vkeys, 0)
        with self._turn(durable=True):
            pass

    def _keep(self, half: str, note: str) -> None:
        vkey, log = self._vkeys[half], self._logs[half]
        head = _opened(note, vkey)
        if log.head:
            known = _opened(log.head, vkey)
            if head.size < known.size:
                return
            if head.size == known.size and head.root != known.root:
                where = f"; the other is in {self.file}" if self.file else ""
                raise VerificationError(f"two heads of {head.size} entries were signed: the log forked{where}")
        log.head = note

    def _count(self, log: LogMemory, half: str, number: int) -> None:
        # (1) Which numbers no answer had.
        if not log.number:
            log.number = number
        elif number > log.number:
            if number > log.number + 1:
                log.missing.append([log.number + 1, number - 1])
            log.number = number
        else:
            log.missing = [part for one in log.missing for part in _without(number, one)]
        del log.missing[:-MOST_RANGES]
        # (2) Which of them our own calls explain: those under way, here and elsewhere, and those without a receipt.
        under_way = sum(calls.get(half, 0) for calls in self._open.values()) + self._ours[half]
        lacking = sum(last - first + 1 for first, last in log.missing)
        if (calls := lacking - log.unanswered - under_way - log.told) > 0:
            self.gaps.append(CounterGap(half=half, calls=calls, first=log.missing[0][0], last=log.missing[-1][1]))
            log.told += calls
        # (3) With nothing under way every number below has found its call, or was reported.
        if not under_way:
            log.missing, log.told, log.unanswered = [], 0, 0

    # The file

    @contextlib.contextmanager
    def _turn(self, *, durable: bool = False) -> Iterator[None]:
        """Take a turn at the file: read what others wrote, let the caller change it, write it."""
        if self.file is None or self.failure:
            yield
            self._tidy()
            return
        with contextlib.ExitStack() as stack:
            try:
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = os.open(f"{self.file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, lock)  # which gives up the lock
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._read(self.file)
            except OSError as error:
                self.failure = f"{error.filename or self.file}: {error.strerror}"
            yield
            self._tidy()
            if not self.failure:
                try:
                    self._write(self.file, durable=durable)
                except OSError as error:
                    self.failure = f"{error.filename or self.file}: {error.strerror}"

    def _tidy(self) -> None:
        """Count the calls of processes that are gone as unanswered, and note how many of ours are under way."""
        self._noted = {half: self._noted[half] if number else 0 for half, number in self._ours.items()}
        for name, calls in list(self._open.items()):
            if not _is_alive(name):
                del self._open[name]
                for half, number in calls.items():
                    if half in self._logs:
                        self._logs[half].unanswered += number

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
            self._open = {name: calls for name, calls in document["open"].items() if name != self._name}
            for half in self._vkeys:
                self.size(half)  # what does not verify is not remembered
        except (ValueError, KeyError, TypeError, VerificationError):
            raise ProfileError(f"{file}: is damaged; move it away to begin anew, and tell the auditor") from None

    def _write(self, file: Path, *, durable: bool) -> None:
        noted = {half: calls for half, calls in self._noted.items() if calls}
        document: dict[str, Any] = {
            "identity": self._identity,
            "logs": {half: asdict(log) for half, log in self._logs.items()},
            "open": self._open | ({self._name: noted} if noted else {}),
            "vkeys": self._vkeys,
        }
        replace_file(file, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), durable=durable)
        found = file.stat()
        self._seen = (found.st_ino, found.st_mtime_ns)


def replace_file(file: Path, content: bytes, *, durable: bool) -> None:
    """Replace a file as a whole, readable by its owner alone.

    Args:
        file: which; its folder must exist.
        content: what is in it afterwards.
        durable: whether it outlasts a power cut once this returns.
    """
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(file)
    if durable:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def memory_file(identity: str, vkeys: Mapping[str, str]) -> Path:
    """Return where a client remembers unless its profile says otherwise: ``$XDG_STATE_HOME/heldout/clients/…``."""
    words = "\n".join([identity, *(vkeys[half] for half in sorted(vkeys))])
    return state_home() / "clients" / f"{hashlib.sha256(words.encode()).hexdigest()[:DIGITS]}.json"


def state_home() -> Path:
    """Return the folder of what is kept from one run to the next: ``$XDG_STATE_HOME/heldout``."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "heldout"


@functools.lru_cache(maxsize=256)
def _opened(note: str, vkey: str) -> Checkpoint:
    """Open a head; the same one is looked at before and after each call."""
    return open_checkpoint(note, VerifierKey.parse(vkey))


def _without(number: int, one: list[int]) -> list[list[int]]:
    first, last = one
    if not first <= number <= last:
        return [one]
    return [part for part in ([first, number - 1], [number + 1, last]) if part[0] <= part[1]]


def _is_alive(name: str) -> bool:
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        pass
    return True
