"""What serves a staged checkpoint, and the client that speaks to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from heldout_server.domain import Checkpoint, Message, ModelResponse, Sampling, TrustClass


class ModelClient(Protocol):
    """Speak OpenAI chat completions to one endpoint."""

    async def complete(self, messages: Sequence[Message], sampling: Sampling, *, timeout_s: float) -> ModelResponse:
        """Return the model's answer.

        Raises:
            EndpointError: no usable answer within ``timeout_s`` and the retries that fit in it.
            RuntimeDied: the process behind the endpoint has ended (raised at once, never retried).
        """
        ...


class Runtime(Protocol):
    """Turn a staged checkpoint into an endpoint for as long as it is needed.

    Attributes:
        engine: the name that a checkpoint's manifest asks for.
        trust: who can see what it is sent.
    """

    engine: str
    trust: TrustClass

    def serve(self, checkpoint: Checkpoint) -> AbstractAsyncContextManager[ModelClient]:
        """Start it, wait until it answers, yield a client, and stop it at the end.

        Raises:
            EndpointError: on entering, if it does not come up.
        """
        ...
