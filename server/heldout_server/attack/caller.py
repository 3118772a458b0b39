"""Call an appliance with raw bytes, and keep every byte that comes back.

The client package is polite; an attacker is not bound to it. Nothing here checks a receipt or a proof.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import grpc

from heldout_server.api.contract import methods

TIMEOUT_S: Final = 20.0
RECEIPT: Final = "heldout-receipt-bin"
METHODS: Final = methods()
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Hold what a caller shows, in PEM."""

    authority: bytes
    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Hold all that came back of one call.

    Attributes:
        code: name of the gRPC status.
        details: its text.
        metadata: initial and trailing, but for the receipt, which differs in every call.
        bodies: the messages.
        receipt: from the trailing metadata, serialized; empty if there was none.
        seconds: until the end of the call.
    """

    code: str
    details: str
    metadata: Metadata
    bodies: tuple[bytes, ...]
    receipt: bytes
    seconds: float

    @property
    def body(self) -> bytes:
        """Return the last message, or nothing."""
        return self.bodies[-1] if self.bodies else b""

    @property
    def shape(self) -> tuple[str, str, Metadata, tuple[bytes, ...]]:
        """Return all that can be compared: everything but the time it took and the receipt."""
        return self.code, self.details, self.metadata, self.bodies

    def contents(self) -> tuple[bytes, ...]:
        """Return every byte that was told, for a search."""
        texts = [self.details, *(part for pair in self.metadata for part in pair)]
        return (*(one.encode() if isinstance(one, str) else one for one in texts), *self.bodies)


class Caller:
    """Call as whoever a certificate says."""

    def __init__(self, address: str, certificate: Certificate, *, server_name: str = "localhost") -> None:
        """Connect at the first call.

        Args:
            address: ``host:port``.
            certificate: what to show.
            server_name: what the appliance's certificate must be for.
        """
        credentials = grpc.ssl_channel_credentials(
            certificate.authority, certificate.key or None, certificate.certificate or None
        )
        options = (("grpc.ssl_target_name_override", server_name), ("grpc.enable_http_proxy", 0))
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)

    async def __aenter__(self) -> Self:
        """Return the caller itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self._channel.close()

    async def call(
        self,
        method: str,
        *requests: bytes,
        metadata: Metadata = (),
        timeout_s: float = TIMEOUT_S,
        compressed: bool = False,
    ) -> Told:
        """Call a method and return all that came back. Never raises for what the appliance does.

        Args:
            method: full name, which need not exist.
            requests: messages, serialized or not messages at all; more than one only where the method streams.
            metadata: to send along.
            timeout_s: seconds after which the caller gives up.
            compressed: send compressed, as an invitation to answer so.
        """
        began = time.perf_counter()
        shape = METHODS[method].shape if method in METHODS else "unary_unary"
        sent: Any = _stream(requests) if shape.startswith("stream") else (requests or (b"",))[0]
        call = getattr(self._channel, shape)(method)(
            sent,
            timeout=timeout_s,
            metadata=metadata,
            compression=grpc.Compression.Gzip if compressed else None,
        )
        bodies: list[bytes] = []
        try:
            if shape.endswith("stream"):
                async for body in call:
                    bodies.append(body)  # noqa: PERF401 - what came before a failure is kept too
            else:
                bodies.append(await call)
            details, metadata_back = await call.details() or "", await call.trailing_metadata()
            code, first = await call.code(), await call.initial_metadata()
        except grpc.aio.AioRpcError as error:
            details, metadata_back = error.details() or "", error.trailing_metadata()
            code, first = error.code(), error.initial_metadata()
        back = (*(first or ()), *(metadata_back or ()))
        kept = tuple((key, value) for key, value in back if key != RECEIPT)
        return Told(
            code=code.name,
            details=details,
            metadata=kept,
            bodies=tuple(bodies),
            receipt=next((value for key, value in back if key == RECEIPT and isinstance(value, bytes)), b""),
            seconds=time.perf_counter() - began,
        )


def every_method() -> Sequence[str]:
    """Return the full name of every method of the contract, from its descriptors."""
    return tuple(methods())


async def _stream(requests: Sequence[bytes]) -> AsyncIterator[bytes]:
    for request in requests:
        yield request
