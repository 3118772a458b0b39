"""The warning on every page that shows figures without noise, and by how much they are weaker.

The bound is counted, not simulated. Whoever writes a checkpoint chooses what it does on each prompt, so each published
row can be made to answer one yes/no question about one unit for certain, everything else being known. A unit moves a
row by at most 1, and the grid is at least 1, so the row has at most two values for it: r rows, at most r bits.
In the ``private`` profile the default budget lets out 2.0 bits of a unit on average, over its whole life.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from heldout.cli.screens.page import fill
from heldout.findings.model import Profile, Release

IN_FORCE: Final = "! exact profile: what is published carries no noise, and nothing bounds what it tells of one prompt"
PRIVATE: Final = "the private profile's default: 2.0 bits on average, over a prompt's whole life"


def count_bits(releases: Iterable[Release]) -> int:
    """Return how many bits of one unit exact releases can tell at most: one for each row that they show."""
    return sum(
        len(table.visible()) for release in releases if release.profile is Profile.EXACT for table in release.tables
    )


def exact_lines(*releases: Release) -> list[str]:
    """Return the warning for a page that shows these releases; nothing where all carry noise."""
    if all(release.profile is Profile.PRIVATE for release in releases):
        return []
    bits = count_bits(releases)
    return fill(
        f"! exact profile: no noise. One row answers one yes/no question about one prompt for certain; the {bits:,}"
        f" rows here tell up to {bits:,} bits of one ({PRIVATE})",
        indent="  ",
        first="",
    )


def exact_data(*releases: Release) -> dict[str, Any]:
    """Return the profile for JSON, and the warning where there is one."""
    exact = any(release.profile is Profile.EXACT for release in releases)
    return {
        "profile": (Profile.EXACT if exact else Profile.PRIVATE).value,
        "bits_of_one_unit_at_most": count_bits(releases) if exact else None,
        "warning": " ".join(line.strip() for line in exact_lines(*releases)).removeprefix("! ") or None,
    }
