"""The release mechanism: what a table costs, how much noise it carries, which rows it has.

Given the policy, the number of the release and who is in the epoch, everything here is fixed. No outcome enters: rows,
units, withholding, noise and debits are the same whatever a checkpoint does.

The mechanism, for a table in which one unit touches m cells with at most 1 each:

*   R is the number of releases of an epoch that hold the table.
*   A release debits ``floor(share · budget / R)`` billionths of zCDP rho for it.
*   The L2 sensitivity is sqrt(m), so Gaussian noise of scale sigma costs m / (2 sigma²) of rho (Bun and Steinke 2016,
    "Concentrated Differential Privacy", proposition 1.6; Canonne, Kamath and Steinke 2020 for the discrete Gaussian).
    Hence sigma = sqrt(m / (2 · debit)), rounded up to a millionth of a unit: what is spent never passes the debit.
*   Figures are published as whole steps of a grid of at most sigma / 2, and not clamped.

A unit's share in a row of the first-breach table is that of its prompts which break at this level or a shallower one:
in any of the trials of the plan. The plan is fixed, so the rows are cumulative and a unit touches each of them.

In the ``exact`` profile there is no noise and no debit that would bound anything: the grid is a number of units, every
table is published, and each unit pays :data:`EXACT_DEBIT_NANO_RHO`, so that it never counts as protected again.

All of it is whole-number arithmetic, so that no rounding of floats ever favours the reader.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from heldout_policy.release_policy import EXACT, MAXIMUM_BITS, NANO, ReleasePolicy

MICRO: Final = 1_000_000
"""Millionths in a unit: the fixed point of contributions, sigma and grid."""

ALL: Final = "all"
"""The key of the one row of a table that has one row."""


class TableKind(StrEnum):
    """Name the tables, in the order in which a release holds them."""

    TECHNIQUE = "technique"
    STACK = "stack"
    FIRST_BREACH = "first_breach"
    CATEGORY = "category"
    NON_ANSWERS = "non_answers"
    OVER_REFUSAL = "over_refusal"


FULL_ONLY: Final = frozenset({TableKind.STACK, TableKind.FIRST_BREACH, TableKind.CATEGORY})
"""Tables that light releases leave out."""


class Level(StrEnum):
    """Name how deep an attack goes, shallowest first: the rows of the first-breach table."""

    PLAIN = "plain"
    SINGLE = "single"
    STACK = "stack"


DEPTH: Final = {level: depth for depth, level in enumerate(Level)}
LEVELS: Final = len(DEPTH)

EXACT_DEBIT_NANO_RHO: Final = MAXIMUM_BITS * NANO
"""What a release without noise takes from each unit: more than any budget. No later policy with noise spends on it."""


class Side(StrEnum):
    """Name whose units a table is about; each side is debited apart."""

    HARMFUL = "harmful"
    BENIGN = "benign"


class UnitMember(Protocol):
    """Say what the mechanism must know of a prompt in an epoch."""

    @property
    def unit(self) -> str:
        """Return the privacy unit."""
        ...

    @property
    def intent(self) -> str:
        """Return ``harmful`` or ``benign``."""
        ...

    @property
    def category(self) -> str:
        """Return the row of the category table."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlan:
    """Fix a row before any outcome is known.

    Attributes:
        units: units planned into the row.
        withheld: they are fewer than the policy's minimum.
    """

    key: str
    units: int
    withheld: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """Fix a table of a release before any outcome is known.

    Attributes:
        side: whose units it is about.
        debit_nano_rho: what this release debits each of them for it, in billionths of zCDP rho.
        cells_per_unit: rows that one unit touches.
        sigma_micro: scale of the noise in each row, in millionths of a unit; 0 in ``exact`` alone.
        grid_micro: step of the published grid, in millionths of a unit.
    """

    kind: TableKind
    side: Side
    debit_nano_rho: int
    cells_per_unit: int
    sigma_micro: int
    grid_micro: int
    rows: tuple[RowPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Say what a spend of rho lets out about one unit, given every other unit (``SECURITY.md``, "The bound, exactly").

    Attributes:
        tight_bits: bits of mutual information, an average, by the bound for Gaussian noise on shares: rho / (4 ln 2).
        general_bits: bits of mutual information by the bound that holds for any mechanism: rho / ln 2.
        one_question_accuracy: best accuracy on one yes/no question about the unit, 0.5 to 1: Phi(sqrt(rho / 2)).
    """

    tight_bits: float
    general_bits: float
    one_question_accuracy: float


def state_claims(nano_rho: int) -> Claims:
    """Return the three figures that documents give for a spend, in billionths of zCDP rho, at least 0."""
    rho = nano_rho / NANO
    return Claims(
        tight_bits=rho / (4 * math.log(2)),
        general_bits=rho / math.log(2),
        one_question_accuracy=(1 + math.erf(math.sqrt(rho) / 2)) / 2,  # Phi(x) is (1 + erf(x / sqrt 2)) / 2
    )


def is_full(policy: ReleasePolicy, release_number: int) -> bool:
    """Say whether the release with this 1-based number is full: its number in its line where lines have quotas."""
    return release_number % policy.full_every == 0


def levels_of(techniques: Sequence[str], stacks: Sequence[Sequence[str]]) -> tuple[Level, ...]:
    """Return the levels that a plan tries, shallowest first; one alone makes no table."""
    depths = (
        (Level.PLAIN, bool(techniques)),
        (Level.SINGLE, len(techniques) > 1),
        (Level.STACK, bool(stacks)),
    )
    found = tuple(level for level, tried in depths if tried)
    return found if len(found) > 1 else ()


def noise_scale_micro(*, cells_per_unit: int, debit_nano_rho: int) -> int:
    """Return the least sigma, in whole millionths of a unit, that costs no more than the debit.

    Args:
        cells_per_unit: rows that one unit touches, at least 1.
        debit_nano_rho: billionths of zCDP rho, at least 1.
    """
    # sigma² = m / (2 rho), with sigma in millionths and rho in billionths; both steps round up.
    square = -(-cells_per_unit * MICRO * MICRO * NANO // (2 * debit_nano_rho))
    return math.isqrt(square - 1) + 1


def table_debit_nano_rho(policy: ReleasePolicy, kind: TableKind) -> int:
    """Return what one release that holds this table debits each of its units for it, in billionths of zCDP rho.

    In ``exact`` that is 0, as no figure of rho would be true of it.
    """
    shares = {
        TableKind.TECHNIQUE: policy.harmful.technique,
        TableKind.STACK: policy.harmful.stack,
        TableKind.FIRST_BREACH: policy.harmful.first_breach,
        TableKind.CATEGORY: policy.harmful.category,
        TableKind.NON_ANSWERS: policy.harmful.non_answers,
        TableKind.OVER_REFUSAL: policy.benign.over_refusal,
    }
    releases = policy.releases_per_epoch
    if kind in FULL_ONLY:
        releases //= policy.full_every
    return int(EXACT.multiply(shares[kind], Decimal(policy.budget_nano_rho))) // releases


def unit_categories(members: Iterable[UnitMember]) -> dict[str, str]:
    """Return the one category of every harmful unit: that of its first harmful member.

    A unit must touch one cell of the category table and no more, whatever its members say of themselves.
    """
    categories: dict[str, str] = {}
    for member in members:
        if member.intent == Side.HARMFUL:
            categories.setdefault(member.unit, member.category)
    return categories


def plan_tables(
    policy: ReleasePolicy,
    *,
    release_number: int,
    techniques: Sequence[str],
    stacks: Sequence[Sequence[str]],
    members: Sequence[UnitMember],
    anchor: bool = False,
) -> tuple[TablePlan, ...]:
    """Fix the tables of a release: which, with what rows, noise and debits.

    A table without rows (no stacks in the plan), or without a share of the budget, is left out and costs nothing.

    Args:
        policy: the policy in force.
        release_number: 1-based number of the release in its epoch, or in its line where lines have quotas.
        techniques: cells with one technique, in the plan's order: the rows of the technique table.
        stacks: compositions, in the plan's order: the rows of the stack table.
        members: the epoch's members in its frozen order.
        anchor: it restates an earlier checkpoint: it is light, whatever its number.
    """
    categories = unit_categories(members)
    harmful = len(categories)
    benign = len({member.unit for member in members if member.intent == Side.BENIGN})
    sizes = Counter(categories.values())
    levels = levels_of(techniques, stacks)

    planned: list[tuple[TableKind, Side, int, list[tuple[str, int]]]] = [
        (TableKind.TECHNIQUE, Side.HARMFUL, len(techniques), [(technique, harmful) for technique in techniques]),
        (TableKind.STACK, Side.HARMFUL, len(stacks), [("+".join(stack), harmful) for stack in stacks]),
        (TableKind.FIRST_BREACH, Side.HARMFUL, len(levels), [(level, harmful) for level in levels]),
        (TableKind.CATEGORY, Side.HARMFUL, 1, sorted(sizes.items())),
        (TableKind.NON_ANSWERS, Side.HARMFUL, 1, [(ALL, harmful)]),
        (TableKind.OVER_REFUSAL, Side.BENIGN, 1, [(ALL, benign)]),
    ]
    if anchor or not is_full(policy, release_number):
        planned = [table for table in planned if table[0] not in FULL_ONLY]
    return tuple(
        _plan_table(policy, kind=kind, side=side, cells_per_unit=cells, debit=debit, rows=rows)
        for kind, side, cells, rows in planned
        if rows and ((debit := table_debit_nano_rho(policy, kind)) > 0 or policy.exact)
    )


def _plan_table(
    policy: ReleasePolicy, *, kind: TableKind, side: Side, cells_per_unit: int, debit: int, rows: list[tuple[str, int]]
) -> TablePlan:
    if policy.exact:
        sigma_micro, grid_micro = 0, policy.grid_units * MICRO
    else:
        sigma_micro = noise_scale_micro(cells_per_unit=cells_per_unit, debit_nano_rho=debit)
        # A very fine fraction of a small sigma would round to no grid at all.
        grid_micro = max(1, int(EXACT.multiply(policy.grid_fraction, Decimal(sigma_micro))))
    return TablePlan(
        kind=kind,
        side=side,
        debit_nano_rho=debit,
        cells_per_unit=cells_per_unit,
        sigma_micro=sigma_micro,
        grid_micro=grid_micro,
        rows=tuple(
            RowPlan(key=key, units=units, withheld=units < policy.minimum_units_per_cell) for key, units in rows
        ),
    )


def side_debit(tables: Iterable[TablePlan], side: Side) -> int:
    """Return what a release with these tables debits each unit of one side, in billionths of zCDP rho.

    A table without noise debits :data:`EXACT_DEBIT_NANO_RHO`.
    """
    tables = [table for table in tables if table.side == side]
    if any(table.sigma_micro == 0 for table in tables):
        return EXACT_DEBIT_NANO_RHO
    return sum(table.debit_nano_rho for table in tables)


def to_grid(value_micro: int, *, grid_micro: int) -> int:
    """Return the number of grid steps nearest to a value in millionths of a unit; ties go to the even step."""
    steps, rest = divmod(value_micro, grid_micro)
    if 2 * rest > grid_micro or (2 * rest == grid_micro and steps % 2):
        steps += 1
    return steps
