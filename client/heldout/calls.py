"""One way to call, for every method: send, check the receipt, read the answer.

1. The receipt proves that the outcome of a call stands in the log of the half that served it, signed by the key that
   the profile pins, with the digest of exactly the bytes that came.
2. It names our call: the method, and our identity.
3. It is new: it stands behind every entry that the newest head known before the call covers, and its number is above
   every number that a call of ours had before. An old answer with its old receipt is not taken for a new one, and an
   appliance that went back is noticed, by a later process too (``memory``).
4. An auditor's first answer also proves that the log continues the head that an earlier process remembered.

What contradicts 3 or 4 is remembered, and nothing is asked of that appliance any more until a person accepts it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from heldout.call_numbers import Known
from heldout.contract import HALF_NAMES, HALF_NUMBERS, Method, find_method
from heldout.errors import CallError, NotFound, Refused, VerificationError
from heldout.memory import ClientMemory
from heldout.transport import Transport
from heldout.verification import Entry, VerifierKey, open_checkpoint, verify_call_receipt
from heldout.verification.merkle import verify_consistency
from heldout.verification.receipt import parse_proof
from heldout_proto.v1 import audit_pb2, findings_pb2, options_pb2

M = TypeVar("M", bound=Message)

AUDITOR: Final = "auditor"
AUDIT_SERVICE: Final = "AuditService"
LENGTH_BYTES: Final = 4
UNKNOWN_METHOD: Final = frozenset({"UNKNOWN_METHOD", "UNIMPLEMENTED"})
"""Reasons of calls that are recorded by whichever half was asked, in whichever log it has."""


class Caller:
    """Call methods of the contract and believe no answer without its receipt.

    Args:
        transport: carries the bytes.
        identity: who we are in the log.
        vkeys: the verifier key of the log of each half.
        memory: what earlier processes saw; nothing if None.
        window: carries the bytes to the window half, where that is a process of its own.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        identity: str,
        vkeys: Mapping[str, str],
        memory: ClientMemory | None = None,
        window: Transport | None = None,
    ) -> None:
        self._transports = {"vault": transport, "window": window or transport}
        self._apart = window is not None
        self._identity = identity
        self._vkeys = dict(vkeys)
        self.memory = memory or ClientMemory(None, identity=identity, vkeys=vkeys)
        self._remembered = {half: note for half in vkeys if (note := self.memory.head(half))}
        self._notes: dict[str, str] = {}

    def vkey(self, half: str) -> str:
        """Return the verifier key of a half's log."""
        return self._vkeys[half]

    def receipt_note(self, half: str) -> str | None:
        """Return the signed note of the head that the newest receipt of a half was under; None before any."""
        return self._notes.get(half)

    async def unary(
        self,
        service: str,
        name: str,
        request: Message,
        response: type[M],
        *,
        unproven: Callable[[M], bool] | None = None,
    ) -> M:
        """Send a message and return the answer.

        Args:
            service: its service, such as ``BankService``.
            name: of the method, such as ``GetStats``.
            request: what is sent.
            response: type of the answer.
            unproven: says of an answer whether it may come without a receipt; None for never.

        Raises:
            CallError: there is no answer.
            VerificationError: the receipt is missing, or does not hold.
        """
        method = self._find(service, name, request)
        with self._begun(method) as call:
            answer = await self._transports[method.half].unary(
                method.name, request.SerializeToString(), timeout_s=method.deadline_s
            )
            if unproven is not None and answer.receipt is None:
                message = _parse(response, answer.body or b"")
                if unproven(message):
                    return message
            entry = self._verify(call, answer.body or b"", answer.receipt)
        if entry.role == AUDITOR:
            await self.verify_continued(method.half, self._notes[method.half])
        return _parse(response, answer.body or b"")

    async def send_stream(self, service: str, name: str, requests: AsyncIterator[Message], response: type[M]) -> M:
        """Send many messages and return the answer. If the iterator raises, the call is cancelled.

        Raises:
            CallError: there is no answer.
            VerificationError: the receipt is missing, or does not hold.
        """
        method = find_method(service, name)
        with self._begun(method) as call:
            answer = await self._transports[method.half].send_stream(
                method.name, (request.SerializeToString() async for request in requests), timeout_s=method.deadline_s
            )
            self._verify(call, answer.body or b"", answer.receipt)
        return _parse(response, answer.body or b"")

    async def receive_stream(
        self, service: str, name: str, request: Message, response: type[M]
    ) -> AsyncGenerator[M, None]:
        """Send a message and yield each answer as it comes, before anything can prove it.

        The receipt at the end is over the SHA-256 of all answers, each after its length in four bytes.

        Raises:
            CallError: the stream broke.
            VerificationError: the receipt is missing or does not hold: do not trust what came before it.
        """
        method = find_method(service, name)
        digest = hashlib.sha256()
        with self._begun(method) as call:
            answers = self._transports[method.half].receive_stream(
                method.name, request.SerializeToString(), timeout_s=method.deadline_s
            )
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    if answer.body is not None:
                        digest.update(len(answer.body).to_bytes(LENGTH_BYTES, "big") + answer.body)
                        yield _parse(response, answer.body)
                    else:
                        self._verify(call, digest.digest(), answer.receipt)

    async def close(self) -> None:
        """Give up the connection."""
        self.memory.close()
        await self._transports["vault"].close()
        if self._apart:
            await self._transports["window"].close()

    def _find(self, service: str, name: str, request: Message) -> Method:
        """Return a method; where the halves are two processes, a log is read from the half that holds it."""
        method = find_method(service, name)
        asked = HALF_NAMES.get(getattr(request, "log", options_pb2.HALF_UNSPECIFIED))
        return replace(method, half=asked) if self._apart and service == AUDIT_SERVICE and asked else method

    @contextlib.contextmanager
    def _begun(self, method: Method) -> Iterator[_Call]:
        """Follow a call to its end, so that its number is accounted for."""
        call = _Call(method, self.memory.begin(method.half))
        anywhere = False
        try:
            yield call
        except (CallError, VerificationError) as error:
            # Without a receipt that holds, a profile that names one half for both does not know which one recorded it.
            anywhere = isinstance(error, VerificationError) or error.reason in UNKNOWN_METHOD
            raise
        finally:
            if not call.verified:
                self.memory.fail(call.known, anywhere=anywhere)

    def _verify(self, call: _Call, body: bytes, receipt: bytes | None) -> Entry:
        if receipt is None:
            raise VerificationError("the answer came without a receipt: do not trust it")
        try:
            message = findings_pb2.Receipt.FromString(receipt)
        except DecodeError:
            raise VerificationError("the answer's receipt is malformed: do not trust it") from None
        half = call.method.half
        # (1) logged
        entry, head = verify_call_receipt(body, message, self._vkeys[half])
        # (2) ours
        if entry.name != call.method.name or entry.identity != self._identity:
            raise VerificationError("the answer's receipt is of another call: do not trust it")
        note = parse_proof(message.proof).checkpoint
        counter = entry.details.get("counter", 0)
        number = counter if isinstance(counter, int) else 0
        # (3) new
        if told := _went_back(call.known, index=entry.index, size=head.size, number=number):
            self.memory.refuse(half, told, note)
        call.verified = True
        self.memory.finish(call.known, note, number=number)
        self._notes[half] = note
        return entry

    async def verify_continued(self, half: str, note: str) -> None:
        """Have it proved, once, that a head continues the one remembered from before, as far as our role may ask.

        Raises:
            VerificationError: it does not.
        """
        known = self._remembered.pop(half, None)
        if known is None:
            return
        key = VerifierKey.parse(self._vkeys[half])
        old, new = open_checkpoint(known, key), open_checkpoint(note, key)
        if not 0 < old.size < new.size:
            return  # equal sizes are compared, and a smaller one is refused, where heads are kept
        request = audit_pb2.GetConsistencyProofRequest(log=HALF_NUMBERS[half], old_size=old.size, new_size=new.size)
        try:
            answer = await self.unary(
                AUDIT_SERVICE, "GetConsistencyProof", request, audit_pb2.GetConsistencyProofResponse
            )
        except (Refused, NotFound):
            return
        proof = tuple(answer.hashes)
        try:
            verify_consistency(old=old.size, new=new.size, old_root=old.root, new_root=new.root, proof=proof)
        except VerificationError as error:
            self.memory.refuse(half, str(error), note, before=known)


@dataclass(slots=True)
class _Call:
    """Follow one call.

    Attributes:
        known: what was known of the log when it began.
        verified: whether its receipt holds.
    """

    method: Method
    known: Known
    verified: bool = False


def _went_back(known: Known, *, index: int, size: int, number: int) -> str:
    """Say how an answer is older than what was known before its call; empty if it is not."""
    told = []
    if 0 < number <= known.number:
        again = "again" if number == known.number else f"after number {known.number}"
        told.append(f"our call number {number} was answered {again}")
    if size < known.size:
        told.append(f"a head of {size} entries came after one of {known.size}")
    if index < known.size and not told:
        told.append("an answer's receipt is older than its call")
    return ", ".join(told)


def _parse(response: type[M], body: bytes) -> M:
    try:
        return response.FromString(body)
    except DecodeError:
        raise VerificationError("the answer does not parse: do not trust it") from None
