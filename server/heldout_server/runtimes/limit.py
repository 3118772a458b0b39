"""How many requests an endpoint gets at once: more while it answers, half when it says that it has too many.

Additive increase, multiplicative decrease (Chiu and Jain 1989; TCP's congestion avoidance, RFC 5681 section 3.1): as
many successes as the limit is raise it by one, an overload halves it. A burst of overloads halves it once: what was
sent before the last halving says nothing of the limit after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class AdaptiveLimit:
    """Give slots to requests, first come, first served; one may ask to have the endpoint for itself.

    Args:
        most: the limit at most, and at the start; at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._in_flight = 0
        self._taken = 0
        self._alone = False
        self._round = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_alone: deque[asyncio.Future[None]] = deque()

    @property
    def current(self) -> int:
        """How many requests may be in flight now, 1 to ``most``."""
        return int(self._limit)

    def slot(self, *, alone: bool = False) -> Slot:
        """Return a slot to enter: it is waited for, held, and given back.

        Args:
            alone: wait until nothing else is in flight, and let nothing else begin meanwhile.
        """
        return Slot(self, alone=alone)

    async def take(self, *, alone: bool) -> int:
        """Wait for a slot, and return a number to tell :meth:`overloaded`."""
        if self._is_free(alone=alone):
            self._take(alone=alone)
        else:
            await self._queue(alone=alone)
        return self._round

    def give_back(self) -> None:
        """End the holding of a slot."""
        self._in_flight -= 1
        self._alone = False  # whoever was alone was the only one
        if self._waiting or self._waiting_alone:
            self._hand_on()

    def mark(self) -> int:
        """Return what :meth:`was_alone` asks for, once a slot is held; -1 beside others."""
        return self._taken if self._in_flight == 1 else -1

    def was_alone(self, mark: int) -> bool:
        """Say whether whoever holds a slot has had the endpoint for itself since it took the mark."""
        return mark == self._taken

    def succeeded(self) -> None:
        """Note an answer."""
        if self._limit < self._most:
            self._limit = min(self._most, self._limit + 1 / self._limit)
            self._hand_on()

    def overloaded(self, sent_in: int) -> None:
        """Note that the endpoint had too many requests.

        Args:
            sent_in: what the slot yielded.
        """
        if sent_in == self._round:
            self._round += 1
            self._limit = max(1.0, self._limit / 2)

    def _is_free(self, *, alone: bool) -> bool:
        if self._alone or self._waiting_alone:
            return False
        return self._in_flight == 0 if alone else not self._waiting and self._in_flight < self.current

    def _take(self, *, alone: bool) -> None:
        self._in_flight += 1
        self._taken += 1
        self._alone = alone

    async def _queue(self, *, alone: bool) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._waiting_alone if alone else self._waiting
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot came together with the cancellation
                self._in_flight -= 1
                self._alone = False
            elif turn in queue:
                queue.remove(turn)
            self._hand_on()
            raise

    def _hand_on(self) -> None:
        """Give free slots to those who wait: first to whoever waits to be alone."""
        while not self._alone:
            for queue in (self._waiting, self._waiting_alone):
                while queue and queue[0].done():  # cancelled, and its task has not come to say so yet
                    queue.popleft()
            if self._waiting_alone:
                if self._in_flight:
                    return
                self._take(alone=True)
                self._waiting_alone.popleft().set_result(None)
            elif self._waiting and self._in_flight < self.current:
                self._take(alone=False)
                self._waiting.popleft().set_result(None)
            else:
                return


class Slot:
    """Hold one request's place among those in flight. Entered, it gives a number to tell ``overloaded``."""

    __slots__ = ("_alone", "_limit")

    def __init__(self, limit: AdaptiveLimit, *, alone: bool) -> None:
        self._limit = limit
        self._alone = alone

    async def __aenter__(self) -> int:
        return await self._limit.take(alone=self._alone)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.give_back()
