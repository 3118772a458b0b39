"""Speak OpenAI chat or text completions to one endpoint, over a Unix socket or TCP, with pooled connections.

A trial has one deadline for all of it: connecting, waiting, reading, retrying. What another attempt may mend (429,
5xx, a broken connection) is tried again after a growing, jittered pause; nothing else is. Redirects are
not followed, cookies not kept, proxies of the environment not used: a prompt goes to the endpoint that was named.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from heldout_server.config.runtimes import Dialect
from heldout_server.domain import Ending, Message, Mode, ModelResponse, Sampling, SecretText
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.runtimes.answer import is_blocked_input, read_completion, read_text_completion
from heldout_server.runtimes.deadlines import Deadline, Deadlines
from heldout_server.runtimes.question import encode_request

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
OVERLOADED: Final = frozenset({429, 503})
"""An endpoint that has too many requests says so by one of these (RFC 6585 section 4, RFC 9110 section 15.6.4)."""

TOO_MANY: Final = 429
SERVER_ERROR: Final = 500
OK: Final = 200
BAD_REQUEST: Final = 400
JSON_TYPE: Final = "application/json"
HEADERS: Final = {"Content-Type": JSON_TYPE, "Accept": JSON_TYPE, "Accept-Encoding": "identity"}
MAX_DIGITS: Final = 9
LOCAL: Final = "http://localhost"
"""The origin that a Unix socket is spoken to as; no name is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resilience:
    """Say how often and how patiently to try again.

    Attributes:
        attempts: requests for one answer at most, at least 1.
        first_pause_s: the pause before the second attempt, doubled for each one after.
        jitter: draws from [0, 1); a pause is halved at 0 and whole near 1.
        sleep: waits so many seconds.
    """

    attempts: int = 4
    first_pause_s: float = 0.1
    jitter: Callable[[], float] = field(default=random.SystemRandom().random)
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep)

    def pause_s(self, attempt: int) -> float:
        """Return how long to wait after the 1-based ``attempt`` failed, in seconds."""
        return float(self.first_pause_s * 2 ** (attempt - 1) * (1 + self.jitter()) / 2)


class _Retry(Exception):
    """Say within this module that an attempt failed and another may not."""

    def __init__(self, reason: str, after_s: float | None = None, *, overloaded: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s
        self.overloaded = overloaded


@dataclass(frozen=True, slots=True)
class _Way:
    """Say where a request goes, and how its answer is read."""

    url: str
    read: Callable[[bytes], ModelResponse]


class OpenAIClient:
    """Be the :class:`heldout_server.ports.runtimes.ModelClient` of one endpoint. Leave it to close its connections."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        origin: str,
        model: str,
        dialect: Dialect = "openai",
        resilience: Resilience | None = None,
        died: Callable[[], bool] = lambda: False,
    ) -> None:
        self._session = session
        self._ways: Final[Mapping[Mode, _Way]] = {
            "chat": _Way(f"{origin}/v1/chat/completions", read_completion),
            "completion": _Way(f"{origin}/v1/completions", read_text_completion),
        }
        self._health_url = f"{origin}/health"
        self._model = model
        self._dialect: Dialect = dialect
        self._resilience = resilience or Resilience()
        self._died = died
        self._deadlines = Deadlines()

    @classmethod
    def over_socket(
        cls,
        socket: Path,
        *,
        model: str,
        dialect: Dialect = "openai",
        headers: Mapping[str, str] | None = None,
        resilience: Resilience | None = None,
        died: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Speak to an endpoint on a Unix socket. Call it with an event loop running.

        Args:
            socket: the path, at most 107 bytes.
            model: the name that requests ask for.
            dialect: how sampling is spelt.
            headers: sent with each request, beside our own.
            resilience: how to try again; by default four attempts.
            died: says whether the process behind the endpoint has ended.
        """
        session = _session(aiohttp.UnixConnector(str(socket), limit=0), headers)
        return cls(session, origin=LOCAL, model=model, dialect=dialect, resilience=resilience, died=died)

    @classmethod
    def over_tcp(
        cls,
        origin: str,
        *,
        model: str,
        dialect: Dialect = "openai",
        headers: Mapping[str, str] | None = None,
        resilience: Resilience | None = None,
    ) -> Self:
        """Speak to an endpoint at ``http://host:port`` or ``https://…``. Call it with an event loop running."""
        session = _session(aiohttp.TCPConnector(limit=0), headers)
        return cls(session, origin=origin, model=model, dialect=dialect, resilience=resilience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.close()
        await self._session.close()

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        timeout_s: float,
        attempts: int | None = None,
        on_overload: Callable[[], None] = lambda: None,
    ) -> ModelResponse:
        """Return the model's answer.

        Args:
            messages: the conversation.
            sampling: what is asked for.
            timeout_s: seconds for all attempts together.
            attempts: at most so many, instead of what the resilience says.
            on_overload: called whenever the endpoint says that it has too many requests.

        Raises:
            EndpointError: no usable answer within ``timeout_s`` and the retries that fit in it. Reasons: ``TIMEOUT``,
                ``CONNECTION``, ``HTTP_<status>``, ``CONTENT_TYPE``, ``OVERSIZE``, ``PROTOCOL``, and those of
                :func:`heldout_server.runtimes.answer.read_completion`.
            RuntimeDied: the process behind the endpoint has ended.
        """
        body = encode_request(messages, sampling, model=self._model, dialect=self._dialect)
        try:
            with self._deadlines.within(timeout_s) as deadline:
                way = self._ways[sampling.mode]
                return await self._try(way, body, deadline, attempts or self._resilience.attempts, on_overload)
        except TimeoutError:
            self._verify_alive()
            raise EndpointError("no answer before the trial's deadline", reason="TIMEOUT") from None

    async def healthy(self) -> bool:
        """Say whether the endpoint answers ``GET /health`` with 200."""
        try:
            async with self._session.get(self._health_url, allow_redirects=False) as response:
                return response.status == OK
        except (aiohttp.ClientError, OSError):
            return False

    async def _try(
        self, way: _Way, body: bytes, deadline: Deadline, attempts: int, on_overload: Callable[[], None]
    ) -> ModelResponse:
        attempt = 1
        while True:
            self._verify_alive()
            try:
                return await self._ask(way, body)
            except _Retry as failed:
                reason, after_s = failed.reason, failed.after_s
                if failed.overloaded:
                    on_overload()
            pause_s = self._resilience.pause_s(attempt)
            if reason == "CONNECTION":
                # The kernel closes a dead process's connections before anybody learns that it ended: pause, then look,
                # even after the last attempt.
                await self._resilience.sleep(pause_s)
                self._verify_alive()
            if attempt >= attempts:
                raise EndpointError(f"no usable answer in {attempt} attempts", reason=reason)
            if reason != "CONNECTION":
                pause_s = max(pause_s, after_s or 0.0)
                if pause_s >= deadline.left_s():
                    raise EndpointError("the next attempt would come after the trial's deadline", reason=reason)
                await self._resilience.sleep(pause_s)
            attempt += 1

    async def _ask(self, way: _Way, body: bytes) -> ModelResponse:
        try:
            async with self._session.post(way.url, data=body, allow_redirects=False) as response:
                status = response.status
                if status == TOO_MANY or status >= SERVER_ERROR:
                    overloaded = status in OVERLOADED
                    raise _Retry(f"HTTP_{status}", _retry_after_s(response.headers), overloaded=overloaded)
                if status not in {OK, BAD_REQUEST}:
                    raise EndpointError(f"the endpoint answered with HTTP {status}", reason=f"HTTP_{status}")
                headers = response.headers
                # Most say just that; what says more is taken apart.
                if headers.get("Content-Type") != JSON_TYPE and response.content_type != JSON_TYPE:
                    raise EndpointError("the endpoint's answer is not JSON by its type", reason="CONTENT_TYPE")
                if headers.get("Content-Encoding", "identity") != "identity":
                    raise EndpointError("the endpoint's answer is compressed, unasked", reason="CONTENT_TYPE")
                answer = await _read(response)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError):
            raise _Retry("CONNECTION") from None
        except (aiohttp.ClientError, ValueError):
            raise EndpointError("the endpoint does not speak HTTP as it should", reason="PROTOCOL") from None
        if status == OK:
            return way.read(answer)
        if is_blocked_input(answer):
            return ModelResponse(text=SecretText(""), ending=Ending.BLOCKED_INPUT)
        raise EndpointError(f"the endpoint answered with HTTP {status}", reason=f"HTTP_{status}")

    def _verify_alive(self) -> None:
        if self._died():
            raise RuntimeDied("the process behind the endpoint has ended")


def _session(connector: aiohttp.BaseConnector, headers: Mapping[str, str] | None) -> aiohttp.ClientSession:
    # Ours stand: what is sent and read is JSON, whatever a config says.
    others = {name: value for name, value in (headers or {}).items() if name.title() not in HEADERS}
    return aiohttp.ClientSession(
        connector=connector,
        headers={**others, **HEADERS},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # a trial's deadline bounds all of it
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent",),
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = response.content_length or 0
    read = 0
    while size <= MAX_ANSWER_BYTES and read <= MAX_ANSWER_BYTES and (chunk := await response.content.readany()):
        chunks.append(chunk)
        read += len(chunk)
    if max(size, read) > MAX_ANSWER_BYTES:
        response.close()  # the rest is not waited for, and the connection not used again
        raise EndpointError(f"the endpoint's answer is over {MAX_ANSWER_BYTES} bytes", reason="OVERSIZE")
    return b"".join(chunks)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return what ``Retry-After`` asks for in seconds (RFC 9110 section 10.2.3); a date counts from ``Date``."""
    asked = headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(asked[:MAX_DIGITS])
    try:
        return (parsedate_to_datetime(asked) - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
