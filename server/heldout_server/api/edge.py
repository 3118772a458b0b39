"""The chain that every call goes through, in numbered steps.

1. Identify: exactly one known URI name in the client's certificate.
2. Decide: Cedar, deny by default.
3. Record the intent: who, what, the decision and its rules, a MAC of the request. Durable before anything else happens.
4. Parse and validate the request.
5. Act, within the method's deadline.
6. Gate: what goes to anybody but a bank tester must fit its disclosure classes.
7. Serialize, and record the outcome with a salted digest of the exact response bytes. Durable before the answer leaves.
8. Answer, with a receipt in the trailing metadata.

gRPC's own (de)serializers are not used, because exceptions in them reach the client with their text: the interceptor
hands gRPC handlers that take and give bytes. A failure at any step goes through the error table, and is an outcome too.
If the log fails, nothing is answered, then or later.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from protovalidate import ValidationError, Validator

from heldout_policy.disclosure import verify_disclosable
from heldout_proto.v1 import findings_pb2
from heldout_server.api.contract import Method
from heldout_server.api.status import (
    CANCELLED,
    DEADLINE,
    DETAILS_KEY,
    REFUSED,
    UNIMPLEMENTED,
    UNLOGGED,
    Status,
    internal,
    status_for,
)
from heldout_server.domain import Principal, Role
from heldout_server.errors import InvalidRequest, Refused, StorageError
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.environment import Clock, Ids
from heldout_server.ports.identity import Decision, Gatekeeper
from heldout_server.telemetry import Metrics

RECEIPT_KEY: Final = "heldout-receipt-bin"
SALT_BYTES: Final = 16
UNKNOWN_METHOD: Final = "unknown-method"
UNKNOWN: Final = Decision(allowed=False, rules=())

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Any  # grpc's method handler, whose stubs know only the synchronous shapes


@dataclass(frozen=True, slots=True)
class Call:
    """Tell a servicer who calls; there is nothing else for it to know of the transport."""

    principal: Principal


@dataclass(frozen=True, slots=True)
class _Begun:
    """Carry a call whose intent is in the log."""

    method: Method
    principal: Principal | None
    decision: Decision
    intent: Logged
    started_s: float


class Edge(grpc.aio.ServerInterceptor):
    """Run every call through the chain.

    Args:
        contract: every method by its full name.
        gatekeeper: identifies and decides.
        logs: the audit log by half.
        policy_digest: hex SHA-256 of the release policy in force.
        approved_texts: every text of every approved card.
        on_log_failure: called once a log cannot be written: readiness drops, the process ends.
    """

    def __init__(
        self,
        *,
        contract: Mapping[str, Method],
        gatekeeper: Gatekeeper,
        logs: Mapping[str, AuditLog],
        policy_digest: str,
        approved_texts: frozenset[str],
        clock: Clock,
        ids: Ids,
        metrics: Metrics,
        on_log_failure: Callable[[], None],
    ) -> None:
        self._contract = contract
        self._gatekeeper = gatekeeper
        self._logs = logs
        self._policy_digest = policy_digest
        self._approved_texts = approved_texts
        self._clock = clock
        self._ids = ids
        self._metrics = metrics
        self._on_log_failure = on_log_failure
        self._validator = Validator()
        self._unlogged = False  # set once a log failed: then nothing is answered, whichever half a call is for
        self._log = structlog.get_logger("edge")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return a handler that takes and gives bytes and runs the chain around the servicer's."""
        handler = await continuation(handler_call_details)
        method = self._contract.get(handler_call_details.method)
        self._metrics.arrived("other" if method is None else method.name)
        if handler is None or method is None:
            return grpc.unary_unary_rpc_method_handler(self._guarded(self._refuse_unknown))
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._streaming_answer(method, handler))
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._guarded(self._streaming_request(method, handler)))
        return grpc.unary_unary_rpc_method_handler(self._guarded(self._unary(method, handler)))

    def _guarded(self, shape: Callable[[Any, Context], Awaitable[bytes]]) -> Callable[[Any, Context], Awaitable[bytes]]:
        """Let no exception through to gRPC but its own: it would send the text to the caller."""

        async def call(request: Any, context: Context) -> bytes:
            async with self._last_line(context):
                return await shape(request, context)
            raise AssertionError("the last line raises what it catches")

        return call

    @contextlib.asynccontextmanager
    async def _last_line(self, context: Context) -> AsyncIterator[None]:
        """Catch what fails outside the steps that record their failures: recording itself, or identifying."""
        try:
            yield
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
            opaque_id = self._ids.new("err")
            self._log.error("call_failed", error=type(error).__name__, opaque_id=opaque_id)
            await _abort(context, internal(opaque_id))

    # The three shapes of a call

    def _unary(self, method: Method, handler: Handler) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(request: bytes, context: Context) -> bytes:
            begun = await self._begin(method, request, context)
            try:
                principal = _allowed(begun)
                message = self._parse(handler, request)
                async with asyncio.timeout(_deadline_s(method, context)):
                    response = await handler.unary_unary(message, Call(principal))
                answer = self._gate_and_serialize(response, principal)
            except BaseException as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
                await self._fail(begun, error, context)
            await self._finish(begun, answer, context)
            return answer

        return call

    def _streaming_request(
        self, method: Method, handler: Handler
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
        async def call(requests: AsyncIterator[bytes], context: Context) -> bytes:
            begun = await self._begin(method, b"", context)
            digest = hashlib.sha256()

            async def parsed() -> AsyncIterator[Message]:
                async for request in requests:
                    digest.update(len(request).to_bytes(4, "big") + request)
                    yield self._parse(handler, request)

            try:
                principal = _allowed(begun)
                async with asyncio.timeout(_deadline_s(method, context)):
                    response = await handler.stream_unary(parsed(), Call(principal))
                answer = self._gate_and_serialize(response, principal)
            except BaseException as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
                await self._fail(begun, error, context, stream=digest.digest())
            await self._finish(begun, answer, context, stream=digest.digest())
            return answer

        return call

    def _streaming_answer(self, method: Method, handler: Handler) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
        async def call(request: bytes, context: Context) -> AsyncIterator[bytes]:
            begun = await self._begin(method, request, context)
            digest = hashlib.sha256()
            try:
                principal = _allowed(begun)
                message = self._parse(handler, request)
                async with asyncio.timeout(_deadline_s(method, context)):
                    async for response in handler.unary_stream(message, Call(principal)):
                        answer = self._gate_and_serialize(response, principal)
                        digest.update(len(answer).to_bytes(4, "big") + answer)
                        yield answer
            except BaseException as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
                await self._fail(begun, error, context)
            await self._finish(begun, digest.digest(), context)

        async def guarded(request: bytes, context: Context) -> AsyncIterator[bytes]:
            async with self._last_line(context):
                async for answer in call(request, context):
                    yield answer

        return guarded

    async def _refuse_unknown(self, request: bytes, context: Context) -> bytes:
        """Record a call of a method that does not exist, and refuse it. Its name is the caller's text: not logged."""
        log = self._logs.get("window") or next(iter(self._logs.values()))
        principal = self._gatekeeper.identify(_peer(context))
        mac = log.request_mac(request)
        intent = await self._append(log, _call_record("intent", UNKNOWN_METHOD, principal, request_mac=mac), context)
        details = {"intent": intent.index, "status": UNIMPLEMENTED.reason}
        await self._append(log, _call_record("outcome", UNKNOWN_METHOD, principal, **details), context)
        await _abort(context, UNIMPLEMENTED)

    # The steps

    async def _begin(self, method: Method, request: bytes, context: Context) -> _Begun:
        started_s = self._clock.monotonic_s()
        principal = self._gatekeeper.identify(_peer(context))  # (1)
        decision = UNKNOWN if principal is None else self._gatekeeper.decide(principal, method.name)  # (2)
        log = self._logs[method.half]
        record = _call_record(
            "intent",
            method.name,
            principal,
            request_mac=log.request_mac(request),
            decision="allow" if decision.allowed else "deny",
            rules=decision.rules,
            policy_digest=self._policy_digest,
        )
        appending = asyncio.ensure_future(self._append(log, record, context))  # (3)
        try:
            intent = await asyncio.shield(appending)
        except asyncio.CancelledError:
            # The caller is gone while its intent goes into the log: without an outcome one would seem to be missing.
            begun = _Begun(method, principal, decision, await appending, started_s)
            await asyncio.shield(self._record_outcome(begun, CANCELLED.reason, context))
            raise
        return _Begun(method, principal, decision, intent, started_s)

    def _parse(self, handler: Handler, request: bytes) -> Message:
        try:
            message: Message = handler.request_deserializer(request)
            if len(UnknownFieldSet(message)) > 0:
                raise InvalidRequest("the request holds a field that the contract does not know")
            self._validator.validate(message)
        except (DecodeError, ValidationError):
            # The library's text names fields and may quote values, so nothing of it goes on.
            raise InvalidRequest("the request does not parse or breaks a rule of the contract") from None
        return message

    def _gate_and_serialize(self, response: Message, principal: Principal) -> bytes:
        if principal.role is not Role.BANK_TESTER:
            verify_disclosable(response, approved_texts=self._approved_texts)  # (6)
        return response.SerializeToString(deterministic=True)

    async def _finish(self, begun: _Begun, answer: bytes, context: Context, *, stream: bytes = b"") -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        logged = await self._record_outcome(begun, "OK", context, answer=answer, salt=salt, stream=stream)  # (7)
        receipt = findings_pb2.Receipt(entry=logged.entry, proof=logged.proof, salt=salt)
        context.set_trailing_metadata(((RECEIPT_KEY, receipt.SerializeToString()),))  # (8)

    async def _fail(self, begun: _Begun, error: BaseException, context: Context, *, stream: bytes = b"") -> NoReturn:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            # The caller is gone, and this task with it: the outcome is recorded all the same.
            await asyncio.shield(self._record_outcome(begun, CANCELLED.reason, context, stream=stream))
            raise error
        if not isinstance(error, Exception):
            raise error
        opaque_id = self._ids.new("err")
        role = None if begun.principal is None else begun.principal.role
        status = DEADLINE if isinstance(error, TimeoutError) else status_for(error, role, opaque_id=opaque_id)
        if status.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}:
            self._log.error("call_failed", method=begun.method.name, error=type(error).__name__, opaque_id=opaque_id)
        await self._record_outcome(begun, status.recorded or status.reason, context, stream=stream)
        await _abort(context, status)

    async def _record_outcome(
        self,
        begun: _Begun,
        status: str,
        context: Context,
        *,
        answer: bytes | None = None,
        salt: bytes = b"",
        stream: bytes = b"",
    ) -> Logged:
        log = self._logs[begun.method.half]
        details: dict[str, Any] = {"intent": begun.intent.index, "status": status}
        if answer is not None:
            details["response_sha256"] = hashlib.sha256(salt + answer).hexdigest()
        if stream:
            details["request_mac"] = log.request_mac(stream)
        logged = await self._append(
            log, _call_record("outcome", begun.method.name, begun.principal, **details), context
        )
        self._metrics.call(begun.method.name, status, self._clock.monotonic_s() - begun.started_s)
        return logged

    async def _append(self, log: AuditLog, record: Record, context: Context) -> Logged:
        if self._unlogged:
            await _abort(context, UNLOGGED)
        try:
            return await log.append(record)
        except StorageError:
            self._unlogged = True
            self._on_log_failure()
            await _abort(context, UNLOGGED)


def _call_record(kind: str, name: str, principal: Principal | None, **details: Any) -> Record:
    if principal is None:
        return Record(kind=kind, name=name, identity="unknown", details=details)
    return Record(kind=kind, name=name, identity=principal.identity, role=principal.role.value, details=details)


def _allowed(begun: _Begun) -> Principal:
    if begun.principal is None or not begun.decision.allowed:
        raise Refused(REFUSED.message)
    return begun.principal


def _peer(context: Context) -> dict[str, tuple[bytes, ...]]:
    return {key: tuple(values) for key, values in context.auth_context().items()}


def _deadline_s(method: Method, context: Context) -> float:
    remaining = context.time_remaining()
    return method.deadline_s if remaining is None else min(method.deadline_s, remaining)


async def _abort(context: Context, status: Status) -> NoReturn:
    """End a call with a status. The trailing metadata carry the machine reason."""
    metadata = ((DETAILS_KEY, status.details()),)
    await context.abort(status.code, status.message, metadata)
    raise AssertionError("abort raises")
