"""An environment without chance: time that is moved, names that are counted, noise that is known."""

import asyncio
import hashlib
import io
import itertools
import re
import threading
import time
from collections import defaultdict

BEGIN_S = int(time.time()) // 60 * 60
"""TLS looks at the machine's clock, so the certificates must be valid by both: the twins' time begins at this one's."""


class StillClock:
    """Stand still until it is moved."""

    def __init__(self, now_s):
        self._now_s = float(now_s)
        self._moved = asyncio.Event()

    def now_s(self):
        return self._now_s

    def monotonic_s(self):
        return self._now_s - BEGIN_S + 1_000.0

    def advance(self, seconds):
        self.advance_to(self._now_s + seconds)

    def advance_to(self, now_s):
        self._now_s = max(self._now_s, now_s)
        self._moved.set()
        self._moved = asyncio.Event()

    async def moved(self, _seconds):
        """Wait until it is moved: who sleeps by another clock would wake by chance."""
        await self._moved.wait()


class CountedIds:
    """Name by counting, each prefix for itself: threads that name different things do not get in each other's way."""

    def __init__(self, start):
        self._next = defaultdict(lambda: itertools.count(start))
        self._lock = threading.Lock()

    def new(self, prefix):
        with self._lock:
            return f"{prefix}-{next(self._next[prefix]):016x}"

    def several(self, prefix, count):
        return [self.new(prefix) for _ in range(count)]


class KnownNoise:
    """Add what follows from the place and the scale alone."""

    def add(self, values, *, sigma):
        return [value + round(sigma * ((place * 7 + 3) % 5 - 2) / 2) for place, value in enumerate(values)]


def same_bytes(count):
    """Return so many bytes, all the same."""
    return b"\x5a" * count


class NumberedFingerprints:
    """Take the fingerprint of the number in a prompt: equal in both banks, different within each."""

    def __init__(self, key):
        self._key = key

    def of(self, text):
        number = re.search(r"gift (\d+)", text.reveal())[1]
        return hashlib.sha256(self._key + number.encode()).digest()[:16]


class Lines(io.StringIO):
    """Collect log lines until they are taken."""

    def take(self):
        lines = self.getvalue().splitlines()
        self.seek(0)
        self.truncate()
        return tuple(lines)
