"""Start an appliance, and stop it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import grpc

from heldout_server.api.server import Health, build_server, listen
from heldout_server.app.door import build_edge, build_servicers, read_certificates
from heldout_server.app.halves import Vault, open_vault, open_window
from heldout_server.app.logs import open_logs
from heldout_server.app.policies import load_policies
from heldout_server.app.tools import Tools
from heldout_server.config import Config
from heldout_server.domain import Checkpoint
from heldout_server.environment import RandomIds, SystemClock
from heldout_server.errors import StorageError
from heldout_server.keys import FileKeyRing
from heldout_server.telemetry import Metrics
from heldout_server.watch import Watcher

GRACE_S: Final = 5.0
"""Seconds that accepted calls get to finish once the appliance is told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """Hold a running appliance.

    Attributes:
        port: of the contract, over mTLS.
        health_port: of the health service, plain.
        log_failed: set once an audit log cannot be written. Nothing is answered from then on, and the process must end.
    """

    port: int
    health_port: int
    log_failed: asyncio.Event


@contextlib.asynccontextmanager
async def serve(config: Config, metrics: Metrics) -> AsyncIterator[Appliance]:
    """Start an appliance, both halves in this process, and stop it on leaving.

    Args:
        config: what the operator decided.
        metrics: counts the calls.

    Raises:
        ConfigError: something that the operator wrote is missing or wrong.
        WrongKey: a key does not open a database.
        IntegrityError: something stored is not what was stored.
    """
    tools = Tools(clock=SystemClock(), ids=RandomIds(), ring=FileKeyRing.open(config.keys.root, config.keys.ring))
    policies = load_policies(config)
    log_failed = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        logs = await open_logs(stack, config, tools, policies, log_failed)
        vault = await open_vault(stack, config, tools, policies, logs["vault"])
        window = open_window(stack, config, tools)
        edge = build_edge(
            tools, policies=policies, logs=logs, cards=vault.cards, metrics=metrics, log_failed=log_failed
        )
        server = build_server(edge, build_servicers(tools, policies, logs, vault, window))
        port = listen(server, config.listen.address, read_certificates(config))
        health = Health()
        health_port = await health.start(config.listen.health_address)
        stack.push_async_callback(health.stop)

        await vault.evaluation.resume()
        await server.start()
        stack.push_async_callback(_stop_server, server, log_failed)
        watcher = Watcher(vault.checkpoints, logs["vault"], _submitter(config, vault), config.watch.poll_s)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(watcher, log_failed), name="watch")
            await health.set(serving=True)
            try:
                yield Appliance(port=port, health_port=health_port, log_failed=log_failed)
            finally:
                await health.set(serving=False)
                watching.cancel()


async def _watch(watcher: Watcher, log_failed: asyncio.Event) -> None:
    """Watch until cancelled, or until the log fails, which ends the appliance by an event of its own."""
    try:
        await watcher.run()
    except StorageError:
        if not log_failed.is_set():
            raise


async def _stop_server(server: grpc.aio.Server, log_failed: asyncio.Event) -> None:
    """Let accepted calls finish, unless there is no log that could record them."""
    await server.stop(0 if log_failed.is_set() else GRACE_S)


def _submitter(config: Config, vault: Vault) -> Callable[[Checkpoint], Awaitable[None]]:
    """Return what the watcher does with a staged checkpoint: the standing plan, started where policy lets it start."""

    async def submit(checkpoint: Checkpoint) -> None:
        if config.watch.auto_run:
            await vault.evaluation.submit(checkpoint.name, vault.standing)

    return submit
