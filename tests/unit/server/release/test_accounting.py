"""What was published costs what the ledger says, by an account that knows neither policy nor mechanism."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest

from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Verdict
from heldout_server.release import OpenDpNoise
from heldout_server.release.document import finish_release

SIDE = defaultdict(lambda: "harmful", {findings_pb2.TABLE_KIND_OVER_REFUSAL: "benign"})


async def test_rho_of_all_that_was_published_never_exceeds_the_ledger_or_the_budget(house):
    """Spend a whole epoch, then count m / (2 sigma²) over the published documents alone."""
    desk = house.open()
    for number in range(25):
        run_id = f"run-{number}"
        await desk.reserve(house.propose(run_id))
        house.answer(run_id, lambda member, cell: Verdict.REFUSED)
        house.outcomes.complete(run_id)
        await desk.publish(run_id)
    rho = defaultdict(float)
    debits = defaultdict(int)
    for document, _ in house.publisher.releases.values():
        for table in findings_pb2.Release.FromString(document).tables:
            rho[SIDE[table.kind]] += table.cells_per_unit / (2 * (table.sigma_micro / 1e6) ** 2)
            debits[SIDE[table.kind]] += table.debit_nano_rho

    for (_, side), spent in house.ledger().items():
        assert spent == debits[side]
        assert rho[side] <= spent / 1e9 <= 8 * math.log(2)
        assert rho[side] == pytest.approx(spent / 1e9, rel=1e-5)
    # 45 + 3 + 22.5 + 4.5 + 18 % of a harmful unit's budget, and 90 % of a benign one's
    assert rho["harmful"] == pytest.approx(0.93 * 8 * math.log(2), rel=1e-5)
    assert rho["benign"] == pytest.approx(0.9 * 8 * math.log(2), rel=1e-5)


async def test_the_noise_of_published_figures_has_the_published_width(house):
    """Publish one draft 1,000 times over, 42 rows each: the variance is sigma² plus that of the grid."""
    desk = house.open()
    techniques = ("plain", *(f"technique-{number}" for number in range(11)))
    stacks = tuple((f"technique-{number % 11}", f"other-{number}") for number in range(30))
    for number in range(5):
        await desk.reserve(house.propose(f"run-{number}", techniques=techniques, stacks=stacks))
    ((draft,),) = house.stored("SELECT draft FROM releases WHERE number = 5")
    sums = dict.fromkeys(("technique", "stack", "category", "non_answers", "over_refusal"))
    sums |= {
        "technique": [0] * 12,
        "stack": [0] * 30,
        "first_breach": [0] * 3,
        "category": [0, 0],
        "non_answers": [0],
        "over_refusal": [0],
    }
    noise = OpenDpNoise()
    ratios = []
    for _ in range(1000):
        release = findings_pb2.Release.FromString(finish_release(draft, sums=sums, noise=noise, published_s=0))
        for table in release.tables[:2]:
            variance = table.sigma_micro**2 + table.grid_micro**2 / 12
            ratios.extend((row.count * table.grid_micro) ** 2 / variance for row in table.rows)

    assert len(ratios) == 42_000
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.035)  # five standard errors
