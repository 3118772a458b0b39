"""What a client remembers from one process to the next: the newest signed head of each log, and its own call numbers.

A log that shrinks or forks behind the remembered head is found by a new process too, and so is a replayed receipt. The
appliance numbers the calls of an identity without a gap and tells each caller its number, so that a number which none
of our calls had is a call made elsewhere with our certificate, or one that is left out of the log; and a number that is
not above those of earlier calls shows that the appliance went back. That is remembered, and no call begins any more,
until :meth:`ClientMemory.accept_restore`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn, Self

from heldout.call_numbers import CounterGap, Known, LogMemory
from heldout.errors import VerificationError
from heldout.memory_file import MemoryFile, Remembered, is_alive, memory_file
from heldout.profile import Profile
from heldout.setback import Setback
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint

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
        now_s: tells when it is seen that the appliance went back, in Unix seconds.
    """

    def __init__(
        self,
        file: Path | None,
        *,
        identity: str,
        vkeys: Mapping[str, str],
        monotonic_s: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._store = MemoryFile(file, identity=identity, vkeys=vkeys)
        self._vkeys = dict(vkeys)
        self._monotonic_s = monotonic_s
        self._now_s = now_s
        self._name = f"{os.getpid()}-{next(_names)}"
        self._gaps: list[CounterGap] = []
        self._under_way = dict.fromkeys(vkeys, 0)
        self._begun = dict.fromkeys(vkeys, 0)  # calls since the file was written, with those under way then
        self._allowed = dict.fromkeys(vkeys, 0)  # as many as the file tells others of
        self._open: dict[str, dict[str, int]] = {}  # calls that others may make, as in the file
        self._written_s = 0.0
        self._begin_anew(accepted=0)
        self._take_turn()

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """Return the memory of a profile's client.

        Raises:
            ProfileError: its file is damaged, or of another identity or appliance.
        """
        file = profile.memory or memory_file(profile.identity, profile.vkeys)
        return cls(file, identity=profile.identity, vkeys=profile.vkeys)

    def _begin_anew(self, *, accepted: int) -> None:
        """Forget what is known of the logs; so many restores were accepted."""
        self._accepted = accepted
        self._logs = {half: LogMemory() for half in self._vkeys}  # as in the file
        self._heads = dict.fromkeys(self._vkeys, "")  # the newest that we saw
        self._numbers = dict.fromkeys(self._vkeys, 0)  # the highest that we saw
        self._answered: list[tuple[Known, int]] = []  # numbers that are not in the file yet
        self._unanswered = dict.fromkeys(self._vkeys, 0)  # calls that are not in the file yet
        self._setbacks: dict[str, Setback] = {}

    @property
    def file(self) -> Path | None:
        """Return where it is kept."""
        return self._store.path

    @property
    def failure(self) -> str:
        """Return why nothing can be remembered, if so; else empty."""
        return self._store.failure

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

    def number(self, half: str) -> int:
        """Return the highest number of our calls in a half's log; 0 before any."""
        return self._numbers[half]

    @property
    def setback(self) -> Setback | None:
        """Return how the appliance went back; None as long as it did not, or after that was accepted."""
        return next((log.setback for log in self._logs.values() if log.setback is not None), None) or next(
            iter(self._setbacks.values()), None
        )

    def begin(self, half: str) -> Known:
        """Note that a call begins; return what is known of the log of that half. The call is newer.

        Raises:
            VerificationError: the appliance went back before, or another process was shown another log.
        """
        self._under_way[half] += 1
        self._begun[half] += 1
        if self._begun[half] > self._allowed[half]:
            self._allowed[half] = max(self._begun[half], min(2 * self._allowed[half], MOST_ALLOWED))
            self._take_turn()
        if self.setback is not None:
            self._under_way[half] -= 1
            self._raise_setback()
        unanswered = self._logs[half].unanswered + self._unanswered[half]
        return Known(half=half, size=self.size(half), number=self._numbers[half], unanswered=unanswered)

    def fail(self, known: Known, *, anywhere: bool = False) -> None:
        """Note that a call ended without a receipt.

        Args:
            known: what :meth:`begin` returned.
            anywhere: whether the call may stand in the other log.
        """
        self._under_way[known.half] -= 1
        for half in self._vkeys if anywhere else (known.half,):
            self._unanswered[half] += 1
        self._settle()

    def finish(self, known: Known, note: str, *, number: int) -> None:
        """Note that a call ended with a receipt that holds.

        Args:
            known: what :meth:`begin` returned.
            note: the signed note that the receipt was under.
            number: of the call among those of our identity; 0 if the appliance does not tell.

        Raises:
            VerificationError: another head of that size was signed before.
        """
        half = known.half
        self._under_way[half] -= 1
        if number:
            self._answered.append((known, number))
            self._numbers[half] = max(self._numbers[half], number)
        self._heads[half] = self._newer(half, self._heads[half], note)
        self._settle()
        self._raise_setback()

    def keep(self, half: str, note: str) -> None:
        """Remember a head that was verified, if it is newer.

        Raises:
            VerificationError: another head of that size was signed before.
        """
        self._heads[half] = self._newer(half, self._heads[half], note)
        self._raise_setback()

    def refuse(self, half: str, told: str, note: str, *, before: str = "") -> NoReturn:
        """Remember that the appliance went back, and refuse it from now on.

        Args:
            half: whose log.
            told: what was seen, in a few words.
            note: the signed note that came.
            before: the one that it contradicts; the newest by default.

        Raises:
            VerificationError: always.
        """
        self._note_setback(half, told, before=before or self._heads[half], after=note)
        self._take_turn(durable=True)
        self._raise_setback()
        raise VerificationError(told)  # another process accepted a restore meanwhile: this answer was before it

    def accept_restore(self) -> Path | None:
        """Begin anew after the appliance went back; return where all that was known is kept as evidence.

        Whoever used this memory builds a new client.
        """
        with self._turn(durable=True):
            accepted = self._accepted + 1
            aside = self._store.set_aside(accepted)
            self._begin_anew(accepted=accepted)
        return aside

    def close(self) -> None:
        """Write all of it, durably, and that no call is under way any more: one that was cut off is not answered."""
        for half, calls in self._under_way.items():
            self._unanswered[half] += calls
        self._under_way = dict.fromkeys(self._vkeys, 0)
        self._allowed = dict.fromkeys(self._vkeys, 0)
        self._take_turn(durable=True)

    def _newer(self, half: str, known: str, note: str) -> str:
        """Return the newer of two heads; that one size has two roots is noted."""
        if not known or not note:
            return known or note
        one, other = _opened(known, self._vkeys[half]), _opened(note, self._vkeys[half])
        if one.size == other.size and one.root != other.root:
            told = f"two heads of {one.size} entries were signed: the log forked"
            self._note_setback(half, told, before=known, after=note)
        return note if other.size > one.size else known

    def _note_setback(self, half: str, told: str, *, before: str, after: str) -> None:
        seen = Setback(half=half, at_s=int(self._now_s()), told=told, before=before, after=after)
        self._setbacks.setdefault(half, seen)

    def _raise_setback(self) -> None:
        if (setback := self.setback) is not None:
            if self._setbacks:
                self._take_turn(durable=True)
            raise VerificationError(str(setback))

    def _settle(self) -> None:
        """Write what has come of calls, unless that was just done."""
        if self.file is None or self._monotonic_s() - self._written_s >= SETTLE_S:
            self._take_turn()

    def _count_all(self) -> None:
        """Take over what came of our calls."""
        for name, calls in list(self._open.items()):
            if not is_alive(name):
                del self._open[name]
                for half, number in calls.items():
                    self._logs[half].unanswered += number
        for half, log in self._logs.items():
            log.unanswered += self._unanswered[half]
            log.head = self._heads[half] = self._newer(half, log.head, self._heads[half])
        self._unanswered = dict.fromkeys(self._vkeys, 0)
        answered, self._answered = self._answered, []
        for known, number in answered:
            self._logs[known.half].count(number)
        for half in {known.half for known, _ in answered}:
            under_way = sum(calls.get(half, 0) for calls in self._open.values()) + self._under_way[half]
            settled = max(known.unanswered for known, _ in answered if known.half == half)
            gap = self._logs[half].find_gap(half, under_way=under_way, settled=settled)
            if gap is not None:
                self._gaps.append(gap)
        setbacks, self._setbacks = self._setbacks, {}
        for half, log in self._logs.items():
            log.setback = log.setback or setbacks.get(half)
            self._numbers[half] = max(self._numbers[half], log.number)

    # The file

    def _take_turn(self, *, durable: bool = False) -> None:
        """Read what others wrote, take over what came of our calls, and write all of it."""
        with self._turn(durable=durable):
            self._count_all()
            self._begun = dict(self._under_way)

    @contextlib.contextmanager
    def _turn(self, *, durable: bool) -> Iterator[None]:
        """Read the file, let a block change what is known, and write it, while nobody else does."""
        with self._store.locked():
            if (found := self._store.read()) is not None:
                if found.accepted != self._accepted:
                    self._begin_anew(accepted=found.accepted)  # what we saw was before a restore that was accepted
                self._logs = found.logs
                self._open = {name: calls for name, calls in found.open.items() if name != self._name}
            yield
            allowed = {half: calls for half, calls in self._allowed.items() if calls}
            opened = self._open | ({self._name: allowed} if allowed else {})
            self._store.write(Remembered(logs=self._logs, open=opened, accepted=self._accepted), durable=durable)
            self._written_s = self._monotonic_s()


@functools.lru_cache(maxsize=256)
def _opened(note: str, vkey: str) -> Checkpoint:
    """Open a head; the same one is looked at before and after each call."""
    return open_checkpoint(note, VerifierKey.parse(vkey))
