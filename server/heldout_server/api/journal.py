"""What the edge puts into the logs: an intent before a call, an outcome after it, and nothing else than the schema's.

The journal never goes on without its log: once a record could not be written, every later call ends the same way.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from heldout_proto.v1 import findings_pb2
from heldout_server.api.contract import Method
from heldout_server.api.denials import UNKNOWN_IDENTITY
from heldout_server.api.status import CANCELLED, UNIMPLEMENTED
from heldout_server.domain import Principal
from heldout_server.errors import StorageError
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.environment import Clock
from heldout_server.ports.identity import Decision
from heldout_server.telemetry import Metrics

SALT_BYTES: Final = 16
UNKNOWN_METHOD: Final = "unknown-method"
OK: Final = "OK"


class Unlogged(StorageError):
    """Say that a record could not be written, so that nothing may be answered."""

    reason = "UNLOGGED"


@dataclass(frozen=True, slots=True)
class Begun:
    """Carry a call whose intent is in the log."""

    method: Method
    principal: Principal | None
    decision: Decision
    intent: Logged
    started_s: float


class Journal:
    """Record calls.

    Args:
        logs: the audit log by half.
        policy_digest: hex SHA-256 of the release policy in force.
        clock: times the calls.
        metrics: counts them.
        on_failure: called once a log cannot be written: readiness drops, the process ends.
        random_bytes: draws the salts of response digests.
    """

    def __init__(
        self,
        logs: Mapping[str, AuditLog],
        *,
        policy_digest: str,
        clock: Clock,
        metrics: Metrics,
        on_failure: Callable[[], None],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._logs = logs
        self._policy_digest = policy_digest
        self._clock = clock
        self._metrics = metrics
        self._on_failure = on_failure
        self._random_bytes = random_bytes
        self._unlogged = False  # set once a log failed: then nothing is answered, whichever half a call is for
        self.unknown_half = "window" if "window" in logs else next(iter(logs))

    async def begin(self, method: Method, principal: Principal | None, decision: Decision, request: bytes) -> Begun:
        """Record the intent of a call. A caller who goes away meanwhile leaves an outcome too.

        Raises:
            Unlogged: it could not be written.
        """
        started_s = self._clock.monotonic_s()
        log = self._logs[method.half]
        intent = self._append(
            log,
            _record(
                "intent",
                method.name,
                principal,
                request_mac=log.request_mac(request),
                decision="allow" if decision.allowed else "deny",
                rules=decision.rules,
                policy_digest=self._policy_digest,
            ),
        )
        try:
            logged = await self._durable(asyncio.shield(intent))
        except asyncio.CancelledError:
            # The caller is gone while its intent goes into the log: without an outcome one would seem to be missing.
            begun = Begun(method, principal, decision, await self._durable(intent), started_s)
            await asyncio.shield(self.end(begun, CANCELLED.reason))
            raise
        return Begun(method, principal, decision, logged, started_s)

    async def answer(self, begun: Begun, answer: bytes, *, stream: bytes = b"") -> bytes:
        """Record that a call is answered with these bytes, and return the serialized receipt.

        Args:
            begun: the call.
            answer: the exact bytes, or of several messages their digest.
            stream: digest of what the caller streamed.

        Raises:
            Unlogged: it could not be written.
        """
        salt = self._random_bytes(SALT_BYTES)
        logged = await self.end(begun, OK, response_sha256=hashlib.sha256(salt + answer).hexdigest(), stream=stream)
        return findings_pb2.Receipt(entry=logged.entry, proof=logged.proof, salt=salt).SerializeToString()

    async def end(self, begun: Begun, status: str, *, response_sha256: str = "", stream: bytes = b"") -> Logged:
        """Record the outcome of a call, with the number of its intent: a caller that keeps it sees an omission.

        Raises:
            Unlogged: it could not be written.
        """
        log = self._logs[begun.method.half]
        details: dict[str, Any] = {"intent": begun.intent.index, "counter": begun.intent.counter, "status": status}
        if response_sha256:
            details["response_sha256"] = response_sha256
        if stream:
            details["request_mac"] = log.request_mac(stream)
        logged = await self._durable(
            self._append(log, _record("outcome", begun.method.name, begun.principal, **details))
        )
        self._metrics.call(begun.method.name, status, self._clock.monotonic_s() - begun.started_s)
        return logged

    async def refuse_unknown(self, principal: Principal | None, request: bytes) -> None:
        """Record a call of a method that does not exist. Its name is the caller's text: not logged.

        Raises:
            Unlogged: it could not be written.
        """
        log = self._logs[self.unknown_half]
        mac = log.request_mac(request)
        intent = await self._durable(self._append(log, _record("intent", UNKNOWN_METHOD, principal, request_mac=mac)))
        details = {"intent": intent.index, "counter": intent.counter, "status": UNIMPLEMENTED.reason}
        await self._durable(self._append(log, _record("outcome", UNKNOWN_METHOD, principal, **details)))

    def _append(self, log: AuditLog, record: Record) -> asyncio.Future[Logged]:
        if self._unlogged:
            raise Unlogged("an audit log failed before")
        try:
            return asyncio.ensure_future(log.append(record))
        except StorageError:
            raise self._fail() from None

    async def _durable(self, appended: asyncio.Future[Logged]) -> Logged:
        try:
            return await appended
        except StorageError:
            raise self._fail() from None

    def _fail(self) -> Unlogged:
        self._unlogged = True
        self._on_failure()
        return Unlogged("an audit log cannot be written")


def _record(kind: str, name: str, principal: Principal | None, **details: Any) -> Record:
    if principal is None:
        return Record(kind=kind, name=name, identity=UNKNOWN_IDENTITY, details=details)
    return Record(kind=kind, name=name, identity=principal.identity, role=principal.role.value, details=details)
