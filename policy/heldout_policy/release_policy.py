"""What ``release.toml`` may say, and what it means.

The rules, all of them here:

1.  The document is TOML. Every key below must be there, and no other key may be; ``witness`` and ``cards`` alone may
    be left out.
2.  ``profile`` is ``private``. This version knows nothing else.
3.  ``bits_per_prompt`` is above 0 and at most 64; rho = bits · ln 2, kept in whole billionths, rounded down.
4.  ``releases_per_epoch`` is 1 to 10,000; ``full_every`` is 1 to ``releases_per_epoch``.
5.  ``minimum_units_per_cell`` is 2 to 1,000,000: a row about one unit is never published.
6.  ``grid_fraction`` is above 0 and at most 0.5.
7.  Every share is 0 to 1, and the shares of one intent sum to at most 1, the reserve included. A table without a
    share is never published.
8.  ``approvals.roles`` names testers, each once.
9.  ``witness.keys`` holds 1 to 16 verifier keys of witnesses, each once; ``witness.maximum_age_s`` is 1 to 2,592,000.
    With this section a release waits for a cosignature of one of them; without it no release does.
10. ``schedule.publish`` is ``as_planned``, and then ``schedule.slot_s`` is 1 to 604,800 seconds; or ``on_completion``,
    and then there is no ``schedule.slot_s``.
11. ``cards`` is as :mod:`heldout_policy.cards` has it.

Numbers are read as decimals, so that 0.45 is 0.45 and every later figure is the same on every machine. Whatever is
not understood is refused: there is no default behind a missing key.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from heldout_policy.cards import APPROVERS, SHIPPED, STRICTEST, CardsPolicy
from heldout_policy.errors import PolicyError
from heldout_policy.schedule import AS_PLANNED, ON_COMPLETION, Schedule
from heldout_policy.witness import Witnessing, WitnessKey

DOCUMENT: Final = "release.toml"
NANO: Final = 1_000_000_000
MAXIMUM_BITS: Final = 64
MAXIMUM_RELEASES: Final = 10_000
MINIMUM_UNITS: Final = 2
MAXIMUM_UNITS: Final = 1_000_000
MAXIMUM_GRID: Final = Decimal("0.5")
APPROVING_ROLES: Final = ("bank_tester", "run_tester")
MAXIMUM_WITNESSES: Final = 16
MAXIMUM_AGE_S: Final = 30 * 86_400
MAXIMUM_SLOT_S: Final = 7 * 86_400

# 50 digits: far past the billionths that are kept, so rounding down is rounding the true figure down.
EXACT: Final = Context(prec=50)

_KEYS: Final = {
    "": (
        "profile",
        "bits_per_prompt",
        "releases_per_epoch",
        "full_every",
        "minimum_units_per_cell",
        "grid_fraction",
        "shares",
        "approvals",
        "schedule",
    ),
    "shares": ("harmful", "benign"),
    "shares.harmful": ("technique", "non_answers", "stack", "category", "reserve"),
    "shares.benign": ("over_refusal", "reserve"),
    "approvals": ("roles",),
    "schedule": ("publish",),
    "witness": ("keys", "maximum_age_s"),
    "cards": ("shipped", "approved_by"),
}
_OPTIONAL: Final = frozenset({"witness", "cards", "schedule.slot_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmfulShares:
    """Split a harmful unit's budget among the tables: fractions of it over the epoch."""

    technique: Decimal
    non_answers: Decimal
    stack: Decimal
    category: Decimal
    reserve: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BenignShares:
    """Split a benign unit's budget among the tables: fractions of it over the epoch."""

    over_refusal: Decimal
    reserve: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePolicy:
    """Hold what a release policy says, checked.

    Attributes:
        profile: ``private``.
        bits_per_prompt: the budget of one unit for life, in bits by the general bound.
        releases_per_epoch: releases that an epoch is granted.
        full_every: every how many releases one is full.
        minimum_units_per_cell: a row about fewer units is withheld.
        grid_fraction: step of the published grid, as a fraction of sigma.
        harmful, benign: shares of the budget by table.
        approval_roles: roles that must approve a manifest before a start.
        schedule: when runs publish.
        witness: whose cosignature a release waits for; None for nobody's.
        cards: who approves technique cards.
    """

    profile: str
    bits_per_prompt: Decimal
    releases_per_epoch: int
    full_every: int
    minimum_units_per_cell: int
    grid_fraction: Decimal
    harmful: HarmfulShares
    benign: BenignShares
    approval_roles: tuple[str, ...]
    schedule: Schedule
    witness: Witnessing | None = None
    cards: CardsPolicy = STRICTEST

    @property
    def budget_nano_rho(self) -> int:
        """Return what one unit may spend over its life, in billionths of zCDP rho, rounded down."""
        return int(EXACT.multiply(EXACT.multiply(self.bits_per_prompt, EXACT.ln(Decimal(2))), Decimal(NANO)))


def policy_digest(document: bytes) -> str:
    """Return the hex SHA-256 of a policy document, byte for byte as it was signed."""
    return hashlib.sha256(document).hexdigest()


def parse_release_policy(text: str) -> ReleasePolicy:
    """Read and check a release policy by the rules of this module.

    Raises:
        PolicyError: it is not TOML, or breaks one of the rules; the message names the key and never falls back.
    """
    try:
        document: dict[str, object] = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError) as error:  # the latter: an exponent past all decimals
        raise PolicyError(f"not TOML: {error}", document=DOCUMENT) from None
    root = _Section("", document)
    shares = root.section("shares")
    harmful, benign = shares.section("harmful"), shares.section("benign")
    releases = root.whole("releases_per_epoch", lowest=1, highest=MAXIMUM_RELEASES)
    return ReleasePolicy(
        profile=root.word("profile", "private"),
        bits_per_prompt=root.number("bits_per_prompt", highest=Decimal(MAXIMUM_BITS), above_zero=True),
        releases_per_epoch=releases,
        full_every=root.whole("full_every", lowest=1, highest=releases),
        minimum_units_per_cell=root.whole("minimum_units_per_cell", lowest=MINIMUM_UNITS, highest=MAXIMUM_UNITS),
        grid_fraction=root.number("grid_fraction", highest=MAXIMUM_GRID, above_zero=True),
        harmful=HarmfulShares(**harmful.shares()),
        benign=BenignShares(**benign.shares()),
        approval_roles=root.section("approvals").names("roles", APPROVING_ROLES),
        schedule=root.section("schedule").schedule(),
        witness=root.section("witness").witnessing() if "witness" in document else None,
        cards=root.section("cards").cards() if "cards" in document else STRICTEST,
    )


class _Section:
    """Read one table of the document; creating it checks that it has exactly the keys it should have."""

    def __init__(self, path: str, values: dict[str, object]) -> None:
        self._path = path
        self._values = values
        known = _KEYS[path]
        for key in values:
            if key not in known and self._key(key) not in _OPTIONAL:
                raise self._error(key, "no such key")
        for key in known:
            if key not in values:
                raise self._error(key, "missing")

    def _key(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _error(self, key: str, message: str) -> PolicyError:
        return PolicyError(message, document=DOCUMENT, key=self._key(key))

    def section(self, key: str) -> _Section:
        value = self._values[key]
        if not isinstance(value, dict):
            raise self._error(key, "must be a table")
        return _Section(self._key(key), value)

    def word(self, key: str, *known: str) -> str:
        value = self._values[key]
        if not isinstance(value, str) or value not in known:
            raise self._error(key, "must be " + " or ".join(f'"{word}"' for word in known))
        return value

    def whole(self, key: str, *, lowest: int, highest: int) -> int:
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self._error(key, f"must be a whole number from {lowest} to {highest}")
        return value

    def number(self, key: str, *, highest: Decimal, above_zero: bool = False) -> Decimal:
        value = self._values[key]
        # A NaN is a Decimal that cannot be compared, so finiteness comes first.
        if not isinstance(value, bool) and isinstance(value, int | Decimal):
            number = Decimal(value)
            if number.is_finite() and 0 <= number <= highest and not (above_zero and number == 0):
                return number
        lowest = "above 0" if above_zero else "from 0"
        raise self._error(key, f"must be a number {lowest} to {highest}")

    def shares(self) -> dict[str, Decimal]:
        shares = {key: self.number(key, highest=Decimal(1)) for key in self._values}
        if sum(shares.values(), start=Decimal(0)) > 1:
            raise PolicyError("the shares sum to more than 1", document=DOCUMENT, key=self._path)
        return shares

    def names(self, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
        value = self._values[key]
        if not isinstance(value, list) or any(name not in known for name in value) or len(set(value)) != len(value):
            raise self._error(key, f"must be a list of different names out of {', '.join(known)}")
        return tuple(value)

    def schedule(self) -> Schedule:
        publish, slots = self._values["publish"], "slot_s" in self._values
        if publish not in (AS_PLANNED, ON_COMPLETION):
            raise self._error("publish", f'must be "{AS_PLANNED}" or "{ON_COMPLETION}"')
        if slots != (publish == AS_PLANNED):
            raise self._error("slot_s", f'has no meaning with "{ON_COMPLETION}"' if slots else "missing")
        return Schedule(slot_s=self.whole("slot_s", lowest=1, highest=MAXIMUM_SLOT_S) if slots else 0)

    def cards(self) -> CardsPolicy:
        return CardsPolicy(shipped=self.word("shipped", *SHIPPED), approved_by=self.word("approved_by", *APPROVERS))

    def witnessing(self) -> Witnessing:
        value = self._values["keys"]
        if (
            not isinstance(value, list)
            or not 1 <= len(value) <= MAXIMUM_WITNESSES
            or len(set(map(str, value))) < len(value)
        ):
            raise self._error("keys", f"must be a list of 1 to {MAXIMUM_WITNESSES} different verifier keys")
        try:
            keys = tuple(WitnessKey.parse(str(vkey)) for vkey in value)
        except ValueError as error:
            raise self._error("keys", str(error)) from None
        return Witnessing(keys=keys, maximum_age_s=self.whole("maximum_age_s", lowest=1, highest=MAXIMUM_AGE_S))
