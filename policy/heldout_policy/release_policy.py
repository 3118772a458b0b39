"""What ``release.toml`` may say, and what it means.

The rules, all of them here:

1.  The document is TOML. Every key below must be there, and no other key may be; ``lines``, ``witness`` and ``cards``
    may be left out. Which keys there are depends on the profile.
2.  ``version`` is 1 to 1,000,000,000, and rises with every change: an appliance that has known a later one refuses an
    earlier one, and two documents of one version.
3.  ``profile`` is ``private`` (noise under one budget for life) or ``exact`` (no noise, and far weaker).
4.  ``releases_per_epoch`` is 1 to 10,000; ``full_every`` is 1 to ``releases_per_epoch``.
5.  ``anchors_per_epoch`` is 0 to 8: releases that restate a checkpoint of an earlier epoch or judge, beside the others.
    They are light ones and are paid from the reserve, which must suffice for them on both sides.
6.  ``minimum_units_per_cell`` is 2 to 1,000,000: a row about one unit is never published.
7.  ``lines`` grants each model line a number of the epoch's releases, 1 or more, in sum at most
    ``releases_per_epoch``. A line that is not in it is granted none. Without it all lines share them as they come.
    Every ``full_every``. release is full: counted in its line where lines have quotas, else in the epoch.
8.  ``approvals.roles`` names testers, each once.
9.  ``witness.keys`` holds 1 to 16 verifier keys of witnesses, each once, and no key under two names;
    ``witness.maximum_age_s`` is 1 to 2,592,000; ``witness.needed``, which may be left out and is then 1, is 1 to the
    number of different names. With this section a release waits until as many of these witnesses have cosigned a head
    that holds it; without it no release does.
10. In ``private``: ``bits_per_prompt`` is above 0 and at most 64; rho = bits · ln 2, kept in whole billionths, rounded
    down. ``grid_fraction`` is above 0 and at most 0.5. Every share is 0 to 1, and the shares of one intent sum to at
    most 1, the reserve included. A table without a share is never published.
11. In ``exact``: ``grid_units`` is 1 to 1,000. There is no budget and there are no shares: every table is published.
12. ``schedule.publish`` is ``as_planned``, and then ``schedule.slot_s`` is 1 to 604,800 seconds; or ``on_completion``,
    and then there is no ``schedule.slot_s``.
13. ``cards`` is as :mod:`heldout_policy.cards` has it.

Numbers are read as decimals, so that 0.45 is 0.45 and every later figure is the same on every machine. Whatever is
not understood is refused: there is no default behind a missing key.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

from heldout_policy.cards import APPROVERS, SHIPPED, STRICTEST, CardsPolicy
from heldout_policy.errors import PolicyError
from heldout_policy.schedule import AS_PLANNED, ON_COMPLETION, Schedule
from heldout_policy.toml_lines import syntax_error_place
from heldout_policy.toml_section import IDENTIFIER, Keys, Section
from heldout_policy.witness import Witnessing, WitnessKey

DOCUMENT: Final = "release.toml"
NANO: Final = 1_000_000_000
MAXIMUM_VERSION: Final = 1_000_000_000
MAXIMUM_BITS: Final = 64
MAXIMUM_RELEASES: Final = 10_000
MAXIMUM_ANCHORS: Final = 8
MAXIMUM_LINES: Final = 64
MINIMUM_UNITS: Final = 2
MAXIMUM_UNITS: Final = 1_000_000
MAXIMUM_GRID: Final = Decimal("0.5")
MAXIMUM_GRID_UNITS: Final = 1_000
APPROVING_ROLES: Final = ("bank_tester", "run_tester")
MAXIMUM_WITNESSES: Final = 16
MAXIMUM_AGE_S: Final = 30 * 86_400
MAXIMUM_SLOT_S: Final = 7 * 86_400

# 50 digits: far past the billionths that are kept, so rounding down is rounding the true figure down.
EXACT: Final = Context(prec=50)


class Profile(StrEnum):
    """Name what protects a unit."""

    PRIVATE = "private"
    EXACT = "exact"


_COMMON: Final = (
    "version",
    "profile",
    "releases_per_epoch",
    "full_every",
    "anchors_per_epoch",
    "minimum_units_per_cell",
    "approvals",
    "schedule",
)
_OPTIONAL: Final = ("lines", "witness", "cards")
_ROOT: Final = {
    Profile.PRIVATE: Keys(required=(*_COMMON, "bits_per_prompt", "grid_fraction", "shares"), optional=_OPTIONAL),
    Profile.EXACT: Keys(required=(*_COMMON, "grid_units"), optional=_OPTIONAL),
}
_SHARES: Final = Keys(required=("harmful", "benign"))
_HARMFUL: Final = Keys(required=("technique", "non_answers", "stack", "first_breach", "category", "reserve"))
_BENIGN: Final = Keys(required=("over_refusal", "reserve"))
_APPROVALS: Final = Keys(required=("roles",))
_SCHEDULE: Final = Keys(required=("publish",), optional=("slot_s",))
_CARDS: Final = Keys(required=("shipped", "approved_by"))
_WITNESS: Final = Keys(required=("keys", "maximum_age_s"), optional=("needed",))


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmfulShares:
    """Split a harmful unit's budget among the tables: fractions of it over the epoch."""

    technique: Decimal
    non_answers: Decimal
    stack: Decimal
    first_breach: Decimal
    category: Decimal
    reserve: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BenignShares:
    """Split a benign unit's budget among the tables: fractions of it over the epoch."""

    over_refusal: Decimal
    reserve: Decimal


NO_HARMFUL_SHARES: Final = HarmfulShares(
    technique=Decimal(0),
    non_answers=Decimal(0),
    stack=Decimal(0),
    first_breach=Decimal(0),
    category=Decimal(0),
    reserve=Decimal(0),
)
NO_BENIGN_SHARES: Final = BenignShares(over_refusal=Decimal(0), reserve=Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePolicy:
    """Hold what a release policy says, checked.

    Attributes:
        version: rises with every change.
        profile: what protects a unit.
        releases_per_epoch: releases that an epoch is granted.
        full_every: every how many releases one is full.
        anchors_per_epoch: releases that restate an earlier checkpoint, beside the others, paid from the reserve.
        minimum_units_per_cell: a row about fewer units is withheld.
        approval_roles: roles that must approve a manifest before a start.
        schedule: when runs publish.
        lines: releases of an epoch by model line; empty where all lines share them as they come.
        witness: whose cosignatures a release waits for; None for nobody's.
        cards: who approves technique cards.
        bits_per_prompt: the budget of one unit for life, in bits by the general bound; 0 in ``exact``.
        grid_fraction: step of the published grid, as a fraction of sigma; 0 in ``exact``.
        harmful, benign: shares of the budget by table; all 0 in ``exact``.
        grid_units: step of the published grid in units; 0 in ``private``.
    """

    version: int
    profile: Profile
    releases_per_epoch: int
    full_every: int
    anchors_per_epoch: int
    minimum_units_per_cell: int
    approval_roles: tuple[str, ...]
    schedule: Schedule
    lines: Mapping[str, int] = field(default_factory=dict)
    witness: Witnessing | None = None
    cards: CardsPolicy = STRICTEST
    bits_per_prompt: Decimal = Decimal(0)
    grid_fraction: Decimal = Decimal(0)
    harmful: HarmfulShares = NO_HARMFUL_SHARES
    benign: BenignShares = NO_BENIGN_SHARES
    grid_units: int = 0

    @property
    def exact(self) -> bool:
        """Say whether figures are published without noise, and so without any bound on what they tell."""
        return self.profile is Profile.EXACT

    @property
    def releases_granted(self) -> int:
        """Return how many releases of an epoch somebody is granted, anchors aside."""
        return sum(self.lines.values()) if self.lines else self.releases_per_epoch

    @property
    def budget_nano_rho(self) -> int:
        """Return what one unit may spend over its life, in billionths of zCDP rho, rounded down; 0 in ``exact``."""
        return int(EXACT.multiply(EXACT.multiply(self.bits_per_prompt, EXACT.ln(Decimal(2))), Decimal(NANO)))


def policy_digest(document: bytes) -> str:
    """Return the hex SHA-256 of a policy document, byte for byte as it was signed."""
    return hashlib.sha256(document).hexdigest()


def parse_release_policy(text: str) -> ReleasePolicy:
    """Read and check a release policy by the rules of this module.

    Raises:
        PolicyError: it is not TOML, or breaks one of the rules; the message names line and key, and never falls back.
    """
    try:
        document: dict[str, object] = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        line, message = syntax_error_place(error)
        raise PolicyError(f"not TOML: {message}", document=DOCUMENT, line=line) from None
    except (ValueError, ArithmeticError) as error:  # a number past all digits, an exponent past all decimals
        raise PolicyError(f"not TOML: {error}", document=DOCUMENT) from None
    # The profile first: it says which other keys there must be.
    unchecked = Section(document=DOCUMENT, text=text, path="", values=document)
    if "profile" not in document:
        raise unchecked.error("profile", "missing")
    profile = Profile(unchecked.word("profile", tuple(Profile)))
    root = Section(document=DOCUMENT, text=text, path="", values=document, keys=_ROOT[profile])
    releases = root.whole("releases_per_epoch", lowest=1, highest=MAXIMUM_RELEASES)
    policy = ReleasePolicy(
        version=root.whole("version", lowest=1, highest=MAXIMUM_VERSION),
        profile=profile,
        releases_per_epoch=releases,
        full_every=root.whole("full_every", lowest=1, highest=releases),
        anchors_per_epoch=root.whole("anchors_per_epoch", lowest=0, highest=MAXIMUM_ANCHORS),
        minimum_units_per_cell=root.whole("minimum_units_per_cell", lowest=MINIMUM_UNITS, highest=MAXIMUM_UNITS),
        approval_roles=root.section("approvals", _APPROVALS).list_words("roles", APPROVING_ROLES),
        schedule=_schedule(root.section("schedule", _SCHEDULE)),
        lines=_lines(root.section("lines"), releases=releases) if "lines" in document else {},
        witness=_witnessing(root.section("witness", _WITNESS)) if "witness" in document else None,
        cards=_cards(root.section("cards", _CARDS)) if "cards" in document else STRICTEST,
    )
    if profile is Profile.EXACT:
        return replace(policy, grid_units=root.whole("grid_units", lowest=1, highest=MAXIMUM_GRID_UNITS))
    return _noised(policy, root)


def _noised(policy: ReleasePolicy, root: Section) -> ReleasePolicy:
    """Return the policy with what ``private`` says of noise, by rule 10, and rule 5 of the reserve."""
    shares = root.section("shares", _SHARES)
    harmful = HarmfulShares(**shares.section("harmful", _HARMFUL).shares())
    benign = BenignShares(**shares.section("benign", _BENIGN).shares())
    for light, kept in (
        (harmful.technique + harmful.non_answers, harmful.reserve),
        (benign.over_refusal, benign.reserve),
    ):
        if policy.anchors_per_epoch * light > kept * policy.releases_per_epoch:
            raise root.error("anchors_per_epoch", f"the reserve does not pay {policy.anchors_per_epoch} light releases")
    return replace(
        policy,
        bits_per_prompt=root.number("bits_per_prompt", highest=Decimal(MAXIMUM_BITS), above_zero=True),
        grid_fraction=root.number("grid_fraction", highest=MAXIMUM_GRID, above_zero=True),
        harmful=harmful,
        benign=benign,
    )


def _lines(section: Section, *, releases: int) -> dict[str, int]:
    """Return the quotas of model lines, by rule 7."""
    for name in section.names:
        if IDENTIFIER.fullmatch(name) is None:
            raise section.error(name, "is not the name of a model line")
    quotas = {name: section.whole(name, lowest=1, highest=releases) for name in section.names}
    if not 1 <= len(quotas) <= MAXIMUM_LINES:
        raise section.error("", f"must name 1 to {MAXIMUM_LINES} model lines")
    if sum(quotas.values()) > releases:
        raise section.error("", f"the lines are granted {sum(quotas.values())} releases, and an epoch has {releases}")
    return quotas


def _schedule(section: Section) -> Schedule:
    """Return when runs publish, by rule 12."""
    planned, slots = section.word("publish", (AS_PLANNED, ON_COMPLETION)) == AS_PLANNED, "slot_s" in section.names
    if slots is not planned:
        raise section.error("slot_s", f'has no meaning with "{ON_COMPLETION}"' if slots else "missing")
    return Schedule(slot_s=section.whole("slot_s", lowest=1, highest=MAXIMUM_SLOT_S) if slots else 0)


def _cards(section: Section) -> CardsPolicy:
    """Return who approves technique cards, by rule 13."""
    return CardsPolicy(shipped=section.word("shipped", SHIPPED), approved_by=section.word("approved_by", APPROVERS))


def _witnessing(section: Section) -> Witnessing:
    """Return whose cosignatures a release waits for, by rule 9."""
    try:
        keys = tuple(WitnessKey.parse(vkey) for vkey in section.list_texts("keys", most=MAXIMUM_WITNESSES))
    except ValueError as error:
        raise section.error("keys", str(error)) from None
    if len({key.public_key for key in keys}) < len(keys):
        raise section.error("keys", "two names with one key would be one witness that counts twice")
    found = Witnessing(keys=keys, maximum_age_s=section.whole("maximum_age_s", lowest=1, highest=MAXIMUM_AGE_S))
    if "needed" not in section.names:
        return found
    return replace(found, needed=section.whole("needed", lowest=1, highest=len(found.names)))
