"""Find a release that tells more than the ledger says it cost."""

from __future__ import annotations

from statistics import mean

from heldout_policy.mechanism import TableKind
from heldout_policy.release_policy import NANO
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.mechanism import CELLS, BareDesk, spent_policy
from heldout_server.attack.stage import Stage
from heldout_server.domain import Verdict
from heldout_server.ports.environment import Noise
from heldout_server.release import OpenDpNoise

DRAWS = 42_000
TOLERANCE = 0.035
"""Five standard errors of a variance over that many draws."""


MEASURED = frozenset({TableKind.TECHNIQUE, TableKind.STACK})


def count(noise: Noise) -> Finding:
    """Add up what a whole epoch's releases tell of a unit, from their documents alone, and measure their noise."""
    desk = BareDesk(spent_policy(), noise=noise)
    nothing = desk.sums(lambda _position, _cell: Verdict.REFUSED)
    told = debited = 0.0
    ratios: list[float] = []
    for number in range(1, desk.releases + 1):
        for table in desk.release(number, nothing):
            if table.kind is TableKind.OVER_REFUSAL:
                continue  # of benign units, which have a ledger of their own
            told += table.cells_per_unit / (2 * table.sigma**2)
            debited += table.debit_nano_rho
    full = desk.policy.full_every
    while len(ratios) < DRAWS:
        for table in desk.release(full, nothing):
            if table.kind in MEASURED:
                variance = table.sigma**2 + table.grid**2 / 12
                ratios += [figure**2 / variance for figure in table.figures]
    ratio = mean(ratios)
    told *= NANO
    budget = desk.policy.budget_nano_rho
    return Finding(
        tried=f"added up m / (2 sigma²) over {desk.releases} releases with {CELLS} cells, as their documents say, and"
        f" measured the noise of {len(ratios):,} figures of a model that never complies",
        learned=f"of a harmful unit rho {told / NANO:.6f} of the {debited / NANO:.6f} that the ledger debits and the"
        f" {budget / NANO:.6f} of the budget; the noise has {ratio:.3f} times the published variance",
        held=told <= debited <= budget and abs(told - debited) < debited / 1e5 and abs(ratio - 1) <= TOLERANCE,
    )


async def run(_stage: Stage) -> Finding:
    """Do it with the noise that is shipped."""
    return count(OpenDpNoise())


ATTACK = Attack(
    name="accounting",
    plays=Player.TRAINING_TEAM,
    explains="find releases that tell more than the ledger debits, or noise narrower than published",
    needs=Needs.NOTHING,
    run=run,
)
