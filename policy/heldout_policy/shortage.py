"""Shortage: which rows about an epoch would be withheld because they are about too few units, and by how many.

Known before the epoch is frozen, from memberships and policy alone. The rules, all of them here:

1.  Harmful units are in every row of the tables about them, but for those of the category table, where each unit is in
    one. If all together are too few, so is each category, and only the whole is named.
2.  What is left of all harmful units beside the categories shown can be had by subtraction, so it must not be too few
    either (:mod:`heldout_policy.atoms`): a category that would leave so few over is withheld, though large enough.
3.  Benign units are in the row of over-refusal.
4.  A table that the policy never publishes is not spoken of.

What earlier epochs released can withhold more. That an epoch is far enough from them is asked when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heldout_policy.mechanism import Side, TableKind, table_debit_nano_rho
from heldout_policy.release_policy import ReleasePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSizes:
    """Count the units that an epoch would have.

    Attributes:
        harmful: by category; each harmful unit is in one.
        benign: in all.
    """

    harmful: Mapping[str, int] = field(default_factory=dict)
    benign: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallGroup:
    """Name a group of units whose rows would be withheld.

    Attributes:
        category: empty for all units of the side.
        units: how many it has.
        short: how many more it would take, at least 1; where ``rest`` is not 0, of those.
        rest: it has units enough, but would leave so many others over; 0 otherwise.
    """

    side: Side
    category: str = ""
    units: int
    short: int
    rest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Hold the groups that are too small, sides before categories.

    Attributes:
        minimum_units: that the policy asks of a row.
        shows_nothing: no row at all would be published.
    """

    groups: tuple[SmallGroup, ...]
    minimum_units: int
    shows_nothing: bool


def find_shortage(policy: ReleasePolicy, sizes: EpochSizes) -> Shortage:
    """Return what would be withheld of an epoch with these units, whatever comes of its runs."""
    minimum = policy.minimum_units_per_cell
    published = {kind for kind in TableKind if policy.exact or table_debit_nano_rho(policy, kind) > 0}
    benign_tables = published & {TableKind.OVER_REFUSAL}
    harmful_tables = published - benign_tables
    harmful = sum(sizes.harmful.values())
    small: list[SmallGroup] = []
    if harmful_tables and harmful < minimum:
        small.append(SmallGroup(side=Side.HARMFUL, units=harmful, short=minimum - harmful))
    if benign_tables and sizes.benign < minimum:
        small.append(SmallGroup(side=Side.BENIGN, units=sizes.benign, short=minimum - sizes.benign))
    whole = bool(harmful_tables - {TableKind.CATEGORY})  # is a released set, from which categories can be subtracted
    if TableKind.CATEGORY in published and harmful >= minimum:
        small += _small_categories(sizes.harmful, minimum=minimum, rest=harmful if whole else 0)
    shown = (
        (whole and harmful >= minimum)
        or (TableKind.CATEGORY in published and any(units >= minimum for units in sizes.harmful.values()))
        or (bool(benign_tables) and sizes.benign >= minimum)
    )
    return Shortage(groups=tuple(small), minimum_units=minimum, shows_nothing=not shown)


def _small_categories(categories: Mapping[str, int], *, minimum: int, rest: int) -> list[SmallGroup]:
    """Return the categories that are withheld, in the order in which a release offers them.

    Args:
        categories: their units.
        minimum: that the policy asks of a row.
        rest: harmful units in all, if a row about all of them is released; else 0.
    """
    small: list[SmallGroup] = []
    for category, units in sorted(categories.items()):
        left = max(0, rest - units)
        if units < minimum:
            small.append(SmallGroup(side=Side.HARMFUL, category=category, units=units, short=minimum - units))
        elif 0 < left < minimum:
            group = SmallGroup(side=Side.HARMFUL, category=category, units=units, short=minimum - left, rest=left)
            small.append(group)
        else:
            rest = left
    return small
