"""Token buckets: how often something may happen, by the monotonic clock. A step of the wall clock frees nobody."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from heldout_server.config.limits import Rate
from heldout_server.ports.environment import Clock

EPSILON_S: Final = 1e-9
"""Far below a clock's tick, and above the rounding of sums of rates."""

K = TypeVar("K", bound=Hashable)


class Buckets(Generic[K]):
    """Hold one token bucket for each key, full at first.

    A bucket is kept as the moment at which it is full again, so one that has been full for a while holds nothing that a
    new one does not. There are as many keys as known identities and methods make.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at_s: dict[K, float] = {}

    def take(self, key: K, rate: Rate) -> float:
        """Take a token from the bucket of a key.

        Returns:
            0.0 if there was one; otherwise the seconds until there is.
        """
        now_s = self._clock.monotonic_s()
        full_at_s = max(self._full_at_s.get(key, now_s), now_s) + 1 / rate.per_s
        wait_s = full_at_s - now_s - rate.burst / rate.per_s
        if wait_s > EPSILON_S:
            return wait_s
        self._full_at_s[key] = full_at_s
        return 0.0
