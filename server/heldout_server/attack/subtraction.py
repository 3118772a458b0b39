"""What subtracting released sums from each other reaches: the smallest group of units that can be told apart.

The attacker knows who is in which epoch and category. It does not read the atom certificate, and shares no code with
what wrote it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Finding
from heldout_server.attack.caller import Told

MINIMUM = 5
"""Units per cell in the policy of the stage."""

Epochs = Mapping[str, Mapping[str, str]]
"""By epoch the category of every harmful unit in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Say what was reached.

    Attributes:
        sums: different sets of units that rows were released about.
        smallest: units in the smallest group that they tell apart; 0 where nothing was released.
    """

    sums: int
    smallest: int


def subtract(releases: Iterable[findings_pb2.Release], epochs: Epochs) -> Reached:
    """Split the units by every released row of harmful units, and look for the smallest group."""
    sets = {
        (release.epoch_id, row.key if table.kind == findings_pb2.TABLE_KIND_CATEGORY else "")
        for release in releases
        for table in release.tables
        for row in table.rows
        if table.kind != findings_pb2.TABLE_KIND_OVER_REFUSAL and not row.withheld
    }
    groups: defaultdict[frozenset[tuple[str, str]], set[str]] = defaultdict(set)
    for unit in {unit for members in epochs.values() for unit in members}:
        inside = frozenset(
            (epoch, category)
            for epoch, category in sets
            if unit in epochs[epoch] and category in {"", epochs[epoch][unit]}
        )
        if inside:
            groups[inside].add(unit)
    return Reached(sums=len(sets), smallest=min(map(len, groups.values()), default=0))


def judge(tried: str, *, releases: Iterable[findings_pb2.Release], epochs: Epochs, last: Told) -> Finding:
    """Say what subtracting came to.

    Args:
        tried: what was done.
        releases: all that were published.
        epochs: who is in which; one without an id was not opened.
        last: what came of the last start of a run.
    """
    reached = subtract(releases, epochs)
    refused = "" if last.code == "OK" else "the last run was refused before it spent anything; "
    if "" in epochs:
        refused = "the second epoch was not opened; "
    return Finding(
        tried=tried,
        learned=f"{refused}{reached.sums} sums; the smallest group that they tell apart has {reached.smallest} prompts",
        held=reached.smallest >= MINIMUM,
    )
