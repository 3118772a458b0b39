"""What an epoch could tell under a policy: known before a key is turned, from numbers of units and rows alone.

The planner asks the mechanism itself (:func:`heldout_policy.mechanism.plan_tables`) about units that do not exist yet,
so that what it promises is what a release will do. Half-widths are at 95 %, in rates (1 is 100 points):

*   **noise**: z·sqrt(sigma² + g²/12)/n, with sigma and the grid g in units and n units in the row.
*   **noise and sampling**: the above and z·sqrt(p(1 - p)/n) at p = 1/2, where sampling is widest, added in squares.
*   **change**: between two checkpoints tried on the same units: noise·sqrt(2).

A row is *readable* if a change of :data:`READABLE` shows. A table with a row that nobody could read is not worth its
budget: the planner says so, and what would mend it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

from heldout_policy.mechanism import (
    MICRO,
    Claims,
    Side,
    TableKind,
    TablePlan,
    is_full,
    plan_tables,
    state_claims,
)
from heldout_policy.release_policy import ReleasePolicy

Z95: Final = 1.959963984540054
READABLE: Final = 0.15
"""The greatest half-width of a change, as a rate, that somebody could still act on: three times the usual one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochShape:
    """Say what an epoch would hold.

    Attributes:
        harmful_units, benign_units: privacy units of each intent, at least 0.
        techniques, stacks, categories: rows of the tables, ``plain`` counted as a technique.
        prompts_per_unit: prompts of a scenario family; 1 where prompts stand alone.
        attempts: trials of each prompt in each cell.
    """

    harmful_units: int
    benign_units: int
    techniques: int
    stacks: int
    categories: int
    prompts_per_unit: int = 1
    attempts: int = 1

    @property
    def trials(self) -> int:
        """Return the trials of one run: every harmful prompt in every cell, every benign one in the plain cell."""
        cells = self.harmful_units * (self.techniques + self.stacks) + self.benign_units
        return cells * self.prompts_per_unit * self.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOutlook:
    """Say how finely a table could be read.

    Attributes:
        name: the table, or ``overall``, which is derived from the technique table and costs nothing.
        releases: releases of the epoch that hold it.
        rows: how many rows it has.
        units: in its smallest row.
        sigma: scale of the noise, in units.
        noise, noise_and_sampling, change: half-widths at 95 %, in rates.
        withheld: rows that the policy's minimum withholds.
    """

    name: str
    releases: int
    rows: int
    units: int
    sigma: float
    noise: float
    noise_and_sampling: float
    change: float
    withheld: int

    @property
    def readable(self) -> bool:
        """Say whether somebody could act on every row that it shows."""
        return self.change <= READABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class WithheldTable:
    """Name a table of which the policy's minimum withholds every row, and the units of its largest row."""

    name: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Say what an epoch could tell, and what it would spend.

    Attributes:
        tables: as released, ``overall`` after the table it is derived from.
        releases: that the policy grants the epoch.
        payable: of these, how many a fresh harmful unit, a fresh benign one, and a look-alike pair can pay.
        spent_nano_rho: what the epoch spends of a harmful and of a benign unit, in billionths of zCDP rho.
        claims: what those spends let out about one unit; of no meaning in the ``exact`` profile.
        exact_bits: how many bits of one unit all releases can tell at most in the ``exact`` profile, one for each row
            that they show: a unit moves a row by at most 1, and the grid is at least 1. None in ``private``.
        withheld: tables that would be published without a figure.
    """

    tables: tuple[TableOutlook, ...]
    releases: int
    payable: dict[str, int]
    spent_nano_rho: dict[Side, int]
    claims: dict[Side, Claims]
    exact_bits: int | None = None
    withheld: tuple[WithheldTable, ...] = ()

    @property
    def unreadable(self) -> tuple[TableOutlook, ...]:
        """Return the tables with rows that nobody could read."""
        return tuple(table for table in self.tables if not table.readable)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Stand for a unit that does not exist yet."""

    unit: str
    intent: str
    category: str


def with_releases(policy: ReleasePolicy, releases: int) -> ReleasePolicy:
    """Return the policy with another number of releases an epoch, at least 1, for all lines; full ones as frequent."""
    full_every = min(policy.full_every, releases)
    return dataclasses.replace(policy, releases_per_epoch=releases, full_every=full_every, lines={})


def plan_epoch(policy: ReleasePolicy, shape: EpochShape) -> Outlook:
    """Return what an epoch of this shape could tell under this policy."""
    by_turn = {turn: _tables(policy, shape, release_number=turn) for turn in set(_turns(policy))}
    releases = [by_turn[turn] for turn in _turns(policy)]
    anchors = [_tables(policy, shape, release_number=1, anchor=True)] * policy.anchors_per_epoch
    debits = {side: [_spend(tables, side) for tables in releases] for side in (Side.HARMFUL, Side.BENIGN)}
    spent = {side: sum(values) for side, values in debits.items()}
    budget = policy.budget_nano_rho
    pair = [harmful + benign for harmful, benign in zip(debits[Side.HARMFUL], debits[Side.BENIGN], strict=True)]
    return Outlook(
        tables=tuple(_outlooks(policy, shape)),
        withheld=tuple(_withheld(policy, shape)),
        releases=policy.releases_granted,
        payable=dict.fromkeys(("harmful", "benign", "pair"), len(releases))
        if policy.exact
        else {
            "harmful": _payable(debits[Side.HARMFUL], budget),
            "benign": _payable(debits[Side.BENIGN], budget),
            "pair": _payable(pair, budget),
        },
        exact_bits=sum(map(_visible_rows, [*releases, *anchors])) if policy.exact else None,
        spent_nano_rho=spent,
        claims={side: state_claims(value) for side, value in spent.items()},
    )


def _turns(policy: ReleasePolicy) -> list[int]:
    """Return the turn of every release that the epoch is granted, line by line."""
    quotas = policy.lines.values() or (policy.releases_per_epoch,)
    return [turn for quota in quotas for turn in range(1, quota + 1)]


def _spend(tables: tuple[TablePlan, ...], side: Side) -> int:
    """Return what noised tables debit; nothing that could be stated where there is no noise."""
    return sum(table.debit_nano_rho for table in tables if table.side is side)


def _visible_rows(tables: tuple[TablePlan, ...]) -> int:
    return sum(not row.withheld for table in tables for row in table.rows)


def units_for(policy: ReleasePolicy, shape: EpochShape, table: str) -> int:
    """Return how many harmful units (benign ones for over-refusal) would make a table readable.

    Widths fall as 1/n, because sigma does not depend on n; so the answer follows from any n by one division.
    """
    (outlook,) = (one for one in _outlooks(policy, shape) if one.name == table)
    units = shape.benign_units if table == TableKind.OVER_REFUSAL else shape.harmful_units
    return math.ceil(units * outlook.change / READABLE)


def _tables(
    policy: ReleasePolicy, shape: EpochShape, *, release_number: int, anchor: bool = False
) -> tuple[TablePlan, ...]:
    harmful = [
        _Unit(f"h{number}", Side.HARMFUL, f"category-{number % shape.categories}")
        for number in range(shape.harmful_units)
    ]
    benign = [_Unit(f"b{number}", Side.BENIGN, "benign") for number in range(shape.benign_units)]
    return plan_tables(
        policy,
        release_number=release_number,
        techniques=[f"technique-{number}" for number in range(shape.techniques)],
        stacks=[(f"stack-{number}",) for number in range(shape.stacks)],
        members=[*harmful, *benign],
        anchor=anchor,
    )


def _outlooks(policy: ReleasePolicy, shape: EpochShape) -> list[TableOutlook]:
    found: list[TableOutlook] = []
    turns = _turns(policy)
    full = sum(is_full(policy, turn) for turn in turns)
    light = {table.kind for table in _tables(policy, shape, release_number=1)} if policy.full_every > 1 else set()
    for table in _tables(policy, shape, release_number=policy.full_every):
        shown = [row.units for row in table.rows if not row.withheld]
        if not shown:
            continue
        releases = len(turns) if table.kind in light or policy.full_every == 1 else full
        found.append(_outlook(table.kind, table, rows=len(table.rows), units=min(shown), releases=releases))
        if table.kind is TableKind.TECHNIQUE:
            found.append(_outlook("overall", table, rows=1, units=min(shown), releases=releases, mean_of=len(shown)))
    return found


def _withheld(policy: ReleasePolicy, shape: EpochShape) -> list[WithheldTable]:
    return [
        WithheldTable(name=str(table.kind), units=max(row.units for row in table.rows))
        for table in _tables(policy, shape, release_number=policy.full_every)
        if table.rows and all(row.withheld for row in table.rows)
    ]


def _outlook(name: str, table: TablePlan, *, rows: int, units: int, releases: int, mean_of: int = 1) -> TableOutlook:
    """Return the outlook of a table, or of the mean over ``mean_of`` of its rows, whose noise is independent."""
    sigma, grid = table.sigma_micro / MICRO, table.grid_micro / MICRO
    noise = Z95 * math.sqrt((sigma * sigma + grid * grid / 12) / mean_of) / units
    return TableOutlook(
        name=str(name),
        releases=releases,
        rows=rows,
        units=units,
        sigma=sigma,
        noise=noise,
        noise_and_sampling=math.hypot(noise, Z95 * 0.5 / math.sqrt(units)),
        change=noise * math.sqrt(2),
        withheld=sum(row.withheld for row in table.rows) if mean_of == 1 else 0,
    )


def _payable(debits: list[int], budget: int) -> int:
    """Return how many releases in a row the budget pays."""
    for number, debit in enumerate(debits):
        budget -= debit
        if budget < 0:
            return number
    return len(debits)
