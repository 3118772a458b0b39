"""The chain of a call while the appliance is sealed. No log is open, so there is little that may be answered at all.

1. Whatever is not of the SealService gets one fixed answer, ``SEALED``, whoever asks; it is counted.
2. Identify, decide and limit, as in :mod:`heldout_server.api.edge`, with less room: a share is 256 random bits and not
   to be guessed, but somebody who tries should not fill a disk.
3. Parse, act, gate and serialize, as there.
4. Keep what the log will say of the call, durable, before it is answered; beyond a bound it is counted.
5. The share that opens the appliance is answered once everything is open and the log has all of this; with a receipt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn

import grpc
import structlog

from heldout_policy.disclosure import whole_minute
from heldout_proto.v1 import findings_pb2
from heldout_server.api.contract import Method
from heldout_server.api.denials import Denials, identity_of
from heldout_server.api.edge import NOBODY, RECEIPT_KEY, Call, Context, Handler, abort
from heldout_server.api.gate import Gate
from heldout_server.api.journal import OK, SALT_BYTES, UNKNOWN_METHOD
from heldout_server.api.limits import Buckets
from heldout_server.api.status import REFUSED, SEALED, UNLOGGED, Status, internal, rate_limited, status_for
from heldout_server.config.limits import Rate
from heldout_server.domain import Principal
from heldout_server.errors import Refused, StorageError
from heldout_server.ports.audit import Logged
from heldout_server.ports.environment import Clock, Ids
from heldout_server.ports.identity import Decision, Gatekeeper
from heldout_server.ports.seal import KeptCall, KeptCalls
from heldout_server.telemetry import Metrics

SERVICE: Final = "/heldout.v1.SealService/"
GIVE_SHARE: Final = f"{SERVICE}GiveShare"
RATE: Final = Rate(per_s=1 / 6, burst=20)
"""Calls of one identity to one method."""

ATTEMPTS: Final = Rate(per_s=1 / 60, burst=5)
"""Shares that one identity may try."""

Settle = Callable[[str], Awaitable[Logged | None]]
"""Return, for the identity whose share was taken, its outcome in the log once all is open; None if more are needed."""


class SealedEdge(grpc.aio.ServerInterceptor):
    """Run every call through the chain.

    Args:
        contract: every method by its full name.
        gatekeeper: identifies and decides.
        denials: counts what is not kept.
        gate: parses requests and lets answers out.
        kept: keeps calls for the log.
        settle: waits for the appliance to open, where a share was the last that it took.
        clock: tells the time of calls.
        ids: names what fails inside.
        random_bytes: draws salts.
        metrics: counts the calls.
    """

    def __init__(
        self,
        *,
        contract: Mapping[str, Method],
        gatekeeper: Gatekeeper,
        denials: Denials,
        gate: Gate,
        kept: KeptCalls,
        settle: Settle,
        clock: Clock,
        ids: Ids,
        random_bytes: Callable[[int], bytes],
        metrics: Metrics,
    ) -> None:
        self._contract = contract
        self._gatekeeper = gatekeeper
        self._denials = denials
        self._gate = gate
        self._kept = kept
        self._settle = settle
        self._clock = clock
        self._ids = ids
        self._random_bytes = random_bytes
        self._metrics = metrics
        self._buckets: Buckets[tuple[str, str]] = Buckets(clock)
        self._log = structlog.get_logger("edge")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return a handler that takes and gives bytes and runs the chain around the servicer's."""
        name = handler_call_details.method
        method = self._contract.get(name)
        self._metrics.arrived("other" if method is None else name)
        handler = await continuation(handler_call_details) if name.startswith(SERVICE) else None
        if method is None or handler is None:
            return grpc.unary_unary_rpc_method_handler(self._closed(method))
        return grpc.unary_unary_rpc_method_handler(self._chained(method, handler))

    def _closed(self, method: Method | None) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(_request: bytes, context: Context) -> bytes:  # (1)
            try:
                principal = self._gatekeeper.identify(context.auth_context())
                name, half = (UNKNOWN_METHOD, "vault") if method is None else (method.name, method.half)
                await self._turn_away(name, half, principal, SEALED, context)
            except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
                await self._end_unkept(error, context)

        return call

    def _chained(self, method: Method, handler: Handler) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(request: bytes, context: Context) -> bytes:
            try:
                principal, decision = await self._admit(method, context)  # (2)
                status, answer = await self._act(handler, principal, decision, request)  # (3)
                salt = self._random_bytes(SALT_BYTES)
                reason = OK if status is None else status.recorded or status.reason
                taken = status is None and method.name == GIVE_SHARE
                kept = KeptCall(
                    name=method.name,
                    identity=identity_of(principal),
                    role="" if principal is None else principal.role.value,
                    decision="allow" if decision.allowed else "deny",
                    rules=decision.rules,
                    status=reason,
                    at_s=whole_minute(self._clock.now_s()),
                    request_sha256=salt.hex() + hashlib.sha256(salt + request).hexdigest(),
                    response_sha256="" if status else hashlib.sha256(salt + answer).hexdigest(),
                )
                if not await self._kept.keep(kept, anyway=taken):  # (4)
                    self._denials.count(principal, reason, half=method.half)
                self._metrics.call(method.name, reason, 0.0)
                if status is not None:
                    await abort(context, status)
                logged = await self._settle(kept.identity) if taken else None  # (5)
                if logged is not None:
                    receipt = findings_pb2.Receipt(entry=logged.entry, proof=logged.proof, salt=salt)
                    context.set_trailing_metadata(((RECEIPT_KEY, receipt.SerializeToString()),))
            except Exception as error:  # noqa: BLE001 - the last place where it can be mapped
                await self._end_unkept(error, context)
            return answer

        return call

    async def _admit(self, method: Method, context: Context) -> tuple[Principal | None, Decision]:
        principal = self._gatekeeper.identify(context.auth_context())
        decision = NOBODY if principal is None else self._gatekeeper.decide(principal, method.name)
        if principal is None or not decision.allowed:
            if not self._denials.is_logged(principal):
                await self._turn_away(method.name, method.half, principal, REFUSED, context)
            return principal, decision
        rate = ATTEMPTS if method.name == GIVE_SHARE else RATE
        if wait_s := self._buckets.take((principal.identity, method.name), rate):
            await self._turn_away(method.name, method.half, principal, rate_limited(wait_s), context)
        return principal, decision

    async def _act(
        self, handler: Handler, principal: Principal | None, decision: Decision, request: bytes
    ) -> tuple[Status | None, bytes]:
        """Return the answer, or what the caller is told of a failure."""
        role = None if principal is None else principal.role
        try:
            known = _allowed(principal, decision)
            message = self._gate.parse(handler.request_deserializer, request)
            response = await handler.unary_unary(message, Call(known))
            return None, self._gate.serialize(response, known.role)
        except Exception as error:  # noqa: BLE001 - every failure is an outcome, and is mapped at one seam
            return status_for(error, role, opaque_id=self._ids.new("err")), b""

    async def _turn_away(
        self, name: str, half: str, principal: Principal | None, status: Status, context: Context
    ) -> NoReturn:
        """End a call that is counted and not kept."""
        self._denials.count(principal, status.reason, half=half)
        self._metrics.call(name, status.reason, 0.0)
        await abort(context, status)

    async def _end_unkept(self, error: Exception, context: Context) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, StorageError):
            await abort(context, UNLOGGED)
        opaque_id = self._ids.new("err")
        self._log.error("call_failed", error=type(error).__name__, opaque_id=opaque_id)
        await abort(context, internal(opaque_id))


def _allowed(principal: Principal | None, decision: Decision) -> Principal:
    if principal is None or not decision.allowed:
        raise Refused(REFUSED.message)
    return principal
