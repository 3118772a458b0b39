"""Ask an endpoint for the trials of a run, so that no trial suffers for another, nor for the endpoint's own troubles.

A trial waits for its slot first; only then does its deadline start. What then goes wrong is either the trial's own
affair, and an error of it (an answer that cannot be read, a request that the endpoint refuses), or may be the
endpoint's (no connection, HTTP 401, 403, 404, 429 or 5xx, no answer in time, an answer of a proxy). In the second case
the endpoint is asked a harmless question of ours:

1. It does not answer either: the endpoint is down. The circuit opens: nothing is sent but a probe now and then, nobody
   gets a verdict, until it answers again. All that in total at most ``patience_s`` for one run; then the run is
   interrupted (:class:`heldout_server.errors.EndpointUnavailable`) and can be taken up again.
2. It answers, or does again: the trial is tried anew with a deadline of its own, alone, so that nobody else's load is
   held against it: a time-out beside other trials is no verdict, for one of them may have made the engine slow. One
   that fails alone while the endpoint is up, or with which alone the endpoint went down twice, is what fails: that is
   its error. HTTP 429 is never held against a trial.

An endpoint that is a process of ours can be ended instead of waited for. It is asked the question when it has nothing
else to do; if it is silent then, a request has stalled it: ``on_stall`` ends it, and that is a death like any other
(:class:`heldout_server.errors.RuntimeDied`), after which what was in flight is retried one at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from heldout_server.domain import Message, Mode, ModelResponse, Sampling, SecretText
from heldout_server.errors import EndpointError, EndpointUnavailable, FailedAlone, RuntimeDied
from heldout_server.runtimes.client import OpenAIClient
from heldout_server.runtimes.limit import AdaptiveLimit

PROBE: Final = (Message("user", SecretText("Good morning! Please answer with one word.")),)
"""What an endpoint is asked to see whether it is there: ours, and nobody's secret."""

PROBE_SAMPLING: Final = Sampling(max_tokens=1)
DOUBTFUL: Final = frozenset({"CONNECTION", "TIMEOUT", "PROTOCOL", "CONTENT_TYPE"})
REFUSED: Final = frozenset({"HTTP_401", "HTTP_403", "HTTP_407"})
DOUBTFUL_STATUS: Final = frozenset({401, 403, 404, 407, 429})
SERVER_ERROR: Final = 500
TIMEOUT: Final = "TIMEOUT"
TOO_MANY: Final = "HTTP_429"
MAX_STRIKES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Say how an endpoint that is down is waited for.

    Attributes:
        patience_s: seconds in all that a run may wait.
        first_pause_s: before the second probe, doubled for each one after.
        longest_pause_s: no pause is longer.
        probe_s: seconds that a probe may take.
        jitter: draws from [0, 1); a pause is halved at 0 and whole near 1.
        sleep: waits so many seconds.
    """

    patience_s: float = 1800.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    probe_s: float = 20.0
    jitter: Callable[[], float] = field(default=random.SystemRandom().random)
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep)


IMPATIENT: Final = Circuit(patience_s=0.0)
"""Wait for nothing: an endpoint that is down is at once unavailable."""


class SteadyClient:
    """Be the :class:`heldout_server.ports.runtimes.ModelClient` that a run's workers share.

    Args:
        client: speaks to the endpoint.
        most: requests in flight at most; fewer while the endpoint says that it has too many.
        circuit: how it is waited for.
        on_stall: ends the process behind the endpoint, where it is one of ours: it is never waited for then.
    """

    def __init__(
        self,
        client: OpenAIClient,
        *,
        most: int,
        circuit: Circuit | None = None,
        on_stall: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._client = client
        self._on_stall = on_stall
        self._limit = AdaptiveLimit(most)
        self._circuit = circuit or Circuit()
        self._waited_s = 0.0
        self._given_up = False
        self._refused = False
        self._mode: Mode = "chat"
        self._checking = asyncio.Lock()
        self._checks = 0
        self._was_up = True

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight now."""
        return self._limit.current

    async def complete(self, messages: Sequence[Message], sampling: Sampling, *, timeout_s: float) -> ModelResponse:
        """Return the model's answer. ``timeout_s`` counts from when the request is sent, not while it waits its turn.

        Raises:
            EndpointError: the trial failed, and the endpoint did not.
            FailedAlone: likewise, while all others waited.
            EndpointUnavailable: the endpoint is down, and the run's patience is over.
            RuntimeDied: the process behind the endpoint has ended, or stalled and was ended.
        """
        self._mode = sampling.mode
        alone, strikes = False, 0
        while True:
            if self._checking.locked():
                async with self._checking:  # the endpoint is in doubt: nothing is sent until that is known
                    self._verify_patience()
            async with self._limit.slot(alone=alone) as slot:
                mark = self._limit.mark()
                try:
                    await self._verify_answering(alone=alone)
                    response = await self._client.complete(
                        messages, sampling, timeout_s=timeout_s, on_overload=lambda: self._limit.overloaded(slot)
                    )
                except EndpointError as failure:
                    reason = failure.reason
                    if isinstance(failure, RuntimeDied) or not _may_be_the_endpoint(reason):
                        raise
                    if reason == TIMEOUT:
                        self._limit.overloaded(slot)
                    sole = alone or (reason == TIMEOUT and self._limit.was_alone(mark))
                    was_up = await self._is_up(busy=not sole)
                    if alone and reason == TOO_MANY:
                        await self._wait(self._circuit.longest_pause_s)  # its rate is limited, whoever asks
                else:
                    self._limit.succeeded()
                    return response
            if was_up and sole and reason != TOO_MANY:
                raise FailedAlone("no usable answer, and the endpoint is up", reason=reason)
            strikes += alone and not was_up and reason != TOO_MANY
            if strikes == MAX_STRIKES:
                raise FailedAlone("the endpoint went down with this trial alone, twice", reason=reason)
            alone = True

    async def _verify_answering(self, *, alone: bool) -> None:
        """Ask a process of ours, if whoever is tried now is alone with it: a silent one is ended."""
        if alone and self._on_stall is not None:
            await self._is_up(busy=False)

    async def _is_up(self, *, busy: bool) -> bool:
        """Say whether the endpoint answered at the first probe; if not, it answers again on return.

        Everybody in doubt at one time shares one check. A process of ours that is busy is not asked, but in the next
        turn, when it has nothing else to do.
        """
        if busy and self._on_stall is not None:
            return True
        seen = self._checks
        async with self._checking:
            self._verify_patience()
            if self._checks == seen:
                self._was_up = await self._probe_until_up()
                self._checks += 1
            return self._was_up

    async def _probe_until_up(self) -> bool:
        pause_s = self._circuit.first_pause_s
        was_up = True
        while not await self._probe():
            if self._on_stall is not None:
                await self._on_stall()
                raise RuntimeDied("the process behind the endpoint stalled, and was ended")
            was_up = False
            await self._wait(pause_s)
            pause_s = min(2 * pause_s, self._circuit.longest_pause_s)
        return was_up

    async def _wait(self, pause_s: float) -> None:
        taken_s = pause_s * (1 + self._circuit.jitter()) / 2
        self._given_up = self._waited_s + taken_s > self._circuit.patience_s
        self._verify_patience()
        await self._circuit.sleep(taken_s)
        self._waited_s += taken_s

    def _verify_patience(self) -> None:
        if self._given_up and self._refused:
            raise EndpointUnavailable("the endpoint refuses the appliance's key", reason="ACCESS_REFUSED")
        if self._given_up:
            raise EndpointUnavailable("the endpoint does not answer, and the run's patience is over")

    async def _probe(self) -> bool:
        try:
            sampling = replace(PROBE_SAMPLING, mode=self._mode)  # an endpoint may know only the trials' own way
            await self._client.complete(PROBE, sampling, timeout_s=self._circuit.probe_s, attempts=1)
        except RuntimeDied:
            raise
        except EndpointError as failure:
            self._refused = failure.reason in REFUSED
            return not _may_be_the_endpoint(failure.reason)  # a filter, or an odd answer: but it is there
        return True


def _may_be_the_endpoint(reason: str) -> bool:
    if reason in DOUBTFUL:
        return True
    status = reason.removeprefix("HTTP_")
    return status.isdecimal() and (int(status) in DOUBTFUL_STATUS or int(status) >= SERVER_ERROR)
