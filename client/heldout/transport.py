"""The seam to gRPC: bytes out, bytes and a receipt back.

gRPC's own deserializers are not used, because a receipt is over the exact bytes of a response. Foreign errors are
mapped here and nowhere else (:mod:`heldout.refusals`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from heldout.errors import VerificationError
from heldout.profile import Profile
from heldout.refusals import DETAILS_KEY, Failure, error_for

RECEIPT_KEY: Final = "heldout-receipt-bin"
MAX_MESSAGE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what came back.

    Attributes:
        body: the exact bytes of a response message; None at the end of a stream.
        receipt: the serialized ``heldout.v1.Receipt`` from the trailing metadata; None if there was none.
    """

    body: bytes | None
    receipt: bytes | None


class Transport(Protocol):
    """Carry calls. Methods are named as gRPC does; every failure is a :class:`heldout.errors.CallError`."""

    async def unary(self, method: str, request: bytes, *, timeout_s: float) -> Answer:
        """Send one message and return the answer."""
        ...

    async def send_stream(self, method: str, requests: AsyncIterator[bytes], *, timeout_s: float) -> Answer:
        """Send many messages and return the answer. If the iterator raises, the call is cancelled."""
        ...

    def receive_stream(self, method: str, request: bytes, *, timeout_s: float) -> AsyncGenerator[Answer, None]:
        """Send one message and yield each answer, then one without a body that holds the receipt."""
        ...

    async def close(self) -> None:
        """Give up the connection."""
        ...


class GrpcTransport:
    """Carry calls over one mTLS channel. Build it in the event loop that will use it.

    Args:
        profile: of the appliance.
        to_window: call the window half, which is a process of its own.
    """

    def __init__(self, profile: Profile, *, to_window: bool = False) -> None:
        address = profile.window_address if to_window else profile.address
        server_name = profile.window_server_name if to_window else profile.server_name
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # The appliance stands in the caller's own network; a proxy from the environment is for another.
            ("grpc.enable_http_proxy", 0),
        ]
        if server_name:
            options.append(("grpc.ssl_target_name_override", server_name))
        credentials = grpc.ssl_channel_credentials(profile.authority, profile.key, profile.certificate)
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        self._address = address
        self._profile = profile

    async def unary(self, method: str, request: bytes, *, timeout_s: float) -> Answer:
        """Send one message and return the answer.

        Raises:
            CallError: there is no answer.
        """
        call = self._channel.unary_unary(method, _as_is, _as_is)(request, timeout=timeout_s)
        try:
            body = await call
            return Answer(body, _find(await call.trailing_metadata(), RECEIPT_KEY))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None

    async def send_stream(self, method: str, requests: AsyncIterator[bytes], *, timeout_s: float) -> Answer:
        """Send many messages and return the answer.

        Raises:
            CallError: there is no answer.
        """
        call = self._channel.stream_unary(method, _as_is, _as_is)(timeout=timeout_s)
        statuses: list[Failure] = []
        call.add_done_callback(lambda _: statuses.append(_status_of(call)))
        try:
            whole = await _write_all(call, requests)
            body = await call
            receipt = _find(await call.trailing_metadata(), RECEIPT_KEY)
        except grpc.aio.AioRpcError as error:
            # A message that is under way when the appliance ends the call fails, and gRPC then overwrites the status
            # with one of its own, or the other way round. The appliance's has details.
            statuses.append(_failure(error))
            told = next((status for status in statuses if status.details is not None), statuses[-1])
            raise error_for(told, address=self._address, doubt=self._doubt) from None
        except BaseException:
            # Whatever went wrong on our side: the appliance must not take half a stream for a whole one.
            call.cancel()
            raise
        if not whole:
            raise VerificationError("the appliance answered before it had heard everything: do not trust it")
        return Answer(body, receipt)

    async def receive_stream(self, method: str, request: bytes, *, timeout_s: float) -> AsyncGenerator[Answer, None]:
        """Send one message and yield each answer, then one without a body that holds the receipt.

        Raises:
            CallError: the stream broke.
        """
        call = self._channel.unary_stream(method, _as_is, _as_is)(request, timeout=timeout_s)
        try:
            async for body in call:
                yield Answer(body, None)
            yield Answer(None, _find(await call.trailing_metadata(), RECEIPT_KEY))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        finally:
            call.cancel()  # of no effect on a call that is over

    async def close(self) -> None:
        """Give up the connection."""
        await self._channel.close()

    def _error(self, error: grpc.aio.AioRpcError) -> Exception:
        return error_for(_failure(error), address=self._address, doubt=self._doubt)

    def _doubt(self) -> str:
        """Say what is wrong with our own certificate, as far as it can be seen here."""
        from heldout.certificates import find_doubt  # noqa: PLC0415 - only where a handshake failed

        profile = self._profile
        return find_doubt(certificate=profile.certificate, authority=profile.authority, now=dt.datetime.now(tz=dt.UTC))


def _failure(error: grpc.aio.AioRpcError) -> Failure:
    return Failure(
        code=error.code().name,
        message=error.details() or "",
        details=_find(error.trailing_metadata(), DETAILS_KEY),
    )


def _status_of(call: grpc.aio.StreamUnaryCall[bytes, bytes]) -> Failure:
    """Return the status that a call has now; it must have one."""

    async def read() -> Failure:
        code = await call.code()
        return Failure(
            code=code.name,
            message=await call.details(),
            details=_find(await call.trailing_metadata(), DETAILS_KEY),
        )

    # Nothing in it waits once there is a status, so that it can be read in the very moment in which it is set.
    reading = read()
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # what read returns
    reading.close()
    return Failure(code="UNKNOWN", message="", details=None)


async def _write_all(call: grpc.aio.StreamUnaryCall[bytes, bytes], requests: AsyncIterator[bytes]) -> bool:
    """Write every message, and say whether the appliance took them all before the call was over."""
    async for request in requests:
        try:
            await call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The call is over. What this error says is not why: the status of the call is, and comes after it.
            return False
    await call.done_writing()
    return True


def _as_is(message: bytes) -> bytes:
    return message


def _find(metadata: Sequence[tuple[str, str | bytes]] | grpc.aio.Metadata | None, key: str) -> bytes | None:
    for name, value in metadata or ():
        if name == key and isinstance(value, bytes):
            return value
    return None
