"""A raw gRPC channel that keeps every byte that came back: bodies, status texts, details and metadata."""

import grpc

TIMEOUT_S = 10
STREAMS = {"ImportPrompts": "stream_unary", "WatchRun": "unary_stream"}


def shape_of(method):
    """Return which of gRPC's shapes a method of the contract has."""
    return STREAMS.get(method.rpartition("/")[2], "unary_unary")


class RecordedChannel:
    """Call as one role, with raw bytes, and keep all that is told.

    Attributes:
        received: everything that came back: bytes of bodies, keys and values of metadata, texts of statuses.
        statuses: the names of the status codes, in order.
    """

    def __init__(self, profile, address):
        credentials = grpc.ssl_channel_credentials(profile.authority, profile.key, profile.certificate)
        options = (("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_http_proxy", 0))
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        self.received = []
        self.statuses = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._channel.close()

    async def call(self, method, *requests, metadata=(), timeout_s=TIMEOUT_S):
        """Call a method, keep what comes back, and return the body of the answer, the last one of a stream."""
        shape = shape_of(method)
        start = getattr(self._channel, shape)(method)
        if shape == "stream_unary":

            async def stream():
                for request in requests:
                    yield request

            call = start(stream(), timeout=timeout_s, metadata=metadata)
        else:
            call = start(requests[0], timeout=timeout_s, metadata=metadata)
        body = b""
        try:
            if shape == "unary_stream":
                async for body in call:
                    self.received.append(body)
            else:
                body = await call
                self.received.append(body)
        except grpc.aio.AioRpcError as error:
            self._keep(error.initial_metadata(), error.trailing_metadata())
            self.received += [error.details() or "", error.debug_error_string() or ""]
            self.statuses.append(error.code().name)
            return b""
        self._keep(await call.initial_metadata(), await call.trailing_metadata())
        self.received.append(await call.details() or "")
        self.statuses.append((await call.code()).name)
        return body

    def _keep(self, *all_metadata):
        for metadata in all_metadata:
            for key, value in metadata or ():
                self.received += [key, value]
