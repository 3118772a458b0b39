"""Denials that cannot crowd out history: the first few are logged one by one, the rest are counted.

Whoever is refused costs the log two leaves and a disk some kilobytes, each time. So an identity has a small allowance
of such calls, and unidentified callers have one for all of them together. What goes beyond it is counted, and the
counts go into the log as events ``denials`` once a minute and at the stop.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from heldout_policy.disclosure import whole_minute
from heldout_server.api.limits import Buckets
from heldout_server.config.limits import Rate
from heldout_server.domain import Principal
from heldout_server.ports.audit import Record
from heldout_server.ports.environment import Clock

ALLOWANCE: Final = Rate(per_s=1 / 6, burst=100)
"""Denials of one identity that are logged one by one."""

UNKNOWN_IDENTITY: Final = "unknown"


class _Kind(NamedTuple):
    half: str
    identity: str
    reason: str


class Denials:
    """Say which denials are logged one by one, and count the others."""

    def __init__(self, clock: Clock, allowance: Rate = ALLOWANCE) -> None:
        self._clock = clock
        self._allowance = allowance
        self._buckets: Buckets[str] = Buckets(clock)
        self._counts: Counter[_Kind] = Counter()
        self._since_s = 0

    def is_logged(self, principal: Principal | None) -> bool:
        """Take one from the caller's allowance and return whether there was one left."""
        return not self._buckets.take(identity_of(principal), self._allowance)

    def count(self, principal: Principal | None, reason: str, *, half: str) -> None:
        """Count a denial that is not logged by itself."""
        if not self._counts:
            self._since_s = whole_minute(self._clock.now_s())
        self._counts[_Kind(half, identity_of(principal), reason)] += 1

    def take_summaries(self) -> dict[str, tuple[Record, ...]]:
        """Return what was counted as events, by the half whose log they belong in, and count from zero again."""
        counts, self._counts = self._counts, Counter()
        records: dict[str, tuple[Record, ...]] = {}
        for kind, count in sorted(counts.items()):
            details: dict[str, str | int | tuple[str, ...]] = {
                "caller": kind.identity,
                "reason": kind.reason,
                "count": count,
                "from_s": self._since_s,
            }
            records[kind.half] = (*records.get(kind.half, ()), Record(kind="event", name="denials", details=details))
        return records


def identity_of(principal: Principal | None) -> str:
    """Return how the log names a caller."""
    return UNKNOWN_IDENTITY if principal is None else principal.identity
