"""Start an appliance, and stop it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc

from heldout_proto.v1 import audit_pb2_grpc, seal_pb2_grpc
from heldout_server.api.audit import AuditServicer
from heldout_server.api.denials import Denials
from heldout_server.api.edge import Edge
from heldout_server.api.gate import ApprovedTexts
from heldout_server.api.seal import SealServicer
from heldout_server.api.server import Health, ShownCertificates, build_server, listen
from heldout_server.app.anchors import Anchors
from heldout_server.app.backup_marks import verify_unmarked
from heldout_server.app.clock_watch import ClockWatch
from heldout_server.app.door import build_edge, read_certificates
from heldout_server.app.half import Ground, Half, Opener, Registration
from heldout_server.app.log_watch import LogWatch
from heldout_server.app.logs import open_logs
from heldout_server.app.refusing import load_policies_or_record
from heldout_server.app.reloading import Reloader
from heldout_server.app.sealed import OpenSeal, SealedDoor
from heldout_server.app.tools import Environment, Tools
from heldout_server.app.upkeep import keep_up, record_denials
from heldout_server.audit import Pace
from heldout_server.config import AnyConfig, Config
from heldout_server.errors import StorageError
from heldout_server.keys import WindowKeyRing, open_ring
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.keys import KeyRing
from heldout_server.telemetry import Metrics

DRAIN_S: Final = 0.2
"""Seconds in which callers are told that the appliance is stopping, before its server goes away under them."""

GRACE_S: Final = 5.0
"""Seconds that accepted calls get to finish once the appliance is told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """Hold a running appliance.

    Attributes:
        port: of the contract, over mTLS.
        health_port: of the health service, plain.
        log_failed: set once an audit log cannot be written. Nothing is answered from then on, and the process must end.
        reload: set it to have ``principals.toml`` and the certificates read again; they are anyway when they change.
        sealing: set once an operator sealed it: leave, and wait for shares.
    """

    port: int
    health_port: int
    log_failed: asyncio.Event
    reload: asyncio.Event
    sealing: asyncio.Event


@contextlib.asynccontextmanager
async def serve(
    config: AnyConfig,
    metrics: Metrics,
    openers: Mapping[str, Opener],
    environment: Environment | None = None,
    *,
    door: SealedDoor | None = None,
    on_log_failed: Callable[[], None] = lambda: None,
) -> AsyncIterator[Appliance]:
    """Start an appliance, or a half of it, and stop it on leaving.

    In the order of trust: (1) keys, the signed policy, the logs, and whether they belong together; (2) the rooms of the
    halves; (3) the door, with its ports bound; (4) what each half was in the midst of, before the first call; (5) what
    goes on beside the calls. Leaving undoes it from the end.

    Args:
        config: what the operator decided.
        metrics: counts the calls.
        openers: open the halves that this process serves, in this order: see :func:`heldout_server.app.halves.pick`.
        environment: time, names, noise and randomness; the machine's by default.
        door: where enough shares of the root key were given; None where it lies in a file.
        on_log_failed: called the moment a log fails, also while the appliance starts or stops; it may then take long
            to get out of here, since closing other files on the same disk may hang too. Must not raise.

    Raises:
        ConfigError: something that the operator wrote is missing or wrong.
        WrongKey: a key does not open a database.
        IntegrityError: something stored is not what was stored.
    """
    log_failed, reload, sealing = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        # (1) what stands before any room
        tools = _open_tools(stack, config, environment or Environment(), door)
        ground = await _lay_ground(
            stack,
            config,
            tools,
            halves=openers,
            door=door,
            metrics=metrics,
            log_failed=log_failed,
            on_log_failed=on_log_failed,
        )
        logs, anchors = ground.logs, ground.anchors
        # (2) rooms
        halves = [await open_half(stack, ground) for open_half in openers.values()]
        await anchors.settle()
        await anchors.exchange()
        stack.push_async_callback(_unless_failed, anchors.exchange, log_failed)
        stack.push_async_callback(_unless_failed, anchors.settle, log_failed)
        # (3) the door
        denials = Denials(tools.clock)
        edge = build_edge(
            config,
            tools,
            policies=ground.policies,
            denials=denials,
            logs=logs,
            approved=ground.approved,
            metrics=metrics,
            log_failed=log_failed,
        )
        # A window by itself has nothing that could be sealed.
        seal = OpenSeal(config.keys, door, logs, sealing) if isinstance(config, Config) else None
        server = build_server(edge, _services(ground, halves, seal))
        shown = ShownCertificates(read_certificates(config, now_s=tools.clock.now_s()))
        if door is not None:
            await door.hand_over(logs, tools.ring)
        port = listen(server, config.listen.address, shown)
        health = Health()
        health_port = await health.start(config.listen.health_address)
        stack.push_async_callback(health.stop)
        # (4) what was begun before, then calls
        for half in halves:
            await half.begin()
        stack.push_async_callback(_record_last_denials, denials, logs, log_failed)
        await server.start()
        stack.push_async_callback(_stop_server, server, edge, log_failed)
        # (5) beside the calls
        reloader = Reloader(config, ground.policies, shown, logs, tools.clock)
        clock_watch = ClockWatch(tools.clock, logs.values())
        keeping_up = partial(keep_up, reloader, clock_watch, denials, logs, clock=tools.clock, reload=reload)
        pace = Pace(leaves_per_s=config.audit.sweep_leaves_per_s, pause_s=config.audit.sweep_pause_s)
        work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "upkeep": keeping_up,
            "logs": partial(ground.log_watch.run, logs.values(), pace, health),
            "anchors": anchors.exchange_now_and_then,
        }
        for half in halves:
            work |= half.work
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(_while_logged(one, log_failed), name=name) for name, one in work.items()]
            await health.set(serving=True)
            try:
                yield Appliance(
                    port=port, health_port=health_port, log_failed=log_failed, reload=reload, sealing=sealing
                )
            finally:
                await health.set(serving=False)
                for task in beside:
                    task.cancel()


async def _lay_ground(
    stack: contextlib.AsyncExitStack,
    config: AnyConfig,
    tools: Tools,
    *,
    halves: Iterable[str],
    door: SealedDoor | None,
    metrics: Metrics,
    log_failed: asyncio.Event,
    on_log_failed: Callable[[], None],
) -> Ground:
    """Read the policy, open the logs, and see that logs and anchors belong together, and that nothing is a backup."""
    names = tuple(halves)
    await verify_unmarked(config, tools.ring, names)
    policies = await load_policies_or_record(config, tools, halves=names)
    log_watch = LogWatch(metrics)
    logs = await open_logs(
        stack,
        config,
        tools,
        policies,
        halves=names,
        log_failed=log_failed,
        on_log_failed=on_log_failed,
        on_fault=log_watch.note_fault,
    )
    if door is not None:
        await door.record(logs, tools.ring)
    anchors = await Anchors.open(logs)
    await anchors.verify_logs()
    return Ground(
        config=config,
        tools=tools,
        policies=policies,
        logs=logs,
        anchors=anchors,
        log_watch=log_watch,
        approved=ApprovedTexts(),
    )


def _open_tools(
    stack: contextlib.AsyncExitStack, config: AnyConfig, outside: Environment, door: SealedDoor | None
) -> Tools:
    """Open the keys, and forget them when the stack unwinds."""
    if not isinstance(config, Config):
        ring: KeyRing = WindowKeyRing.open(config.keys.root, config.keys.ring)
    else:
        opened = open_ring(config.keys, random_bytes=outside.random_bytes) if door is None else door.open_ring()
        stack.callback(opened.forget)
        ring = opened
    return Tools(
        clock=outside.clock, ids=outside.ids, noise=outside.noise, random_bytes=outside.random_bytes, ring=ring
    )


async def _while_logged(work: Callable[[], Coroutine[Any, Any, None]], log_failed: asyncio.Event) -> None:
    """Work until cancelled, or until the log fails, which ends the appliance by an event of its own."""
    try:
        await work()
    except StorageError:
        if not log_failed.is_set():
            raise


async def _unless_failed(work: Callable[[], Awaitable[None]], log_failed: asyncio.Event) -> None:
    """Do what is left to be done on the way out, unless there is no log that could record it."""
    if not log_failed.is_set():
        await work()


async def _record_last_denials(denials: Denials, logs: Mapping[str, AuditLog], log_failed: asyncio.Event) -> None:
    if not log_failed.is_set():
        await record_denials(denials, logs)


async def _stop_server(server: grpc.aio.Server, edge: Edge, log_failed: asyncio.Event) -> None:
    """Let accepted calls finish and turn later ones away, unless there is no log that could record them."""
    edge.drain()
    if log_failed.is_set():
        await server.stop(0)
        return
    await asyncio.sleep(DRAIN_S)
    await server.stop(GRACE_S)


def _services(ground: Ground, halves: Iterable[Half], seal: OpenSeal | None) -> Iterator[Registration]:
    for half in halves:
        yield from half.services
    audit = AuditServicer(
        logs=ground.logs,
        documents=lambda: ground.policies.documents,
        on_cosignature=ground.log_watch.note_cosignature,
    )
    yield partial(audit_pb2_grpc.add_AuditServiceServicer_to_server, audit)
    if seal is not None:
        yield partial(seal_pb2_grpc.add_SealServiceServicer_to_server, SealServicer(seal))
