"""Remember what stands in the source and is not ready, and since when: a marker that was forgotten says nothing itself.

Kept in memory alone: whoever still waits after a restart is seen anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from heldout_server.checkpoints.sources import Unready
from heldout_server.domain import IDENTIFIER, LeftOut
from heldout_server.ports.environment import Clock

PATIENCE_S: Final = 60.0
"""Seconds in which something that is being copied is expected to become ready."""

MOST: Final = 20
"""How many are told of at once, those that waited longest: whoever writes to the source could put any number there."""

STAND_IN: Final = "waiting-"


@dataclass(slots=True)
class _Seen:
    since_s: float
    at_s: int


class Waiting:
    """Hold what was not ready at the newest look, and since when.

    Args:
        clock: dates what is seen.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Unready, _Seen] = {}

    def note(self, unready: Iterable[Unready]) -> None:
        """Take in what a look found; what it did not find has become ready, or is gone."""
        now = _Seen(self._clock.monotonic_s(), int(self._clock.now_s()))
        self._seen = {one: self._seen.get(one, now) for one in unready}

    def list(self) -> tuple[LeftOut, ...]:
        """Return what has waited for :data:`PATIENCE_S`, the longest first, :data:`MOST` at most."""
        now_s = self._clock.monotonic_s()
        late = [(seen, one) for one, seen in self._seen.items() if now_s - seen.since_s >= PATIENCE_S]
        late.sort(key=lambda pair: (pair[0].since_s, pair[1].name))
        return tuple(
            LeftOut(
                name=one.name if IDENTIFIER.fullmatch(one.name) else f"{STAND_IN}{number}",
                reason=one.reason,
                seen_s=seen.at_s,
            )
            for number, (seen, one) in enumerate(late[:MOST], start=1)
        )
