"""An appliance that is sealed: a door that serves the SealService alone, until enough shares were given.

Nothing but documents is read while it waits: config, certificates, the signed policy, and what tells a share of this
appliance from another. Once enough people gave one, ``serve`` takes the keys from here, opens the logs, has them told
what came before, opens everything else, and only then does the last share get its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Final

import grpc
import structlog

from heldout_policy.disclosure import whole_minute
from heldout_policy.errors import PolicyError
from heldout_proto.v1 import seal_pb2_grpc
from heldout_server.api.contract import methods
from heldout_server.api.denials import Denials
from heldout_server.api.gate import ApprovedTexts, Gate
from heldout_server.api.seal import SealServicer
from heldout_server.api.sealed import SealedEdge
from heldout_server.api.server import Health, ShownCertificates, build_server, listen
from heldout_server.app.door import read_certificates
from heldout_server.app.policies import Policies, load_policies
from heldout_server.app.refusing import POLICY_REFUSED, refusal_details
from heldout_server.app.tools import Environment
from heldout_server.app.upkeep import record_denials
from heldout_server.audit import KEPT_FILE, UNSEAL, KeptFile, Recorded
from heldout_server.config import Config
from heldout_server.config.appliance import Keys
from heldout_server.config.sections import Listen
from heldout_server.errors import ConfigError, HeldoutError, StorageError, WrongState
from heldout_server.keys import FileKeyRing, Unsealing
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.seal import SealStatus
from heldout_server.telemetry import Metrics

STOP_S: Final = 5.0
"""Seconds that calls of a sealed appliance get to finish once it is open."""

_log: Final = structlog.get_logger("seal")


class SealedDoor:
    """Wait for shares, and hand over to the appliance that they open.

    Implements :class:`heldout_server.ports.seal.Seal`.

    Attributes:
        config: with the very ports that are listened on.
        enough: set once enough shares were given.
    """

    def __init__(
        self,
        config: Config,
        unsealing: Unsealing,
        *,
        kept: KeptFile,
        policies: Policies,
        outside: Environment,
    ) -> None:
        self.config = config
        self.enough = asyncio.Event()
        self._unsealing = unsealing
        self._kept = kept
        self._denials = Denials(outside.clock)
        self._policies = policies
        self._outside = outside
        self._clock = outside.clock
        self._opened: asyncio.Future[Logged] = asyncio.get_running_loop().create_future()
        self._last: Logged | None = None
        self._stack = contextlib.AsyncExitStack()

    # What callers do

    def status(self) -> SealStatus:
        """Say how many shares were given. Once they are enough the answer says open: it goes out when that is true."""
        return status_of(self._unsealing, sealed=not self._unsealing.complete)

    def give_share(self, identity: str, *, share_set: str, number: int, value: bytes) -> SealStatus:
        """Take a share.

        Raises:
            InvalidRequest: it is no share of this appliance.
            WrongState: this person or somebody with this very share has given one, or there are enough.
        """
        self._unsealing.give(identity, share_set=share_set, number=number, value=value)
        _log.info("share_given", identity=identity, count=len(self._unsealing.given_by))
        return self.status()

    async def seal(self, identity: str) -> SealStatus:
        """Refuse.

        Raises:
            WrongState: it is sealed.
        """
        raise WrongState(f"sealed already: asked by {identity}", reason="SEALED")

    async def settle(self, identity: str) -> Logged | None:
        """Let whoever gave the last share wait until everything is open, and return the outcome of that call.

        Raises:
            HeldoutError: what the shares opened does not hold together, and the appliance stops.
        """
        if not self._unsealing.complete or identity != self._unsealing.given_by[-1]:
            return None
        self.enough.set()
        return await asyncio.shield(self._opened)

    # What the appliance that opens does, in this order

    def open_ring(self) -> FileKeyRing:
        """Return the keys that the shares give, and forget the shares.

        Raises:
            WrongKey: they are not those of this ring.
            IntegrityError: the ring is damaged.
        """
        return self._unsealing.open_ring(random_bytes=self._outside.random_bytes)

    async def record(self, logs: Mapping[str, AuditLog], ring: KeyRing) -> None:
        """Put what came while sealed into the log, and who opened it.

        Raises:
            IntegrityError: what was kept is not what was signed.
            StorageError: a log cannot be written.
        """
        recorded = await self._record_kept(logs, ring)
        self._last = recorded.outcomes[self._unsealing.given_by[-1]]
        book = self._unsealing.book
        details: dict[str, str | int | tuple[str, ...]] = {
            "given_by": self._unsealing.given_by,
            "kept": recorded.lines,
            "kept_head": recorded.head,
            "kept_signed": "yes" if recorded.signed else "no",
            "row": recorded.row,
            "share_set": book.share_set,
            "threshold": book.threshold,
        }
        for log in logs.values():
            await log.append(Record(kind="event", name=UNSEAL, details=details))
        _log.info("unsealed", count=len(self._unsealing.given_by))

    async def hand_over(self, logs: Mapping[str, AuditLog], ring: KeyRing) -> None:
        """Answer the last share, leave the ports to whoever takes them now, and record what came meanwhile.

        Raises:
            StorageError: a log cannot be written.
        """
        if self._last is None:  # pragma: no cover - record comes first
            raise AssertionError
        self._opened.set_result(self._last)
        await self._stack.aclose()
        await self._record_kept(logs, ring)

    # How it begins and ends

    async def start(self, metrics: Metrics) -> None:
        """Listen.

        Raises:
            ConfigError: an address cannot be bound, or the certificates do not hold.
            StorageError: the start cannot be kept for the log.
        """
        edge = SealedEdge(
            contract=methods(),
            gatekeeper=self._policies.gatekeeper,
            denials=self._denials,
            gate=Gate(ApprovedTexts()),
            kept=self._kept,
            settle=self.settle,
            clock=self._clock,
            ids=self._outside.ids,
            random_bytes=self._outside.random_bytes,
            metrics=metrics,
        )
        register = partial(seal_pb2_grpc.add_SealServiceServicer_to_server, SealServicer(self))
        server = build_server(edge, (register,))
        shown = ShownCertificates(read_certificates(self.config, now_s=self._clock.now_s()))
        address = _with_port(self.config.listen.address, listen(server, self.config.listen.address, shown))
        health = Health()
        health_port = await health.start(self.config.listen.health_address)
        self._stack.push_async_callback(health.stop)
        await self._keep_event("start_sealed")
        await server.start()
        self._stack.push_async_callback(_stop, server)
        places = Listen(address=address, health_address=_with_port(self.config.listen.health_address, health_port))
        self.config = dataclasses.replace(self.config, listen=places)

    async def close(self) -> None:
        """Stop listening, if nobody took over. Whoever gave the last share is told that it opened nothing."""
        if not self._opened.done():
            if self.enough.is_set():
                self._opened.set_exception(StorageError("what the shares opened does not hold together"))
                self._opened.exception()  # nobody may be waiting any more
            with contextlib.suppress(HeldoutError):  # it stops, whatever the disk says
                await self._keep_event("stop_sealed")
        self._unsealing.forget()
        await self._stack.aclose()

    async def _keep_event(self, name: str) -> None:
        await self._kept.keep_event(name, at_s=whole_minute(self._clock.now_s()))

    async def _record_kept(self, logs: Mapping[str, AuditLog], ring: KeyRing) -> Recorded:
        recorded = await self._kept.record(logs["vault"], ring, policy_digest=self._policies.documents.digest)
        await record_denials(self._denials, logs)
        return recorded


class OpenSeal:
    """Close an appliance that is open. Implements :class:`heldout_server.ports.seal.Seal`.

    Args:
        keys: what the config says of them.
        door: from which it was opened; None where the root key lies in a file.
        logs: of both halves.
        sealing: set once it is to be closed.
    """

    def __init__(
        self, keys: Keys, door: SealedDoor | None, logs: Mapping[str, AuditLog], sealing: asyncio.Event
    ) -> None:
        self._status = SealStatus(sealed=False, provider=keys.provider) if door is None else door.status()
        self._logs = logs
        self._sealing = sealing

    def status(self) -> SealStatus:
        """Say who opened it."""
        return self._status

    def give_share(self, identity: str, *, share_set: str, number: int, value: bytes) -> SealStatus:
        """Refuse.

        Raises:
            WrongState: it is open.
        """
        raise WrongState(f"open: {identity} gave share {number} of {share_set}, {len(value)} bytes", reason="OPEN")

    async def seal(self, identity: str) -> SealStatus:
        """Record who seals it, in both logs, then have it closed.

        Raises:
            WrongState: its root key lies in a file, so it would open itself again.
            StorageError: a log cannot be written.
        """
        if self._status.provider == "file":
            raise WrongState("the root key lies in a file: sealing would close nothing", reason="NOT_SEALABLE")
        for log in self._logs.values():
            await log.append(Record(kind="event", name="seal", details={"by": identity}))
        _log.info("sealing", identity=identity)
        self._sealing.set()
        return self._status


@contextlib.asynccontextmanager
async def wait_sealed(
    config: Config, metrics: Metrics, environment: Environment | None = None
) -> AsyncIterator[SealedDoor]:
    """Serve the SealService alone; give the door to ``serve`` once enough shares were given.

    Args:
        config: of an appliance whose root key is shared.
        metrics: counts the calls.
        environment: time, names and randomness; the machine's by default.

    Raises:
        ConfigError: something that the operator wrote is missing or wrong.
        PolicyError: a policy document does not parse.
        IntegrityError: what tells its shares, or what was kept of earlier calls, is damaged.
        StorageError: the disk fails.
    """
    if config.keys.shares is None:  # pragma: no cover - whoever calls this has looked
        raise AssertionError
    outside = environment or Environment()
    kept = KeptFile(config.data.vault / KEPT_FILE, random_bytes=outside.random_bytes)
    try:
        policies = load_policies(config)
    except (ConfigError, PolicyError) as error:
        at_s = whole_minute(outside.clock.now_s())
        await kept.keep_event(POLICY_REFUSED, at_s=at_s, details=refusal_details(error))
        raise
    unsealing = Unsealing.begin(config.keys.shares, config.keys.ring)
    door = SealedDoor(config, unsealing, kept=kept, policies=policies, outside=outside)
    try:
        await door.start(metrics)
        yield door
    finally:
        await door.close()


def status_of(unsealing: Unsealing, *, sealed: bool) -> SealStatus:
    """Return what is said of an appliance whose root key is shared."""
    book = unsealing.book
    return SealStatus(
        sealed=sealed,
        provider="shamir",
        share_set=book.share_set,
        shares=len(book.checks),
        threshold=book.threshold,
        given_by=unsealing.given_by,
    )


def _with_port(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"


async def _stop(server: grpc.aio.Server) -> None:
    await server.stop(STOP_S)
