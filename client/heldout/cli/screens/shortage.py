"""What an epoch lacks, for bank testers."""

from __future__ import annotations

from typing import Any, Final

from heldout.bank_model import Shortage, SmallGroup
from heldout.cli.screens.page import fill

GROUPS_SHOWN: Final = 20


def shortage_lines(shortage: Shortage | None, *, opened: bool = False) -> list[str]:
    """Return which rows are withheld for too few units, and how many more each would take.

    Args:
        shortage: of the epoch.
        opened: it is open; else it would be opened from what is in the bank now.
    """
    if shortage is None or not shortage.groups:
        return []
    what = "of it" if opened else "of an epoch opened now"
    lines = fill(f"withheld in every release {what}, as a row needs {shortage.minimum_units:,} units:")
    for group in shortage.groups[:GROUPS_SHOWN]:
        lines += fill(f"{group_name(group)}: {group.units:,}, {_way_out(group)}", indent="  ")
    more = len(shortage.groups) - GROUPS_SHOWN
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def _way_out(group: SmallGroup) -> str:
    if group.rest:
        return f"but it would leave {group.rest:,} others over, too few: import {group.short:,} more of those"
    return f"import {group.short:,} more"


def group_name(group: SmallGroup) -> str:
    """Return what a bank tester calls the group."""
    return f"{group.intent.value} {group.category}" if group.category else f"all {group.intent.value} units"


def shortage_data(shortage: Shortage | None) -> dict[str, Any] | None:
    """Return the same for ``--json``."""
    if shortage is None:
        return None
    return {
        "minimum_units": shortage.minimum_units,
        "shows_nothing": shortage.shows_nothing,
        "withheld": [
            {
                "intent": one.intent.value,
                "category": one.category,
                "units": one.units,
                "short": one.short,
                "rest": one.rest,
            }
            for one in shortage.groups
        ],
    }
