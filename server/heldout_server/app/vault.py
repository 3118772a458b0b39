"""The rooms of the vault half: they keep prompts, run evaluations, and decide releases."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from heldout_policy.shortage import find_shortage
from heldout_proto.v1 import bank_pb2_grpc, card_pb2_grpc, checkpoint_pb2_grpc, evaluation_pb2_grpc
from heldout_server.api.bank import BankServicer
from heldout_server.api.card import CardServicer
from heldout_server.api.checkpoint import CheckpointServicer
from heldout_server.api.evaluation import EvaluationServicer
from heldout_server.app.backing_up import answer_requests
from heldout_server.app.epochs import announce_epochs
from heldout_server.app.half import Ground, Half, Registration
from heldout_server.bank import SealedPacks, SqlBank
from heldout_server.checkpoints import SqlCheckpoints, open_source
from heldout_server.config import Config
from heldout_server.domain import Checkpoint, Sampling
from heldout_server.evaluation import Evaluation, Terms
from heldout_server.judges import PatternJudge
from heldout_server.judges.apart import JudgeProcess
from heldout_server.outcomes import SqlOutcomes
from heldout_server.ports.evaluation import PlanRequest
from heldout_server.release import CardsDesk, OpenDpNoise, SqlReleaseDesk
from heldout_server.runtimes import open_runtimes, read_system_prompt
from heldout_server.techniques import TechniqueLibrary
from heldout_server.watch import Watcher
from heldout_server.window import SqlPublisher, read_heads, scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Hold the rooms that keep prompts, run evaluations, and decide releases."""

    bank: SqlBank
    outcomes: SqlOutcomes
    checkpoints: SqlCheckpoints
    desk: SqlReleaseDesk
    evaluation: Evaluation
    cards: CardsDesk
    standing: PlanRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stores:
    """Hold the rooms that are a database each, and that others are built on."""

    bank: SqlBank
    outcomes: SqlOutcomes
    checkpoints: SqlCheckpoints
    publisher: SqlPublisher


async def open_half(config: Config, stack: contextlib.AsyncExitStack, ground: Ground) -> Half:
    """Open the rooms of the vault half, and close them when the stack unwinds."""
    audit = ground.logs["vault"]
    vault = await _open_rooms(config, stack, ground)

    async def announce() -> None:
        await announce_epochs(vault.bank, audit, vault.desk, vault.cards)

    async def begin() -> None:
        await vault.desk.adopt_policy()
        await vault.cards.open()
        await announce()
        await vault.evaluation.resume()

    watcher = Watcher(vault.checkpoints, audit, _submitter(config, vault), config.watch.poll_s)
    return Half(
        services=_services(vault, ground, on_epoch=announce),
        begin=begin,
        work={
            "watch": watcher.run,
            "cosigned": partial(ground.log_watch.carry_on_cosigned, vault.desk),
            "backups": partial(answer_requests, config, ground.tools.ring, ground.logs, ground.tools.clock),
        },
    )


async def _open_rooms(config: Config, stack: contextlib.AsyncExitStack, ground: Ground) -> Vault:
    stores = _open_stores(config, stack, ground)
    desk = _open_desk(config, stack, ground, stores)
    techniques = TechniqueLibrary.standard()
    cards = CardsDesk(
        store=stores.bank.cards,
        gate=stores.bank.gate,
        memberships=stores.bank,
        shipped=techniques.cards(),
        audit=ground.logs["vault"],
        publisher=stores.publisher,
        clock=ground.tools.clock,
        policy=ground.policies.release.cards,
        policy_digest=ground.policies.documents.digest,
        on_change=ground.approved.show,
    )
    evaluation = _build_evaluation(config, ground, stores, desk=desk, cards=cards, techniques=techniques)
    await stack.enter_async_context(evaluation)
    return Vault(
        bank=stores.bank,
        outcomes=stores.outcomes,
        checkpoints=stores.checkpoints,
        desk=desk,
        evaluation=evaluation,
        cards=cards,
        standing=PlanRequest(
            checkpoint="", techniques=config.plan.techniques, stacks=config.plan.stacks, attempts=config.plan.attempts
        ),
    )


def _open_stores(config: Config, stack: contextlib.AsyncExitStack, ground: Ground) -> _Stores:
    folder, tools, book = config.data.vault, ground.tools, ground.anchors.books["vault"]
    bank = SqlBank.open(
        folder / "bank.db",
        keys=tools.ring,
        ids=tools.ids,
        random_bytes=tools.random_bytes,
        anchor=book.of("bank"),
    )
    stack.callback(bank.close)
    outcomes = SqlOutcomes.open(
        folder / "outcomes.db",
        keys=tools.ring,
        ids=tools.ids,
        clock=tools.clock,
        random_bytes=tools.random_bytes,
        anchor=book.of("outcomes"),
    )
    stack.callback(outcomes.close)
    checkpoints = SqlCheckpoints.open(
        folder / "checkpoints.db",
        keys=tools.ring,
        clock=tools.clock,
        source=open_source(config.watch.source),
        staging=config.data.staging,
        limits=config.watch.limits,
        anchor=book.of("checkpoints"),
        elsewhere=frozenset(endpoint.engine for endpoint in config.runtimes.endpoints),
    )
    stack.callback(checkpoints.close)
    publisher = SqlPublisher.open(
        config.data.window / "published.db", keys=tools.ring, clock=tools.clock, anchor=book.of("published")
    )
    stack.callback(publisher.close)
    ground.anchors.join(
        "vault",
        leave=publisher.leave_heads,
        read=partial(
            read_heads, config.data.window / "window.db", tools.ring.database_key("window"), scores.MIGRATIONS
        ),
    )
    return _Stores(bank=bank, outcomes=outcomes, checkpoints=checkpoints, publisher=publisher)


def _open_desk(config: Config, stack: contextlib.AsyncExitStack, ground: Ground, stores: _Stores) -> SqlReleaseDesk:
    desk = SqlReleaseDesk.open(
        config.data.vault / "releases.db",
        keys=ground.tools.ring,
        clock=ground.tools.clock,
        ids=ground.tools.ids,
        noise=ground.tools.noise or OpenDpNoise(),
        policy=ground.policies.release,
        policy_digest=ground.policies.documents.digest,
        memberships=stores.bank,
        outcomes=stores.outcomes,
        audit=ground.logs["vault"],
        publisher=stores.publisher,
        anchor=ground.anchors.books["vault"].of("releases"),
    )
    stack.callback(desk.close)
    return desk


def _build_evaluation(
    config: Config,
    ground: Ground,
    stores: _Stores,
    *,
    desk: SqlReleaseDesk,
    cards: CardsDesk,
    techniques: TechniqueLibrary,
) -> Evaluation:
    judge, policy, in_flight = PatternJudge(), ground.policies.release, config.evaluation.in_flight
    return Evaluation(
        bank=stores.bank,
        checkpoints=stores.checkpoints,
        runtimes=open_runtimes(config.runtimes, run_folder=config.data.run, ids=ground.tools.ids, in_flight=in_flight),
        techniques=techniques,
        judge=judge,
        # On a single core a second process would only take turns with this one.
        judging=JudgeProcess(judge) if len(os.sched_getaffinity(0)) > 1 else None,
        outcomes=stores.outcomes,
        desk=desk,
        audit=ground.logs["vault"],
        clock=ground.tools.clock,
        terms=Terms(
            policy_digest=ground.policies.documents.digest,
            approving_roles=policy.approval_roles,
            in_flight=in_flight,
            deadline_s=config.evaluation.deadline_s,
            sampling=Sampling(**dataclasses.asdict(config.sampling)),
            system=read_system_prompt(config.system_prompt),
            guarded=policy.profile == "private",
            preflight=config.evaluation.preflight,
            schedule=policy.schedule,
        ),
        role_of=ground.policies.gatekeeper.role_of,
        cards=cards.digests,
    )


def _services(vault: Vault, ground: Ground, *, on_epoch: Callable[[], Awaitable[None]]) -> tuple[Registration, ...]:
    bank = BankServicer(
        bank=vault.bank,
        gate=vault.bank.gate,
        packs=SealedPacks(ground.tools.ring.pack_key()),
        gate_epoch=vault.desk.epoch_gate,
        find_shortage=partial(find_shortage, ground.policies.release),
        on_epoch=on_epoch,
    )
    evaluation = EvaluationServicer(
        evaluations=vault.evaluation,
        outcomes=vault.outcomes,
        standing=vault.standing,
        clock=ground.tools.clock,
        policy_digest=ground.policies.documents.digest,
        exact=ground.policies.release.exact,
    )
    checkpoint = CheckpointServicer(checkpoints=vault.checkpoints, engines=vault.evaluation.engines)
    return (
        partial(card_pb2_grpc.add_CardServiceServicer_to_server, CardServicer(cards=vault.cards)),
        partial(bank_pb2_grpc.add_BankServiceServicer_to_server, bank),
        partial(evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server, evaluation),
        partial(checkpoint_pb2_grpc.add_CheckpointServiceServicer_to_server, checkpoint),
    )


def _submitter(config: Config, vault: Vault) -> Callable[[Checkpoint], Awaitable[None]]:
    """Return what the watcher does with a staged checkpoint: the standing plan, started where policy lets it start."""

    async def submit(checkpoint: Checkpoint) -> None:
        if config.watch.auto_run:
            await vault.evaluation.submit(checkpoint.name, vault.standing)

    return submit
