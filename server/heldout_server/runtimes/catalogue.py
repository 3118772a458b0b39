"""Every runtime of an appliance, by the engine that a checkpoint asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from heldout_server.config.runtimes import Runtimes
from heldout_server.ports.environment import Ids
from heldout_server.ports.runtimes import Runtime
from heldout_server.runtimes.endpoint_runtime import EndpointRuntime
from heldout_server.runtimes.llamacpp_runtime import LlamaCppRuntime
from heldout_server.runtimes.scripted_runtime import ScriptedRuntime
from heldout_server.runtimes.steady import Circuit


def open_runtimes(config: Runtimes, *, run_folder: Path, ids: Ids, in_flight: int) -> Mapping[str, Runtime]:
    """Return the runtimes: the scripted one, llama.cpp, and the endpoints of the config.

    Args:
        config: ``[runtimes]``.
        run_folder: where sockets lie.
        ids: names sockets.
        in_flight: requests to an endpoint at once, at most.
    """
    circuit = Circuit(patience_s=config.patience_s)
    runtimes: list[Runtime] = [
        ScriptedRuntime(run_folder, isolation=config.isolation, ids=ids),
        LlamaCppRuntime(run_folder, isolation=config.isolation, ids=ids, options=config.llamacpp, circuit=circuit),
        *(EndpointRuntime(endpoint, most=in_flight, circuit=circuit) for endpoint in config.endpoints),
    ]
    return {runtime.engine: runtime for runtime in runtimes}
