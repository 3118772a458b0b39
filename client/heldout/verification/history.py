"""What happened in a log, counted while it is checked: who called what, how it was decided, and every event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from heldout.verification.entry import Entry

START: Final = "start"
RELOAD: Final = "reload"
DECIDED_BY: Final = frozenset({START, RELOAD})
"""Events that name the documents by which the calls after them are decided."""

ALLOW: Final = "allow"

OK: Final = "OK"
"""The status of a call that did what it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGroup:
    """Count calls of one identity and method that were decided alike, under the same documents.

    Attributes:
        period: index of the event that named the documents in force; -1 before any.
        decision: ``allow`` or ``deny``; empty for a method that does not exist.
        rules: ids of the rules that decided.
        policy_digest: hex SHA-256 of the release policy in force, as the intents say.
        calls: how many, at least 1.
        first, last: index of the first and the last of them.
        first_s, last_s: their times, in Unix seconds.
    """

    period: int
    identity: str
    role: str
    name: str
    decision: str
    rules: tuple[str, ...]
    policy_digest: str
    calls: int
    first: int
    last: int
    first_s: int
    last_s: int

    @property
    def key(self) -> tuple[object, ...]:
        """What the calls of a group have in common."""
        return (self.period, self.identity, self.role, self.name, self.decision, self.rules, self.policy_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Hold what happened in a log.

    Attributes:
        events: every event, in order.
        calls: every intent, in groups; those that began earlier first.
        endings: outcomes by identity, role, method and status.
        hours: calls that ended well and that did not, by the Unix hour in which they ended.
    """

    events: tuple[Entry, ...] = ()
    calls: tuple[CallGroup, ...] = ()
    endings: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict)
    hours: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def named(self, *names: str) -> tuple[Entry, ...]:
        """Return the events of some names, in order."""
        return tuple(event for event in self.events if event.name in names)


def join_histories(parts: Iterable[History]) -> History:
    """Join the histories of stretches that follow each other.

    Calls before the first event of a stretch that names documents are decided under those of the stretch before it.
    """
    events: list[Entry] = []
    calls: dict[tuple[object, ...], CallGroup] = {}
    endings: dict[tuple[str, str, str, str], int] = {}
    hours: dict[int, tuple[int, int]] = {}
    period = -1
    for part in parts:
        for group in part.calls:
            found = group if group.period >= 0 else replace(group, period=period)
            known = calls.get(found.key)
            calls[found.key] = found if known is None else _joined(known, found)
        events += part.events
        period = max([period, *(event.index for event in part.events if event.name in DECIDED_BY)])
        for key, number in part.endings.items():
            endings[key] = endings.get(key, 0) + number
        for hour, (well, otherwise) in part.hours.items():
            before = hours.get(hour, (0, 0))
            hours[hour] = (before[0] + well, before[1] + otherwise)
    ordered = sorted(calls.values(), key=lambda group: group.first)
    return History(events=tuple(events), calls=tuple(ordered), endings=endings, hours=hours)


def _joined(one: CallGroup, other: CallGroup) -> CallGroup:
    return replace(
        one, calls=one.calls + other.calls, last=other.last, last_s=other.last_s
    )  # stretches come in order, so the first of the earlier one is the first of both
