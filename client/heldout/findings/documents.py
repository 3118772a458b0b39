"""From protobuf messages to the frozen values of :mod:`heldout.findings.model`.

A value that this version does not know (a new table, a new trust class) is an error, not a guess.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final, TypeVar

from heldout.errors import UnknownAnswer, VerificationError
from heldout.findings.model import (
    MILLI,
    Atom,
    AtomCertificate,
    AtomSet,
    Budget,
    Card,
    LineQuota,
    Profile,
    Release,
    Row,
    Score,
    ScoreKind,
    Table,
    TableKind,
    Tested,
    TrustClass,
)
from heldout_proto.v1 import findings_pb2 as pb

T = TypeVar("T")

TABLE_KINDS: Final[Mapping[int, TableKind]] = {
    pb.TABLE_KIND_TECHNIQUE: TableKind.TECHNIQUE,
    pb.TABLE_KIND_STACK: TableKind.STACK,
    pb.TABLE_KIND_FIRST_BREACH: TableKind.FIRST_BREACH,
    pb.TABLE_KIND_CATEGORY: TableKind.CATEGORY,
    pb.TABLE_KIND_NON_ANSWERS: TableKind.NON_ANSWERS,
    pb.TABLE_KIND_OVER_REFUSAL: TableKind.OVER_REFUSAL,
}
TRUST_CLASSES: Final[Mapping[int, TrustClass]] = {
    pb.TRUST_CLASS_CONTAINED: TrustClass.CONTAINED,
    pb.TRUST_CLASS_ATTESTED: TrustClass.ATTESTED,
    pb.TRUST_CLASS_EXPOSED: TrustClass.EXPOSED,
}
PROFILES: Final[Mapping[int, Profile]] = {
    pb.PROFILE_UNSPECIFIED: Profile.PRIVATE,  # as older releases have it
    pb.PROFILE_PRIVATE: Profile.PRIVATE,
    pb.PROFILE_EXACT: Profile.EXACT,
}
SCORE_KINDS: Final[Mapping[int, ScoreKind]] = {
    pb.SCORE_KIND_CAPABILITY: ScoreKind.CAPABILITY,
    pb.SCORE_KIND_INTERNAL_SAFETY: ScoreKind.INTERNAL_SAFETY,
}
SCORE_KIND_NUMBERS: Final = {
    ScoreKind.CAPABILITY: pb.SCORE_KIND_CAPABILITY,
    ScoreKind.INTERNAL_SAFETY: pb.SCORE_KIND_INTERNAL_SAFETY,
}


def known(values: Mapping[int, T], number: int, what: str) -> T:
    """Return what an enum's number stands for.

    Raises:
        UnknownAnswer: this version does not know it.
    """
    try:
        return values[number]
    except KeyError:
        raise UnknownAnswer(f"the appliance sent a {what} that this version does not know: update heldout") from None


def release_from(message: pb.Release) -> Release:
    """Return a release as a value.

    Raises:
        UnknownAnswer: it holds a table, a trust class or a profile that this version does not know, or tables that are
            not what its profile says: figures without noise are never shown as private ones.
    """
    profile = known(PROFILES, message.profile, "profile")
    if any((table.sigma_micro <= 0) is not (profile is Profile.EXACT) for table in message.tables):
        raise UnknownAnswer(
            f"{message.release_id} says that it is {profile}, and its tables are not: do not rely on it"
        )
    return Release(
        release_id=message.release_id,
        number=message.number,
        releases_total=message.releases_total,
        run_id=message.run_id,
        epoch_id=message.epoch_id,
        epoch_number=message.epoch_number,
        tested=tested_from(message.tested),
        manifest_digest=message.manifest_digest,
        policy_digest=message.policy_digest,
        judge=message.judge,
        judge_digest=message.judge_digest,
        published_s=message.published_s,
        full=message.full,
        tables=tuple(_table(table) for table in message.tables),
        cancelled=message.cancelled,
        atoms=_certificate(message.atoms),
        profile=profile,
        anchor=message.anchor,
        cards={card.technique: card.digest for card in message.cards},
        approving_roles=tuple(message.approving_roles),
    )


def tested_from(message: pb.TestedSystem) -> Tested:
    """Return what was tested as a value.

    Raises:
        UnknownAnswer: this version does not know its trust class.
    """
    return Tested(
        checkpoint=message.checkpoint,
        line=message.line,
        checkpoint_digest=message.checkpoint_digest,
        runtime=message.runtime,
        trust=known(TRUST_CLASSES, message.trust, "trust class"),
        temperature=message.temperature_milli / MILLI,
        top_p=message.top_p_milli / MILLI,
        max_tokens=message.max_tokens,
        attempts=message.attempts,
        engine_version=message.engine_version,
        dialect=message.dialect,
        top_k=message.top_k,
        min_p=message.min_p_milli / MILLI,
        repetition_penalty=message.repetition_penalty_milli / MILLI,
        reasoning_off=message.reasoning_off,
        reasoning_effort=message.reasoning_effort,
        completion=message.completion,
        precision=message.precision,
        chat_template_digest=message.chat_template_digest,
        system_profile=message.system_profile,
        system_digest=message.system_digest,
        filters=tuple(message.filters),
        burnt_prompts=message.burnt_prompts,
        base=message.base,
        base_digest=message.base_digest,
    )


def card_from(message: pb.Card) -> Card:
    """Return a card as a value.

    Raises:
        VerificationError: its texts are not those of its digest.
    """
    if card_digest(message) != message.digest:
        raise VerificationError(f"the card of {message.technique} is not what its digest says: do not trust it")
    return Card(
        technique=message.technique,
        title=message.title,
        family=message.family,
        kind=message.kind,
        mechanism=message.mechanism,
        references=tuple(message.references),
        mitigation=message.mitigation,
        digest=message.digest,
        author=message.author,
        approved_by=message.approved_by,
    )


def card_digest(message: pb.Card) -> str:
    """Return the hex SHA-256 of a card's canonical JSON: compact, in UTF-8, with sorted keys (RFC 8785's manner)."""
    fields = {
        "technique": message.technique,
        "title": message.title,
        "family": message.family,
        "kind": message.kind,
        "mechanism": message.mechanism,
        "references": list(message.references),
        "mitigation": message.mitigation,
    }
    document = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def budget_from(message: pb.Budget) -> Budget:
    """Return the budget as a value.

    Raises:
        UnknownAnswer: this version does not know its profile.
    """
    return Budget(
        epoch_id=message.epoch_id,
        releases_used=message.releases_used,
        releases_total=message.releases_total,
        releases_payable=message.releases_payable,
        harmful_spent_nano_rho=message.harmful_spent_nano_rho,
        benign_spent_nano_rho=message.benign_spent_nano_rho,
        budget_nano_rho=message.budget_nano_rho,
        policy_digest=message.policy_digest,
        lines=tuple(LineQuota(line=one.line, used=one.used, total=one.total) for one in message.lines),
        anchors_used=message.anchors_used,
        anchors_total=message.anchors_total,
        profile=known(PROFILES, message.profile, "profile"),
    )


def score_from(message: pb.Score) -> Score:
    """Return a score as a value.

    Raises:
        UnknownAnswer: this version does not know its kind.
    """
    return Score(
        checkpoint=message.checkpoint,
        kind=known(SCORE_KINDS, message.kind, "kind of score"),
        benchmark=message.benchmark,
        value_milli=message.value_milli,
    )


def _certificate(message: pb.AtomCertificate) -> AtomCertificate:
    return AtomCertificate(
        minimum=message.minimum,
        sets=tuple(
            AtomSet(epoch_id=one.epoch_id, benign=one.benign, category=one.category, units=one.units)
            for one in message.sets
        ),
        atoms=tuple(Atom(sets=tuple(one.sets), units=one.units) for one in message.atoms),
    )


def _table(message: pb.Table) -> Table:
    return Table(
        kind=known(TABLE_KINDS, message.kind, "table"),
        sigma_micro=message.sigma_micro,
        grid_micro=message.grid_micro,
        cells_per_unit=message.cells_per_unit,
        debit_nano_rho=message.debit_nano_rho,
        rows=tuple(Row(key=row.key, units=row.units, count=row.count, withheld=row.withheld) for row in message.rows),
    )
