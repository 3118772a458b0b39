"""A raw gRPC channel that keeps every byte that came back: bodies, status texts, details and metadata."""

from dataclasses import dataclass

import grpc

from heldout_server.api.contract import methods

TIMEOUT_S = 30
METHODS = methods()


@dataclass(frozen=True, kw_only=True)
class Told:
    """Hold all that came back of one call.

    Attributes:
        status: name of the status code.
        details: its text.
        bodies: the messages, serialized.
        initial, trailing: metadata, in their order.
    """

    status: str
    details: str
    bodies: tuple[bytes, ...]
    initial: tuple
    trailing: tuple

    def contents(self):
        """Return every byte and text, for a search."""
        pairs = (part for pair in (*self.initial, *self.trailing) for part in pair)
        return [self.details, *self.bodies, *pairs]


class RecordedChannel:
    """Call as one role, with raw bytes, and keep all that is told.

    Attributes:
        received: everything that came back: bytes of bodies, keys and values of metadata, texts of statuses.
        statuses: the names of the status codes, in order.
    """

    def __init__(self, profile, address):
        credentials = grpc.ssl_channel_credentials(profile.authority, profile.key, profile.certificate)
        options = (
            ("grpc.ssl_target_name_override", "localhost"),
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        self.received = []
        self.statuses = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._channel.close()

    async def call(self, method, *requests, metadata=(), timeout_s=TIMEOUT_S):
        """Call a method, keep what comes back, and return the body of the answer, the last one of a stream."""
        told = await self.tell(method, *requests, metadata=metadata, timeout_s=timeout_s)
        return told.bodies[-1] if told.bodies and told.status == "OK" else b""

    async def tell(self, method, *requests, metadata=(), timeout_s=TIMEOUT_S):
        """Call a method that need not exist, keep what comes back, and return all of it."""
        shape = METHODS[method].shape if method in METHODS else "unary_unary"

        async def stream():
            for request in requests:
                yield request

        sent = stream() if shape.startswith("stream") else (requests or (b"",))[0]
        call = getattr(self._channel, shape)(method)(sent, timeout=timeout_s, metadata=metadata)
        bodies, debug = [], ""
        try:
            if shape.endswith("stream"):
                async for body in call:
                    bodies.append(body)  # noqa: PERF401 - what came before a failure is kept too
            else:
                bodies.append(await call)
        except grpc.aio.AioRpcError as error:
            debug = error.debug_error_string() or ""
        told = Told(
            status=(await call.code()).name,
            details=await call.details() or "",
            bodies=tuple(bodies),
            initial=tuple(await call.initial_metadata() or ()),
            trailing=tuple(await call.trailing_metadata() or ()),
        )
        self.received += [*told.contents(), debug]
        self.statuses.append(told.status)
        return told
