"""The file of a client's memory: JSON, one a profile, 0600, replaced as a whole under a lock.

::

    {"accepted": 0, "identity": "spiffe://…", "logs": {"window": {"head": "<signed note>", "number": 12,
     "missing": [[9, 9]], "told": 0, "unanswered": 3, "settled": 2, "setback": null}},
     "open": {"<pid>-<n>": {"window": 4}}, "vkeys": {"window": "…"}}
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from heldout.call_numbers import LogMemory
from heldout.errors import ProfileError, VerificationError
from heldout.setback import Setback
from heldout.state_files import replace_file, state_home
from heldout.verification.note import VerifierKey, open_checkpoint

DIGITS: Final = 16
MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Hold what the file says.

    Attributes:
        logs: what is known of each half's log.
        open: calls that processes may make, by process and half.
        accepted: how many restores of the appliance were accepted.
    """

    logs: dict[str, LogMemory]
    open: dict[str, dict[str, int]]
    accepted: int


class MemoryFile:
    """Read and write the memory of one identity at one appliance.

    Args:
        path: where; None to keep nothing.
        identity: who we are in the logs.
        vkeys: the verifier key of the log of each half.

    Attributes:
        path: where.
        failure: why nothing can be kept, if so; else empty.
    """

    def __init__(self, path: Path | None, *, identity: str, vkeys: Mapping[str, str]) -> None:
        self.path = path
        self.failure = ""
        self._identity = identity
        self._vkeys = dict(vkeys)
        self._seen: tuple[int, int] | None = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process out for as long as the block runs; without a file, do nothing."""
        with contextlib.ExitStack() as stack:
            if self.path is not None and not self.failure:
                try:
                    self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                    stack.callback(os.close, lock)  # which gives up the lock
                    fcntl.flock(lock, fcntl.LOCK_EX)
                except OSError as error:
                    self._fail(error)
            yield

    def read(self) -> Remembered | None:
        """Return what another process wrote since we read or wrote last; None if nobody did.

        Raises:
            ProfileError: the file is damaged, or of another identity or appliance.
        """
        if self.path is None or self.failure:
            return None
        try:
            found = self.path.stat()
            if (found.st_ino, found.st_mtime_ns) == self._seen:
                return None
            return self._parse(self.path, self.path.read_bytes()[:MOST_BYTES])
        except FileNotFoundError:
            return None
        except OSError as error:
            self._fail(error)
            return None

    def write(self, remembered: Remembered, *, durable: bool) -> None:
        """Replace the file.

        Args:
            remembered: what it says then.
            durable: whether it outlasts a power cut once this returns.
        """
        if self.path is None or self.failure:
            return
        document = {"identity": self._identity, "vkeys": self._vkeys, **asdict(remembered)}
        content = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
        try:
            replace_file(self.path, content, durable=durable)
            found = self.path.stat()
        except OSError as error:
            self._fail(error)
        else:
            self._seen = (found.st_ino, found.st_mtime_ns)

    def set_aside(self, number: int) -> Path | None:
        """Copy the file, as evidence, and return where to; None without a file.

        Args:
            number: of the copy.

        Raises:
            OSError: it cannot be copied.
        """
        if self.path is None or self.failure:
            return None
        aside = self.path.with_name(f"{self.path.stem}.before-restore-{number}{self.path.suffix}")
        replace_file(aside, self.path.read_bytes(), durable=True)
        return aside

    def _parse(self, path: Path, content: bytes) -> Remembered:
        try:
            document = json.loads(content)
            if (document["identity"], document["vkeys"]) != (self._identity, self._vkeys):
                raise ProfileError(f"{path}: is the memory of another identity or appliance; move it away")
            return Remembered(
                logs={half: _log_memory(document["logs"][half], vkey) for half, vkey in self._vkeys.items()},
                open={name: {half: int(calls[half]) for half in calls} for name, calls in document["open"].items()},
                accepted=int(document.get("accepted", 0)),
            )
        except (ValueError, KeyError, TypeError, AttributeError, VerificationError):
            raise ProfileError(f"{path}: is damaged; move it away to begin anew, and tell the auditor") from None

    def _fail(self, error: OSError) -> None:
        self.failure = f"{error.filename or self.path}: {error.strerror}"


def _log_memory(document: Mapping[str, Any], vkey: str) -> LogMemory:
    """Read what is remembered of a log; a head that it did not sign is not remembered.

    Raises:
        VerificationError: the log did not sign a head.
    """
    setback = document.get("setback")
    found = LogMemory(**{**document, "setback": None if setback is None else Setback(**setback)})
    if found.head:
        open_checkpoint(found.head, VerifierKey.parse(vkey))
    if found.setback is not None:
        found.setback.verify(vkey)
    return found


def memory_file(identity: str, vkeys: Mapping[str, str]) -> Path:
    """Return where a client remembers unless its profile says otherwise: ``$XDG_STATE_HOME/heldout/clients/…``."""
    words = "\n".join([identity, *(vkeys[half] for half in sorted(vkeys))])
    return state_home() / "clients" / f"{hashlib.sha256(words.encode()).hexdigest()[:DIGITS]}.json"


def is_alive(name: str) -> bool:
    """Say whether the process that begins this name is still there."""
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        pass
    return True
