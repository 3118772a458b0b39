"""Submit models that always and that never comply, and look whether figures or widths give the ends away."""

from __future__ import annotations

from heldout_policy.mechanism import MICRO
from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import FIRST, TABLE
from heldout_server.attack.stage import Stage

COPIES = 2
"""Of each: some figure of 30 lies beyond its end, but for one time in four million. (Of those that were not clamped two
in five do, as the rest are rounded to the end itself.)"""

ENDS = {"never-complies": {}, "always-complies": {"comply": 1.0}}


async def run(stage: Stage) -> Finding:
    """Compare models at 0 % and at 100 % with one in the middle."""
    released = {FIRST: [await stage.published(FIRST)]}
    for name, odds in ENDS.items():
        for copy in range(COPIES):
            stage.submit(f"{name}-{copy}", TABLE | {"rules": [], "otherwise": odds})
        released[name] = [await stage.published(f"{name}-{copy}") for copy in range(COPIES)]
    widths = {
        tuple((table.kind, table.sigma_micro, table.grid_micro) for table in one.tables)
        for found in released.values()
        for one in found
    }
    below = [row.count < 0 for row, _ in _rows(released["never-complies"])]
    above = [row.count * grid > row.units * MICRO for row, grid in _rows(released["always-complies"])]
    return Finding(
        tried=f"{COPIES} models that never comply and {COPIES} that always do, {len(below)} cells each",
        learned=f"{sum(below)} figures below 0 % and {sum(above)} above 100 %; the widths are"
        f" {'the same as of a model in the middle' if len(widths) == 1 else 'different'}",
        held=len(widths) == 1 and any(below) and any(above),
    )


def _rows(releases: list[findings_pb2.Release]) -> list[tuple[findings_pb2.Row, int]]:
    """Return the rows of the tables that the two models send to their ends, each with its grid."""
    kinds = {findings_pb2.TABLE_KIND_TECHNIQUE, findings_pb2.TABLE_KIND_STACK, findings_pb2.TABLE_KIND_CATEGORY}
    tables = [table for release in releases for table in release.tables if table.kind in kinds]
    return [(row, table.grid_micro) for table in tables for row in table.rows]


ATTACK = Attack(
    name="cells-at-the-ends",
    plays=Player.TRAINING_TEAM,
    explains="look for clamped figures or narrower widths at 0 % and 100 %",
    needs=Needs.SHARED,
    run=run,
)
