"""One way to call, for every method: send, check the receipt, read the answer.

1. The receipt proves that the outcome of a call stands in the log of the half that served it, signed by the key that
   the profile pins, with the digest of exactly the bytes that came.
2. It names our call: the method, and our identity.
3. It is new: it stands behind every entry that was seen before the call began. An old answer with its old receipt is
   not taken for a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from heldout.contract import HALF_NAMES, Method, find_method
from heldout.errors import VerificationError
from heldout.transport import Transport
from heldout.verification import verify_call_receipt
from heldout.verification.receipt import parse_proof
from heldout_proto.v1 import findings_pb2

M = TypeVar("M", bound=Message)

LENGTH_BYTES: Final = 4


class Caller:
    """Call methods of the contract and believe no answer without its receipt.

    Args:
        transport: carries the bytes.
        identity: who we are in the log.
        vkeys: the verifier key of the log of each half.
    """

    def __init__(self, transport: Transport, *, identity: str, vkeys: Mapping[str, str]) -> None:
        self._transport = transport
        self._identity = identity
        self._vkeys = dict(vkeys)
        self._seen = dict.fromkeys(HALF_NAMES.values(), -1)
        self._notes: dict[str, str] = {}

    def vkey(self, half: str) -> str:
        """Return the verifier key of a half's log."""
        return self._vkeys[half]

    def receipt_note(self, half: str) -> str | None:
        """Return the signed note of the head that the newest receipt of a half was under; None before any."""
        return self._notes.get(half)

    async def unary(self, service: str, name: str, request: Message, response: type[M]) -> M:
        """Send a message and return the answer.

        Raises:
            CallError: there is no answer.
            VerificationError: the receipt is missing, or does not hold.
        """
        method = find_method(service, name)
        seen = self._seen[method.half]
        answer = await self._transport.unary(method.name, request.SerializeToString(), timeout_s=method.deadline_s)
        self._verify(method, answer.body or b"", answer.receipt, seen=seen)
        return _parse(response, answer.body or b"")

    async def send_stream(self, service: str, name: str, requests: AsyncIterator[Message], response: type[M]) -> M:
        """Send many messages and return the answer. If the iterator raises, the call is cancelled.

        Raises:
            CallError: there is no answer.
            VerificationError: the receipt is missing, or does not hold.
        """
        method = find_method(service, name)
        seen = self._seen[method.half]
        answer = await self._transport.send_stream(
            method.name, (request.SerializeToString() async for request in requests), timeout_s=method.deadline_s
        )
        self._verify(method, answer.body or b"", answer.receipt, seen=seen)
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
        seen = self._seen[method.half]
        digest = hashlib.sha256()
        answers = self._transport.receive_stream(method.name, request.SerializeToString(), timeout_s=method.deadline_s)
        async with contextlib.aclosing(answers):
            async for answer in answers:
                if answer.body is not None:
                    digest.update(len(answer.body).to_bytes(LENGTH_BYTES, "big") + answer.body)
                    yield _parse(response, answer.body)
                else:
                    self._verify(method, digest.digest(), answer.receipt, seen=seen)

    async def close(self) -> None:
        """Give up the connection."""
        await self._transport.close()

    def _verify(self, method: Method, body: bytes, receipt: bytes | None, *, seen: int) -> None:
        if receipt is None:
            raise VerificationError("the answer came without a receipt: do not trust it")
        try:
            message = findings_pb2.Receipt.FromString(receipt)
        except DecodeError:
            raise VerificationError("the answer's receipt is malformed: do not trust it") from None
        # (1) logged
        entry = verify_call_receipt(body, message, self._vkeys[method.half])
        # (2) ours
        if entry.name != method.name or entry.identity != self._identity:
            raise VerificationError("the answer's receipt is of another call: do not trust it")
        # (3) new
        if entry.index <= seen:
            raise VerificationError("the answer's receipt is older than the call: do not trust it")
        self._notes[method.half] = parse_proof(message.proof).checkpoint
        self._seen[method.half] = max(self._seen[method.half], entry.index)


def _parse(response: type[M], body: bytes) -> M:
    try:
        return response.FromString(body)
    except DecodeError:
        raise VerificationError("the answer does not parse: do not trust it") from None
