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

        ``timeout_s`` counts from when the request is sent: waiting for a turn takes nothing of it. It always ends.

        Raises:
            EndpointError: no usable answer within ``timeout_s`` and the retries that fit in it.
            EndpointUnavailable: the endpoint as such has been away for longer than a run waits.
            RuntimeDied: the process behind the endpoint has ended, or stalled and was ended (never retried).
        """
        ...


class Runtime(Protocol):
    """Turn a staged checkpoint into an endpoint for as long as it is needed.

    Attributes:
        engine: the name that a checkpoint's manifest asks for.
        trust: who can see what it is sent.
        version: of the engine, as far as it is known; else empty.
        dialect: how sampling beyond the OpenAI parameters is spelt; ``openai`` sends none of it.
        filters: names of filters in front of the model.
        width: requests that it answers at the same time at most.
        start_s: seconds that it may take to come up.
    """

    @property
    def engine(self) -> str: ...  # noqa: D102 - described above
    @property
    def trust(self) -> TrustClass: ...  # noqa: D102 - described above
    @property
    def version(self) -> str: ...  # noqa: D102 - described above
    @property
    def dialect(self) -> str: ...  # noqa: D102 - described above
    @property
    def filters(self) -> tuple[str, ...]: ...  # noqa: D102 - described above
    @property
    def width(self) -> int: ...  # noqa: D102 - described above
    @property
    def start_s(self) -> float: ...  # noqa: D102 - described above

    def serve(self, checkpoint: Checkpoint, *, patient: bool = True) -> AbstractAsyncContextManager[ModelClient]:
        """Start it, wait until it answers, yield a client, and stop it at the end.

        An endpoint that goes down is waited for, as long as a run waits; without ``patient`` not at all.

        Raises:
            EndpointError: on entering, if it does not come up.
        """
        ...
