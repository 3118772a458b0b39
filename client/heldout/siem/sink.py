"""What takes entries, and how an entry is weighed: the same for every sink."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Protocol

from heldout.errors import HeldoutClientError
from heldout.verification.entry import INTENT, Entry

INFORMATIONAL: Final = 6
NOTICE: Final = 5
WARNING: Final = 4
"""Severities of RFC 5424, table 2."""

WARNINGS: Final = frozenset({"denials", "policy_refused", "repair", "restore", "clock", "burn"})
NOTICES: Final = frozenset({"anchor", "epoch", "release", "reload", "seal", "start", "stop", "unseal"})


class SinkError(HeldoutClientError):
    """Say that entries could not be delivered: they are to be sent again."""


class Sink(Protocol):
    """Take entries in order."""

    def send(self, entries: Sequence[Entry], *, origin: str) -> None:
        """Deliver entries of a log, all or, as far as the sink can tell, none.

        Raises:
            SinkError: they may not have arrived.
        """
        ...

    def close(self) -> None:
        """Give up the connection."""
        ...


def severity(entry: Entry) -> int:
    """Return how much an entry matters, as a severity of RFC 5424."""
    if (entry.kind == INTENT and entry.details.get("decision") != "allow") or entry.name in WARNINGS:
        return WARNING
    return NOTICE if entry.name in NOTICES else INFORMATIONAL


def as_json(entry: Entry) -> str:
    """Return an entry as one line of JSON, with its place in the log."""
    fields = {
        "counter": entry.counter,
        "details": {key: list(value) if isinstance(value, tuple) else value for key, value in entry.details.items()},
        "identity": entry.identity,
        "index": entry.index,
        "kind": entry.kind,
        "name": entry.name,
        "role": entry.role,
        "time_s": entry.time_s,
    }
    return json.dumps(fields, separators=(",", ":"), sort_keys=True)
