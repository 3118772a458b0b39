"""The runtime of an endpoint that already serves a model: vLLM, SGLang, a gateway. Nothing is started here.

What is staged is then only what the checkpoint's folder says of it: whether the endpoint serves that very model is the
operator's word. An ``exposed`` one can log what it is sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from heldout_server.config.runtimes import Endpoint, read_api_key
from heldout_server.domain import Checkpoint
from heldout_server.errors import EndpointUnavailable
from heldout_server.runtimes.client import OpenAIClient, Resilience
from heldout_server.runtimes.steady import IMPATIENT, Circuit, SteadyClient


class EndpointRuntime:
    """Serve checkpoints from one endpoint of the config.

    Args:
        endpoint: where it is, and what is known of it.
        most: requests in flight at most.
        circuit: how it is waited for when it is down.
        resilience: how to try a request again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        most: int,
        circuit: Circuit | None = None,
        resilience: Resilience | None = None,
    ) -> None:
        self.engine = endpoint.engine
        self.trust = endpoint.trust
        self.version = endpoint.version
        self.dialect = endpoint.dialect
        self.filters = endpoint.filters
        self.width = most
        self.start_s = 0.0  # whoever runs it has started it
        self._endpoint = endpoint
        self._circuit = circuit
        self._resilience = resilience

    @contextlib.asynccontextmanager
    async def serve(
        self,
        checkpoint: Checkpoint,  # noqa: ARG002 - whoever runs the endpoint has loaded it
        *,
        patient: bool = True,
    ) -> AsyncIterator[SteadyClient]:
        """Yield a client for the endpoint. An endpoint that is down is waited for by the first request.

        Raises:
            EndpointUnavailable: the API key cannot be read, or others can read it.
        """
        async with self._connect() as client:
            yield SteadyClient(client, most=self.width, circuit=self._circuit if patient else IMPATIENT)

    def _connect(self) -> OpenAIClient:
        endpoint, headers = self._endpoint, self._headers()
        if endpoint.socket is not None:
            return OpenAIClient.over_socket(
                endpoint.socket,
                model=endpoint.model,
                dialect=endpoint.dialect,
                headers=headers,
                resilience=self._resilience,
            )
        return OpenAIClient.over_tcp(
            endpoint.url, model=endpoint.model, dialect=endpoint.dialect, headers=headers, resilience=self._resilience
        )

    def _headers(self) -> Mapping[str, str]:
        """Return the headers of each request; the key is read at each start of a run, so that it can be replaced."""
        if self._endpoint.api_key is None:
            return self._endpoint.headers
        try:
            key = read_api_key(self._endpoint.api_key)
        except (OSError, ValueError):
            raise EndpointUnavailable("the endpoint's key cannot be used", reason="ACCESS_REFUSED") from None
        return {**self._endpoint.headers, "Authorization": f"Bearer {key}"}
