"""The chain that every call goes through, in numbered steps.

1. Identify: exactly one known URI name in the client's certificate.
2. Decide: Cedar, deny by default.
3. Limit: so many calls of an identity to a method, so many denials that are logged one by one. What is beyond that
   ends here: it is counted, and has no entry, no number and no receipt.
4. Record the intent: who, what, the decision and its rules, a MAC of the request. Durable before anything else happens.
5. Parse and validate the request.
6. Act, within the method's deadline.
7. Gate: what goes to anybody but a bank tester must fit its disclosure classes. Serialize.
8. Record the outcome with a salted digest of the exact response bytes. Durable before the answer leaves.
9. Answer, with a receipt in the trailing metadata. A refusal waits until a whole number of :data:`REFUSAL_STEP_S` has
   passed since the call came: forbidden, unknown and withheld are alike in their bytes, and so in their time.

gRPC's own (de)serializers are not used, because exceptions in them reach the client with their text: the interceptor
hands gRPC handlers that take and give bytes. A failure at any step goes through the error table, and is an outcome too.
If the log fails, nothing is answered, then or later.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import grpc
import structlog
from google.protobuf.message import Message

from heldout_server.api.contract import Method
from heldout_server.api.denials import Denials
from heldout_server.api.gate import Gate
from heldout_server.api.journal import UNKNOWN_METHOD, Begun, Journal, Unlogged
from heldout_server.api.limits import Buckets
from heldout_server.api.status import (
    CANCELLED,
    DEADLINE,
    DETAILS_KEY,
    REFUSED,
    STOPPING,
    UNIMPLEMENTED,
    UNLOGGED,
    Status,
    internal,
    rate_limited,
    status_for,
)
from heldout_server.config.limits import Rate
from heldout_server.domain import Principal, Role
from heldout_server.errors import Refused
from heldout_server.ports.environment import Clock, Ids
from heldout_server.ports.identity import Decision, Gatekeeper
from heldout_server.telemetry import Metrics
from heldout_server.telemetry.logs import error_fields

RECEIPT_KEY: Final = "heldout-receipt-bin"
NOBODY: Final = Decision(allowed=False, rules=())
REFUSAL_STEP_S: Final = 0.025
"""Far above the difference between not looking at all and looking in vain, and above a commit of the log."""

LOUD: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS})
"""Failures that an operator is told of."""

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Any  # grpc's method handler, whose stubs know only the synchronous shapes


@dataclass(frozen=True, slots=True)
class Call:
    """Tell a servicer who calls; there is nothing else for it to know of the transport."""

    principal: Principal


class Edge(grpc.aio.ServerInterceptor):
    """Run every call through the chain.

    Args:
        contract: every method by its full name.
        gatekeeper: identifies and decides.
        rates: how often an identity of each role may call a method.
        denials: says which denials are logged one by one.
        journal: records the calls.
        gate: parses requests and lets answers out.
        clock: fills the buckets of ``rates``, and measures refusals.
        ids: names what fails inside.
        metrics: counts the calls.
        pause: sleeps so many seconds.
    """

    def __init__(
        self,
        *,
        contract: Mapping[str, Method],
        gatekeeper: Gatekeeper,
        rates: Mapping[Role, Rate],
        denials: Denials,
        journal: Journal,
        gate: Gate,
        clock: Clock,
        ids: Ids,
        metrics: Metrics,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._contract = contract
        self._clock = clock
        self._pause = pause
        self._gatekeeper = gatekeeper
        self._rates = rates
        self._buckets: Buckets[tuple[str, str]] = Buckets(clock)
        self._denials = denials
        self._journal = journal
        self._gate = gate
        self._ids = ids
        self._metrics = metrics
        self._handlers: dict[str, Handler] = {}
        self._unknown: Handler = grpc.unary_unary_rpc_method_handler(self._refuse_unknown)
        self._away: Handler = grpc.unary_unary_rpc_method_handler(self._refuse_late)
        self._draining = False
        self._log = structlog.get_logger("edge")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return a handler that takes and gives bytes and runs the chain around the servicer's."""
        if self._draining:
            return self._away
        name = handler_call_details.method
        method = self._contract.get(name)
        if method is None:
            self._metrics.arrived("other")
            return self._unknown
        self._metrics.arrived(name)
        if name not in self._handlers:
            handler = await continuation(handler_call_details)
            self._handlers[name] = self._unknown if handler is None else self._chained(method, handler)
        return self._handlers[name]

    def drain(self) -> None:
        """Accept no call any more; each that comes is told to call again later, and is not recorded.

        What was accepted goes on. A server that is stopped drops calls which it took from the network and has not begun
        yet, and their callers cannot tell that from a call that was broken off: so drain before stopping.
        """
        self._draining = True

    # The three shapes of a call

    def _chained(self, method: Method, handler: Handler) -> Handler:
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._streaming_answer(method, handler))
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._streaming_request(method, handler))
        return grpc.unary_unary_rpc_method_handler(self._unary(method, handler))

    def _unary(self, method: Method, handler: Handler) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(request: bytes, context: Context) -> bytes:
            try:
                begun = await self._begin(method, request, context)
                try:
                    principal = _allowed(begun)
                    message = self._gate.parse(handler.request_deserializer, request)  # (5)
                    async with asyncio.timeout(_deadline_s(method, context)):
                        response = await handler.unary_unary(message, Call(principal))  # (6)
                    answer = self._gate.serialize(response, principal.role)  # (7)
                except BaseException as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
                    await self._fail(begun, error, context)
                await self._answer(begun, answer, context)
            except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
                await self._end_unrecorded(error, context)
            return answer

        return call

    def _streaming_request(
        self, method: Method, handler: Handler
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
        async def call(requests: AsyncIterator[bytes], context: Context) -> bytes:
            digest = hashlib.sha256()

            async def parsed(principal: Principal) -> AsyncIterator[Message]:
                async for request in requests:
                    self._verify_known(principal, context)
                    digest.update(len(request).to_bytes(4, "big") + request)
                    yield self._gate.parse(handler.request_deserializer, request)

            try:
                begun = await self._begin(method, b"", context)
                try:
                    principal = _allowed(begun)
                    async with asyncio.timeout(_deadline_s(method, context)):
                        response = await handler.stream_unary(parsed(principal), Call(principal))
                    answer = self._gate.serialize(response, principal.role)
                except BaseException as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
                    await self._fail(begun, error, context, stream=digest.digest())
                await self._answer(begun, answer, context, stream=digest.digest())
            except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
                await self._end_unrecorded(error, context)
            return answer

        return call

    def _streaming_answer(self, method: Method, handler: Handler) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
        async def call(request: bytes, context: Context) -> AsyncIterator[bytes]:
            digest = hashlib.sha256()
            try:
                begun = await self._begin(method, request, context)
                try:
                    principal = _allowed(begun)
                    message = self._gate.parse(handler.request_deserializer, request)
                    async with asyncio.timeout(_deadline_s(method, context)):
                        async for response in handler.unary_stream(message, Call(principal)):
                            self._verify_known(principal, context)
                            answer = self._gate.serialize(response, principal.role)
                            digest.update(len(answer).to_bytes(4, "big") + answer)
                            yield answer
                except BaseException as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
                    await self._fail(begun, error, context)
                await self._answer(begun, digest.digest(), context)
            except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
                await self._end_unrecorded(error, context)

        return call

    async def _refuse_unknown(self, request: bytes, context: Context) -> bytes:
        try:
            principal = self._gatekeeper.identify(context.auth_context())
            if self._denials.is_logged(principal):
                await self._journal.refuse_unknown(principal, request)
                await abort(context, UNIMPLEMENTED)
            await self._turn_away(self._journal.unknown_half, UNKNOWN_METHOD, principal, UNIMPLEMENTED, context)
        except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
            await self._end_unrecorded(error, context)

    async def _refuse_late(self, _request: bytes, context: Context) -> bytes:
        await abort(context, STOPPING)

    # The steps that need the transport

    async def _begin(self, method: Method, request: bytes, context: Context) -> Begun:
        principal = self._gatekeeper.identify(context.auth_context())  # (1)
        decision = NOBODY if principal is None else self._gatekeeper.decide(principal, method.name)  # (2)
        if principal is None or not decision.allowed:  # (3)
            if not self._denials.is_logged(principal):
                await self._turn_away(method.half, method.name, principal, REFUSED, context)
        elif wait_s := self._buckets.take((principal.identity, method.name), self._rates[principal.role]):
            await self._turn_away(method.half, method.name, principal, rate_limited(wait_s), context)
        return await self._journal.begin(method, principal, decision, request)  # (4)

    async def _turn_away(
        self, half: str, name: str, principal: Principal | None, status: Status, context: Context
    ) -> NoReturn:
        """End a call that is counted and not logged."""
        self._denials.count(principal, status.reason, half=half)
        self._metrics.call(name, status.reason, 0.0)
        if status is REFUSED:
            await self._level(self._clock.monotonic_s())
        await abort(context, status)

    async def _level(self, started_s: float) -> None:
        """Wait until a whole number of steps, one at least, has passed since a call came."""
        steps = (self._clock.monotonic_s() - started_s) / REFUSAL_STEP_S
        await self._pause((max(1, math.ceil(steps)) - steps) * REFUSAL_STEP_S)

    def _verify_known(self, principal: Principal, context: Context) -> None:
        """Check before each message of a stream that its caller was not revoked meanwhile.

        Raises:
            Refused: the identity is not known any more, or has another role.
        """
        if self._gatekeeper.identify(context.auth_context()) != principal:
            raise Refused(REFUSED.message)

    async def _answer(self, begun: Begun, answer: bytes, context: Context, *, stream: bytes = b"") -> None:
        receipt = await self._journal.answer(begun, answer, stream=stream)  # (8)
        context.set_trailing_metadata(((RECEIPT_KEY, receipt),))  # (9)

    async def _fail(self, begun: Begun, error: BaseException, context: Context, *, stream: bytes = b"") -> NoReturn:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            # The caller is gone, and this task with it: the outcome is recorded all the same.
            await asyncio.shield(self._journal.end(begun, CANCELLED.reason, stream=stream))
            raise error
        if not isinstance(error, Exception):
            raise error
        opaque_id = self._ids.new("err")
        role = None if begun.principal is None else begun.principal.role
        status = DEADLINE if isinstance(error, TimeoutError) else status_for(error, role, opaque_id=opaque_id)
        if status.code in LOUD:
            self._log.error("call_failed", method=begun.method.name, opaque_id=opaque_id, **error_fields(error))
        await self._journal.end(begun, status.recorded or status.reason, stream=stream)
        if status.reason == REFUSED.reason:
            await self._level(begun.started_s)
        await abort(context, status)

    async def _end_unrecorded(self, error: Exception, context: Context) -> NoReturn:
        """Map what fails outside the steps that record their failures: recording itself, identifying, deciding.

        gRPC would send the text of an exception to the caller, so none gets through to it but its own.
        """
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, Unlogged):
            await abort(context, UNLOGGED)
        opaque_id = self._ids.new("err")
        self._log.error("call_failed", opaque_id=opaque_id, **error_fields(error))
        await abort(context, internal(opaque_id))


def _allowed(begun: Begun) -> Principal:
    if begun.principal is None or not begun.decision.allowed:
        raise Refused(REFUSED.message)
    return begun.principal


def _deadline_s(method: Method, context: Context) -> float:
    remaining = context.time_remaining()
    return method.deadline_s if remaining is None else min(method.deadline_s, remaining)


async def abort(context: Context, status: Status) -> NoReturn:
    """End a call with a status. The trailing metadata carry the machine reason."""
    metadata = ((DETAILS_KEY, status.details()),)
    await context.abort(status.code, status.message, metadata)
    raise AssertionError("abort raises")
