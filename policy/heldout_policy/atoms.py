"""Atoms: what could be told apart by subtracting released sums from each other.

Every released row is a sum over a set of units. Whoever adds and subtracts released sums can reach every *atom*: a
group of units that belong to exactly the same released sets, over all releases and epochs. An atom of one unit would
be that unit's own figure. So no atom may be smaller than the policy's minimum: beside the noise that is hygiene, and
where there is no noise it is the whole protection.

The rules, all of them here:

1.  Sides are apart: sums over harmful and over benign prompts never hold the same figure of a unit.
2.  An atom is a class of units with the same memberships in all released sets of their side. Complements are in it:
    what is left of an epoch when its released categories are taken away is an atom too. A unit in no released set is
    in none.
3.  Sets are offered in the order of a release's rows. One that would leave an atom smaller than the minimum is
    withheld, and with it every row that sums over it.
4.  A set that was released before is always allowed again.
5.  An epoch of which not even the whole could ever be released is not opened (:func:`find_gaps`).

Memberships alone decide. No outcome enters, so that withholding says nothing of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from heldout_policy.mechanism import RowPlan, Side, TableKind, TablePlan


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class SetName:
    """Name a set of units that rows sum over.

    Attributes:
        epoch_id: the epoch that froze it.
        side: whose prompts are summed.
        category: the category, or empty for all units of the side.
    """

    epoch_id: str
    side: Side
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """Say how many units are in exactly these released sets: at least one set, in the order of release."""

    sets: tuple[SetName, ...]
    units: int


@dataclass(frozen=True, slots=True)
class Released:
    """Hold every set that was ever released, with its units, in the order of release.

    A value: :meth:`admit` returns another.
    """

    sets: Mapping[SetName, frozenset[str]] = field(default_factory=dict)

    def atoms(self, side: Side) -> tuple[Atom, ...]:
        """Return the atoms of a side, in the order of their sets."""
        names = [name for name in self.sets if name.side is side]
        counted = Counter(self._signatures(names).values())
        return tuple(
            Atom(sets=tuple(name for place, name in enumerate(names) if signature >> place & 1), units=units)
            for signature, units in sorted(counted.items())
        )

    def smallest(self, side: Side) -> int:
        """Return the units of the smallest atom of a side, or 0 where nothing was released."""
        names = [name for name in self.sets if name.side is side]
        return min(Counter(self._signatures(names).values()).values(), default=0)

    def groups(self, side: Side) -> dict[int, frozenset[str]]:
        """Return the units of every atom of a side, by a number whose bit i says whether it is in the side's set i."""
        found: dict[int, set[str]] = {}
        for unit, signature in self._signatures([name for name in self.sets if name.side is side]).items():
            found.setdefault(signature, set()).add(unit)
        return {signature: frozenset(units) for signature, units in found.items()}

    def admit(self, offered: Mapping[SetName, frozenset[str]], *, minimum: int) -> tuple[Released, frozenset[SetName]]:
        """Decide which of the sets that a release would sum over may be, by the rules of this module.

        Args:
            offered: sets in the order of the release's rows.
            minimum: units that every atom must have, at least 1.

        Returns:
            What is released from then on, and the names of the sets that are withheld.
        """
        released, withheld = self, set[SetName]()
        for name, units in offered.items():
            if released.sets.get(name) == units:
                continue
            tried = Released({**released.sets, name: units})
            if not units or tried.smallest(name.side) < minimum:
                withheld.add(name)
            else:
                released = tried
        return released, frozenset(withheld)

    def _signatures(self, names: Sequence[SetName]) -> dict[str, int]:
        """Return for each unit in some set a number whose bit i says whether it is in set i."""
        signatures: dict[str, int] = {}
        for place, name in enumerate(names):
            for unit in self.sets[name]:
                signatures[unit] = signatures.get(unit, 0) | 1 << place
        return signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Say by how few units an epoch would differ from what was released: a group too small to be told apart.

    Attributes:
        side: whose prompts.
        category: the newest released category that the group is in; empty for units of no released set, or where only
            whole epochs were released.
        change: ``new`` units are in no released set; of a group that is in some, so few would ``stay`` or would ``go``.
        units: how many they are, at least 1.
        short: how many more the least group has.
    """

    side: Side
    category: str
    change: str
    units: int
    short: int


def find_gaps(released: Released, offered: Mapping[Side, frozenset[str]], *, minimum: int) -> tuple[Gap, ...]:
    """Return what keeps the whole of an epoch from ever being released, from memberships alone.

    Args:
        released: everything that was.
        offered: the units that the epoch would have on each side. A side with fewer than the minimum shows no row.
        minimum: units that every atom must have.
    """
    gaps: list[Gap] = []
    for side, units in offered.items():
        names = [name for name in released.sets if name.side is side]
        if len(units) < minimum or any(released.sets[name] == units for name in names):
            continue
        groups = released.groups(side)
        known = frozenset().union(*groups.values()) if groups else frozenset()
        changes = [("", "new", units - known)]
        for signature, group in sorted(groups.items()):
            of = [name.category for place, name in enumerate(names) if name.category and signature >> place & 1]
            category = of[-1] if of else ""
            changes += [(category, "stay", group & units), (category, "go", group - units)]
        gaps += [
            Gap(side=side, category=category, change=change, units=len(some), short=minimum - len(some))
            for category, change, some in changes
            if 0 < len(some) < minimum
        ]
    return tuple(gaps)


def set_of(table: TablePlan, row: RowPlan, *, epoch_id: str) -> SetName:
    """Return the name of the set that a row sums over."""
    category = row.key if table.kind is TableKind.CATEGORY else ""
    return SetName(epoch_id=epoch_id, side=table.side, category=category)


def offered_sets(
    epoch_id: str, tables: Iterable[TablePlan], *, harmful: Mapping[str, str], benign: Iterable[str]
) -> dict[SetName, frozenset[str]]:
    """Return the sets that the rows of a release sum over, in their order; rows that are withheld sum over none.

    Args:
        epoch_id: the epoch.
        tables: as planned, or as they were released.
        harmful: the category of every harmful unit, from :func:`heldout_policy.mechanism.unit_categories`.
        benign: the benign units.
    """
    sides = {Side.HARMFUL: frozenset(harmful), Side.BENIGN: frozenset(benign)}
    categories: dict[str, set[str]] = {}
    for unit, category in harmful.items():
        categories.setdefault(category, set()).add(unit)
    sets: dict[SetName, frozenset[str]] = {}
    for table in tables:
        for row in table.rows:
            name = set_of(table, row, epoch_id=epoch_id)
            if not row.withheld:
                sets[name] = frozenset(categories[name.category]) if name.category else sides[name.side]
    return sets


def withhold(tables: Iterable[TablePlan], withheld: frozenset[SetName], *, epoch_id: str) -> tuple[TablePlan, ...]:
    """Return the tables with every row withheld that sums over a set which is."""
    return tuple(
        replace(
            table,
            rows=tuple(
                replace(row, withheld=row.withheld or set_of(table, row, epoch_id=epoch_id) in withheld)
                for row in table.rows
            ),
        )
        for table in tables
    )
