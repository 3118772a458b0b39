"""The composition root: it builds every room from the config and brings them together. Nothing else does.

The order is the order of trust: keys, then the signed policy, then the logs, and only then the rooms and the door.
Whatever is unclear on the way stops the start, before a port is bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from heldout_policy.authorization import Authorization
from heldout_policy.principals import Principals, parse_principals
from heldout_policy.release_policy import ReleasePolicy, parse_release_policy, policy_digest
from heldout_proto.v1 import findings_pb2
from heldout_server.api.audit import AuditServicer, PolicyDocuments
from heldout_server.api.bank import BankServicer
from heldout_server.api.checkpoint import CheckpointServicer
from heldout_server.api.contract import methods
from heldout_server.api.edge import Edge
from heldout_server.api.evaluation import EvaluationServicer
from heldout_server.api.findings import FindingsServicer
from heldout_server.api.server import Certificates, Health, Servicers, build_server, listen, verify_rules
from heldout_server.audit import SqlAuditLog
from heldout_server.bank import SealedPacks, SqlBank
from heldout_server.checkpoints import SqlCheckpoints, open_source
from heldout_server.config import Config
from heldout_server.domain import Card, Checkpoint, Role, RunState, Sampling
from heldout_server.environment import RandomIds, SystemClock
from heldout_server.errors import ConfigError, IntegrityError, StorageError
from heldout_server.evaluation import Evaluation
from heldout_server.identity import CertificateGatekeeper
from heldout_server.judges import PatternJudge
from heldout_server.keys import FileKeyRing, verify_policy_signature
from heldout_server.outcomes import SqlOutcomes
from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.environment import Clock, Ids
from heldout_server.ports.evaluation import PlanRequest
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.outcomes import Outcomes
from heldout_server.release import OpenDpNoise, SqlReleaseDesk
from heldout_server.runtimes import open_runtimes, read_system_prompt
from heldout_server.techniques import TechniqueLibrary
from heldout_server.telemetry import Metrics
from heldout_server.watch import Watcher
from heldout_server.window import SqlPublications, SqlPublisher, SqlScores

PAGE_RUNS: Final = 100
LOG_FILE: Final = "audit.db"
DATABASES: Final = (
    ("vault", LOG_FILE),
    ("window", LOG_FILE),
    ("vault", "bank.db"),
    ("vault", "outcomes.db"),
    ("vault", "checkpoints.db"),
    ("window", "published.db"),
    ("vault", "releases.db"),
    ("window", "window.db"),
)
"""Half and file of every database, in the order in which a first start makes them; what is new goes to the end."""

GRACE_S: Final = 5.0
"""Seconds that accepted calls get to finish once the appliance is told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Hold what every room is given: time, names and keys."""

    clock: Clock
    ids: Ids
    ring: KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Hold the policy documents in force."""

    release: ReleasePolicy
    documents: PolicyDocuments
    principals: Principals
    gatekeeper: CertificateGatekeeper


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


def load_policies(config: Config) -> Policies:
    """Read the policy documents, check the signature of the release policy, and parse them.

    Raises:
        ConfigError: a document is missing or not signed by the bank tester, or no rule names a method. Nothing leaves.
        PolicyError: a document does not parse.
    """
    folder = config.policy.folder
    release_toml = _document(folder / "release.toml")
    signature = _document(folder / "release.toml.sig")
    verify_policy_signature(release_toml, signature, _document(config.policy.signer))
    authorization_cedar = _document(folder / "authorization.cedar")
    principals = parse_principals(_text(_document(folder / "principals.toml"), "principals.toml"))
    gatekeeper = CertificateGatekeeper(
        principals, Authorization.parse(_text(authorization_cedar, "authorization.cedar"))
    )
    verify_rules(methods(), gatekeeper, tuple(Role))
    return Policies(
        release=parse_release_policy(_text(release_toml, "release.toml")),
        documents=PolicyDocuments(
            release_toml=release_toml,
            authorization_cedar=authorization_cedar,
            digest=policy_digest(release_toml),
        ),
        principals=principals,
        gatekeeper=gatekeeper,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vault:
    """The rooms that hold prompts, run evaluations, and decide releases."""

    bank: SqlBank
    outcomes: SqlOutcomes
    checkpoints: SqlCheckpoints
    desk: SqlReleaseDesk
    evaluation: Evaluation
    cards: tuple[Card, ...]
    standing: PlanRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """The rooms that answer trainers and auditors."""

    publications: SqlPublications
    scores: SqlScores


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
        logs = await _open_logs(stack, config, tools, policies, log_failed)
        vault = await _open_vault(stack, config, tools, policies, logs["vault"])
        window = _open_window(stack, config, tools)
        edge = _build_edge(
            tools, policies=policies, logs=logs, cards=vault.cards, metrics=metrics, log_failed=log_failed
        )
        server = build_server(edge, _build_servicers(tools, policies, logs, vault, window))
        port = listen(server, config.listen.address, _certificates(config))
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


async def _open_logs(
    stack: contextlib.AsyncExitStack, config: Config, tools: Tools, policies: Policies, log_failed: asyncio.Event
) -> dict[str, AuditLog]:
    """Open both logs first: whatever happens after this is recorded."""
    _verify_databases(config)
    logs: dict[str, AuditLog] = {}
    for half, folder in (("vault", config.data.vault), ("window", config.data.window)):
        log = await SqlAuditLog.open(
            folder / LOG_FILE,
            key=tools.ring.database_key(f"audit-{half}"),
            origin=f"{config.appliance.name}/{half}",
            signing_key=tools.ring.audit_signing_key(half),
            mac_key=tools.ring.audit_mac_key(half),
            clock=tools.clock,
            on_failure=log_failed.set,
        )
        stack.push_async_callback(log.close)
        logs[half] = log
    for opened in logs.values():
        await opened.append(Record(kind="event", name="start", details={"policy_digest": policies.documents.digest}))

    async def record_stop() -> None:
        if not log_failed.is_set():
            for opened in logs.values():
                await opened.append(Record(kind="event", name="stop"))

    stack.push_async_callback(record_stop)
    return logs


def _verify_databases(config: Config) -> None:
    """Check that no database was deleted: they are made one after the other, so a gap is not a first start cut off.

    A log or a ledger that were begun anew would be empty, and nobody here could tell.

    Raises:
        IntegrityError: a database is gone.
    """
    folders = {"vault": config.data.vault, "window": config.data.window}
    there = [(folders[half] / name).exists() for half, name in DATABASES]
    for place, (half, name) in enumerate(DATABASES):
        if not there[place] and any(there[place:]):
            raise IntegrityError(
                f"{half}/{name} is gone, and later databases are there. It is never begun anew:"
                " restore it from a backup. Nothing was started."
            )


async def _open_vault(
    stack: contextlib.AsyncExitStack, config: Config, tools: Tools, policies: Policies, audit: AuditLog
) -> _Vault:
    folder, clock, ids, ring = config.data.vault, tools.clock, tools.ids, tools.ring
    bank = SqlBank.open(folder / "bank.db", keys=ring, ids=ids)
    stack.callback(bank.close)
    outcomes = SqlOutcomes.open(folder / "outcomes.db", keys=ring, ids=ids, clock=clock)
    stack.callback(outcomes.close)
    source = open_source(config.watch.source)
    checkpoints = SqlCheckpoints.open(
        folder / "checkpoints.db", keys=ring, clock=clock, source=source, staging=config.data.staging
    )
    stack.callback(checkpoints.close)
    publisher = SqlPublisher.open(config.data.window / "published.db", keys=ring, clock=clock)
    stack.callback(publisher.close)
    desk = SqlReleaseDesk.open(
        folder / "releases.db",
        keys=ring,
        clock=clock,
        ids=ids,
        noise=OpenDpNoise(),
        policy=policies.release,
        policy_digest=policies.documents.digest,
        memberships=bank,
        outcomes=outcomes,
        audit=audit,
        publisher=publisher,
    )
    stack.callback(desk.close)
    techniques = TechniqueLibrary.standard()
    in_flight = config.evaluation.in_flight
    evaluation = Evaluation(
        bank=bank,
        checkpoints=checkpoints,
        runtimes=open_runtimes(config.runtimes, run_folder=config.data.run, ids=ids, in_flight=in_flight),
        techniques=techniques,
        judge=PatternJudge(),
        outcomes=outcomes,
        desk=desk,
        audit=audit,
        clock=clock,
        policy_digest=policies.documents.digest,
        approving_roles=policies.release.approval_roles,
        role_of=policies.principals.role_of,
        in_flight=in_flight,
        deadline_s=config.evaluation.deadline_s,
        sampling=Sampling(**dataclasses.asdict(config.sampling)),
        system=read_system_prompt(config.system_prompt),
        guarded=policies.release.profile == "private",
        preflight=config.evaluation.preflight,
    )
    await stack.enter_async_context(evaluation)
    cards = techniques.cards()
    await publisher.put_state("cards", _card_set(cards).SerializeToString(deterministic=True))
    return _Vault(
        bank=bank,
        outcomes=outcomes,
        checkpoints=checkpoints,
        desk=desk,
        evaluation=evaluation,
        cards=cards,
        standing=PlanRequest(
            checkpoint="", techniques=config.plan.techniques, stacks=config.plan.stacks, attempts=config.plan.attempts
        ),
    )


def _open_window(stack: contextlib.AsyncExitStack, config: Config, tools: Tools) -> _Window:
    folder = config.data.window
    publications = SqlPublications.open(folder / "published.db", keys=tools.ring)
    stack.callback(publications.close)
    scores = SqlScores.open(folder / "window.db", keys=tools.ring)
    stack.callback(scores.close)
    return _Window(publications=publications, scores=scores)


def _build_edge(
    tools: Tools,
    *,
    policies: Policies,
    logs: dict[str, AuditLog],
    cards: tuple[Card, ...],
    metrics: Metrics,
    log_failed: asyncio.Event,
) -> Edge:
    return Edge(
        contract=methods(),
        gatekeeper=policies.gatekeeper,
        logs=logs,
        policy_digest=policies.documents.digest,
        approved_texts=frozenset(
            text for card in cards for text in (card.title, card.mechanism, card.mitigation, *card.references)
        ),
        clock=tools.clock,
        ids=tools.ids,
        metrics=metrics,
        on_log_failure=log_failed.set,
    )


def _build_servicers(
    tools: Tools, policies: Policies, logs: dict[str, AuditLog], vault: _Vault, window: _Window
) -> Servicers:
    return Servicers(
        findings=FindingsServicer(publications=window.publications, scores=window.scores, clock=tools.clock),
        bank=BankServicer(
            bank=vault.bank,
            packs=SealedPacks(tools.ring.pack_key()),
            audit=logs["vault"],
            on_epoch=vault.desk.refresh_budget,
        ),
        evaluation=EvaluationServicer(evaluations=vault.evaluation, outcomes=vault.outcomes, standing=vault.standing),
        checkpoint=CheckpointServicer(checkpoints=vault.checkpoints),
        audit=AuditServicer(logs=logs, documents=policies.documents),
    )


def _submitter(config: Config, vault: _Vault) -> Callable[[Checkpoint], Awaitable[None]]:
    """Return what the watcher does with a staged checkpoint: the standing plan, started where policy lets it start.

    A checkpoint that already has a run was submitted before a crash, or by a person: it is left alone.
    """

    async def submit(checkpoint: Checkpoint) -> None:
        if not config.watch.auto_run or await _has_run(vault.outcomes, checkpoint.name):
            return
        plan = dataclasses.replace(vault.standing, checkpoint=checkpoint.name)
        run = await vault.evaluation.propose(plan)
        await vault.evaluation.start(run.run_id)

    return submit


async def _has_run(outcomes: Outcomes, checkpoint: str) -> bool:
    after = ""
    while page := await outcomes.list(after=after, limit=PAGE_RUNS):
        if any(run.manifest.checkpoint == checkpoint and run.state is not RunState.PROPOSED for run in page):
            return True
        after = page[-1].run_id
    return False


def _card_set(cards: tuple[Card, ...]) -> findings_pb2.CardSet:
    return findings_pb2.CardSet(
        cards=[
            findings_pb2.Card(
                technique=card.technique,
                title=card.title,
                family=card.family,
                kind=card.kind,
                mechanism=card.mechanism,
                references=card.references,
                mitigation=card.mitigation,
            )
            for card in cards
        ]
    )


def _certificates(config: Config) -> Certificates:
    return Certificates(
        authority=_document(config.tls.ca), certificate=_document(config.tls.certificate), key=_document(config.tls.key)
    )


def _document(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was started.") from None


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: not UTF-8 text. Save it as UTF-8. Nothing was started.") from None
