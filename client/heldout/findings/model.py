"""Published documents as frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MICRO: Final = 1_000_000
"""Millionths in a unit: the fixed point of sigma and grid."""

MILLI: Final = 1_000
"""Thousandths in a point: the fixed point of scores."""


CANCELLED: Final = "cancelled: nothing was published of it"
"""What is said of a release instead of figures, where its run was ended early."""


class TableKind(StrEnum):
    """Name the tables of a release."""

    TECHNIQUE = "technique"
    STACK = "stack"
    FIRST_BREACH = "first_breach"
    CATEGORY = "category"
    NON_ANSWERS = "non_answers"
    OVER_REFUSAL = "over_refusal"


class Profile(StrEnum):
    """Say what protects a unit."""

    PRIVATE = "private"
    EXACT = "exact"


class TrustClass(StrEnum):
    """Say who could see what the runtime was sent."""

    CONTAINED = "contained"
    ATTESTED = "attested"
    EXPOSED = "exposed"


class ScoreKind(StrEnum):
    """Say what a training team's own score measures."""

    CAPABILITY = "capability"
    INTERNAL_SAFETY = "internal-safety"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Hold a published row.

    Attributes:
        key: a technique, a stack (``base64+fiction``, first innermost), a level (``plain``, ``single``, ``stack``), a
            category, or ``all``.
        units: units planned into the row: membership, never outcome.
        count: the noised sum over units of their shares, in grid steps, not clamped.
        withheld: by policy, for too few units; ``count`` says nothing then.
    """

    key: str
    units: int
    count: int
    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Hold a published table.

    Attributes:
        sigma_micro: scale of the noise in each row, in millionths of a unit; 0 in the ``exact`` profile alone.
        grid_micro: step of the published grid, in millionths of a unit.
        cells_per_unit: rows that one unit touches.
        debit_nano_rho: what the release debited each unit for the table, in billionths of zCDP rho.
    """

    kind: TableKind
    sigma_micro: int
    grid_micro: int
    cells_per_unit: int
    debit_nano_rho: int
    rows: tuple[Row, ...]

    def published(self, row: Row) -> float:
        """Return the published rate of a row, noise included: it may lie outside [0, 1]."""
        return row.count * self.grid_micro / (MICRO * row.units)

    def noise_variance(self, units: int) -> float:
        """Return the variance of a rate over ``units`` units from noise and grid, (sigma² + g²/12)/n²."""
        sigma, grid = self.sigma_micro / MICRO, self.grid_micro / MICRO
        return (sigma * sigma + grid * grid / 12) / (units * units)

    def visible(self) -> tuple[Row, ...]:
        """Return the rows that are not withheld."""
        return tuple(row for row in self.rows if not row.withheld and row.units > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """Say what was tested, exactly.

    Attributes:
        checkpoint_digest: hex SHA-256 over the digests of the checkpoint's files.
        temperature, top_p, max_tokens: sampling, as sent.
        attempts: trials of each prompt in each cell.
        engine_version: of the runtime; empty where it is not known.
        dialect: how the further sampling was sent; ``openai``: not, and the engine's own settings hold.
        top_k, min_p, repetition_penalty: further sampling; 0, 0 and 1 restrict nothing.
        reasoning_off: reasoning before the answer was turned off.
        reasoning_effort: how much of it was asked for; empty where the engine decided, or it was turned off.
        completion: no chat template was used: the model went on with a text of turns.
        precision, chat_template_digest: what the checkpoint's files say; may be empty.
        system_profile, system_digest: what was said before every prompt, by name and hex SHA-256; empty for nothing.
        filters: names of filters in front of the model.
        burnt_prompts: prompts that were sent to an exposed server.
        base, base_digest: the checkpoint whose weights it adapts; empty if it stands alone.
    """

    checkpoint: str
    line: str
    checkpoint_digest: str
    runtime: str
    trust: TrustClass
    temperature: float
    top_p: float
    max_tokens: int
    attempts: int
    engine_version: str = ""
    dialect: str = "openai"
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    reasoning_off: bool = False
    reasoning_effort: str = ""
    completion: bool = False
    precision: str = ""
    chat_template_digest: str = ""
    system_profile: str = ""
    system_digest: str = ""
    filters: tuple[str, ...] = ()
    burnt_prompts: int = 0
    base: str = ""
    base_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomSet:
    """Name a set of units that released rows sum over.

    Attributes:
        benign: sums over benign prompts; otherwise over harmful ones.
        category: the category, or empty for all units of the epoch.
        units: how many it holds.
    """

    epoch_id: str
    benign: bool
    category: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """Say how many units are in exactly these sets: 0-based places in the certificate, ascending."""

    sets: tuple[int, ...]
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomCertificate:
    """Hold what a release says of the groups of units that all releases so far tell apart.

    Attributes:
        minimum: units that every atom must have, by the policy in force.
        sets: everything that was ever summed over, in the order of release.
    """

    minimum: int
    sets: tuple[AtomSet, ...]
    atoms: tuple[Atom, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Hold one publication about one checkpoint.

    Attributes:
        number: 1-based number in its epoch.
        releases_total: releases that the policy grants the epoch.
        published_s: Unix seconds, a whole minute.
        full: whether it holds the tables by stack, first-breach level and category as well.
        cancelled: its run was ended early, so nothing is published of it: there are no tables.
        atoms: shows that no small group of units can be reached by subtracting released sums.
        profile: what protects a unit. ``exact``: nothing that bounds what the figures tell together.
        anchor: it restates a checkpoint that was released about an earlier epoch, or by an earlier judge.
    """

    release_id: str
    number: int
    releases_total: int
    run_id: str
    epoch_id: str
    epoch_number: int
    tested: Tested
    manifest_digest: str
    policy_digest: str
    judge: str
    judge_digest: str
    published_s: int
    full: bool
    tables: tuple[Table, ...]
    cancelled: bool = False
    atoms: AtomCertificate = AtomCertificate(minimum=0, sets=(), atoms=())
    profile: Profile = Profile.PRIVATE
    anchor: bool = False
    cards: Mapping[str, str] = field(default_factory=dict)
    approving_roles: tuple[str, ...] = ()

    def table(self, kind: TableKind) -> Table | None:
        """Return the table of a kind, or None if this release has none."""
        return next((table for table in self.tables if table.kind is kind), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Describe a technique: the one text about it that leaves.

    Attributes:
        digest: hex SHA-256 of the card, which releases name.
        author: identity that wrote it; ``heldout`` for one that ships.
        approved_by: identity that approved it; ``release-policy`` where the signature of the policy did.
    """

    technique: str
    title: str
    family: str
    kind: str
    mechanism: str
    references: tuple[str, ...]
    mitigation: str
    digest: str = ""
    author: str = ""
    approved_by: str = ""

    @property
    def texts(self) -> dict[str, Any]:
        """Return what a person wrote of it, by the names that proposals and checks take."""
        return {
            "title": self.title,
            "mechanism": self.mechanism,
            "references": self.references,
            "mitigation": self.mitigation,
        }


def release_label(release: Release, among: Iterable[Release]) -> str:
    """Return what to call a release: its checkpoint, or ``v1#3`` where ``among`` holds another one about that.

    The number is the release's in its epoch. Where not all of them are about one epoch, the epoch's stands before it,
    so that what came later has the higher number: ``v1#2.3``.
    """
    name = release.tested.checkpoint
    others = [one for one in among if one.tested.checkpoint == name and one.release_id != release.release_id]
    if any(one.epoch_number != release.epoch_number for one in others):
        return f"{name}#{release.epoch_number}.{release.number}"
    return f"{name}#{release.number}" if others else name


@dataclass(frozen=True, slots=True, kw_only=True)
class LineQuota:
    """Say what one model line has taken of an epoch's releases, and what it is granted."""

    line: str
    used: int
    total: int

    @property
    def left(self) -> int:
        """Return how many it may still take."""
        return max(0, self.total - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Say what the ledger has left for the open epoch.

    Attributes:
        releases_payable: how many more releases every unit can pay: fewer than are left of the epoch where a unit has
            prompts of both intents, which pays for both.
        harmful_spent_nano_rho, benign_spent_nano_rho: the largest spend among the units of that intent, in billionths
            of zCDP rho.
        budget_nano_rho: what a unit may spend over its life; 0 in the ``exact`` profile, which has no bound.
        lines: what model lines have, where the policy grants each its own; otherwise empty.
        anchors_used, anchors_total: releases that restate an earlier checkpoint, beside the others.
    """

    epoch_id: str
    releases_used: int
    releases_total: int
    releases_payable: int
    harmful_spent_nano_rho: int
    benign_spent_nano_rho: int
    budget_nano_rho: int
    policy_digest: str
    lines: tuple[LineQuota, ...] = ()
    anchors_used: int = 0
    anchors_total: int = 0
    profile: Profile = Profile.PRIVATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Hold a score of the training team's own.

    Attributes:
        benchmark: an identifier such as ``swe-bench``.
        value_milli: thousandths of a point: 41.25 is 41250.
    """

    checkpoint: str
    kind: ScoreKind
    benchmark: str
    value_milli: int

    @property
    def value(self) -> float:
        """Return the score in points."""
        return self.value_milli / MILLI
