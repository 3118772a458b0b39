"""The rooms of the two halves."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass

from heldout_proto.v1 import findings_pb2
from heldout_server.app.anchors import Anchors
from heldout_server.app.policies import Policies
from heldout_server.app.tools import Tools
from heldout_server.bank import SqlBank
from heldout_server.checkpoints import SqlCheckpoints, open_source
from heldout_server.config import Config
from heldout_server.domain import Card, Sampling
from heldout_server.evaluation import Evaluation
from heldout_server.judges import PatternJudge
from heldout_server.judges.apart import JudgeProcess
from heldout_server.outcomes import SqlOutcomes
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.evaluation import PlanRequest
from heldout_server.release import OpenDpNoise, SqlReleaseDesk
from heldout_server.runtimes import open_runtimes, read_system_prompt
from heldout_server.techniques import TechniqueLibrary
from heldout_server.window import SqlPublications, SqlPublisher, SqlScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Hold the rooms that keep prompts, run evaluations, and decide releases."""

    bank: SqlBank
    outcomes: SqlOutcomes
    checkpoints: SqlCheckpoints
    desk: SqlReleaseDesk
    evaluation: Evaluation
    cards: tuple[Card, ...]
    standing: PlanRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hold the rooms that answer trainers and auditors."""

    publications: SqlPublications
    scores: SqlScores


async def open_vault(
    stack: contextlib.AsyncExitStack,
    config: Config,
    tools: Tools,
    policies: Policies,
    *,
    audit: AuditLog,
    anchors: Anchors,
) -> Vault:
    """Open the rooms of the vault half, and close them when the stack unwinds."""
    folder, clock, ids, ring = config.data.vault, tools.clock, tools.ids, tools.ring
    book = anchors.books["vault"]
    bank = SqlBank.open(folder / "bank.db", keys=ring, ids=ids, anchor=book.of("bank"))
    stack.callback(bank.close)
    outcomes = SqlOutcomes.open(folder / "outcomes.db", keys=ring, ids=ids, clock=clock, anchor=book.of("outcomes"))
    stack.callback(outcomes.close)
    source = open_source(config.watch.source)
    checkpoints = SqlCheckpoints.open(
        folder / "checkpoints.db",
        keys=ring,
        clock=clock,
        source=source,
        staging=config.data.staging,
        limits=config.watch.limits,
        anchor=book.of("checkpoints"),
        elsewhere=frozenset(endpoint.engine for endpoint in config.runtimes.endpoints),
    )
    stack.callback(checkpoints.close)
    publisher = SqlPublisher.open(
        config.data.window / "published.db", keys=ring, clock=clock, anchor=book.of("published")
    )
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
        anchor=book.of("releases"),
    )
    stack.callback(desk.close)
    techniques, judge = TechniqueLibrary.standard(), PatternJudge()
    in_flight = config.evaluation.in_flight
    evaluation = Evaluation(
        bank=bank,
        checkpoints=checkpoints,
        runtimes=open_runtimes(config.runtimes, run_folder=config.data.run, ids=ids, in_flight=in_flight),
        techniques=techniques,
        judge=judge,
        # On a single core a second process would only take turns with this one.
        judging=JudgeProcess(judge) if len(os.sched_getaffinity(0)) > 1 else None,
        outcomes=outcomes,
        desk=desk,
        audit=audit,
        clock=clock,
        policy_digest=policies.documents.digest,
        approving_roles=policies.release.approval_roles,
        role_of=policies.gatekeeper.role_of,
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
    return Vault(
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


def open_window(stack: contextlib.AsyncExitStack, config: Config, tools: Tools, anchors: Anchors) -> Window:
    """Open the rooms of the window half, and close them when the stack unwinds."""
    folder = config.data.window
    publications = SqlPublications.open(folder / "published.db", keys=tools.ring)
    stack.callback(publications.close)
    scores = SqlScores.open(folder / "window.db", keys=tools.ring, anchor=anchors.books["window"].of("window"))
    stack.callback(scores.close)
    return Window(publications=publications, scores=scores)


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
