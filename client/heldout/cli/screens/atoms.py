"""What releases tell apart, for auditors."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.cli.screens.exactness import exact_data, exact_lines
from heldout.cli.screens.page import Page, clean, join_parts, lay_out
from heldout.findings.model import AtomCertificate, Release


def atoms_page(releases: Sequence[Release], newest: AtomCertificate, *, minimum: int) -> Page:
    """Show the groups of units that all releases together tell apart.

    Args:
        releases: all of them, checked.
        newest: the certificate of the last.
        minimum: units that the policy in force wants of each group.
    """
    smallest = min((atom.units for atom in newest.atoms), default=0)
    lines = [
        *join_parts(
            [
                f"{len(releases):,} {'release' if len(releases) == 1 else 'releases'} checked",
                f"smallest group {smallest:,} units" if newest.atoms else "nothing was released",
                f"the policy wants {minimum:,}",
                "receipts verified",
            ]
        ),
        *exact_lines(*releases),
    ]
    if newest.atoms:
        names = [_name(one.epoch_id, one.category, benign=one.benign) for one in newest.sets]
        rows = [["units", "in exactly these released sets"]]
        rows += [[f"{atom.units:,}", clean(", ".join(names[place] for place in atom.sets))] for atom in newest.atoms]
        lines += lay_out(rows, "><", flexible=1)
    return Page(
        lines=tuple(lines),
        data={
            **exact_data(*releases),
            "releases": len(releases),
            "minimum": minimum,
            "smallest": smallest,
            "sets": [
                {"epoch_id": one.epoch_id, "benign": one.benign, "category": one.category, "units": one.units}
                for one in newest.sets
            ],
            "atoms": [{"sets": list(atom.sets), "units": atom.units} for atom in newest.atoms],
        },
    )


def _name(epoch_id: str, category: str, *, benign: bool) -> str:
    return f"{epoch_id}/{category or ('benign' if benign else 'harmful')}"
