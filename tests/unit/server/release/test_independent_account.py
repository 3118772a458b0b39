"""An account of rho by unit from published documents and memberships alone: it imports neither policy nor mechanism.

It covers what makes accounts go wrong: model lines that share a bank, units that stay into the next epoch, look-alike
pairs that pay for both sides, anchors paid from the reserve, and a budget that is spent to its end.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict

from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent, Verdict
from heldout_server.errors import BudgetExhausted

BUDGET = 8 * math.log(2)
LINES = {"nova-pro": 10, "nova-lite": 8, "nova-mini": 4, "nova-base": 3}
EVERYBODY = {
    findings_pb2.TABLE_KIND_TECHNIQUE,
    findings_pb2.TABLE_KIND_STACK,
    findings_pb2.TABLE_KIND_FIRST_BREACH,
}
"""Tables of which a harmful unit touches every row; of any other table a unit touches one."""


def rho_by_unit(documents, members_by_epoch):
    """Sum m / (2 sigma²) over everything that was published: m rows that a unit touches, each by at most 1."""
    spent = defaultdict(float)
    for document in documents:
        release = findings_pb2.Release.FromString(document)
        members = members_by_epoch[release.epoch_id]
        units = {intent: {one.unit for one in members if one.intent is intent} for intent in Intent}
        for table in release.tables:
            side = Intent.BENIGN if table.kind == findings_pb2.TABLE_KIND_OVER_REFUSAL else Intent.HARMFUL
            touched = len(table.rows) if table.kind in EVERYBODY else 1
            for unit in units[side]:
                spent[unit] += touched / (2 * (table.sigma_micro / 1e6) ** 2)
    return spent


async def publish(house, desk, run_id, **changes):
    await desk.reserve(house.propose(run_id, **changes))
    house.answer(run_id, lambda _member, _cell: Verdict.REFUSED)
    house.outcomes.complete(run_id)
    await desk.publish(run_id)


async def publish_until_refused(house, desk, epoch_id):
    """Publish for every line in turn until nothing more is granted or can be paid; return how often."""
    number, left = 0, list(LINES)
    while left:
        for line in tuple(left):
            number += 1
            digest = f"{number:064x}"
            try:
                await publish(
                    house, desk, f"{epoch_id}-{number}", epoch_id=epoch_id, line=line, checkpoint_digest=digest
                )
            except BudgetExhausted:
                left.remove(line)
                number -= 1
                del house.outcomes.runs[f"{epoch_id}-{number + 1}"]
    return number


def ledger_by_unit(house):
    spent = defaultdict(int)
    for (unit, _side), nano in house.ledger().items():
        spent[unit] += nano
    return spent


def check(house):
    documents = [document for document, _ in house.publisher.releases.values()]
    independent, kept = rho_by_unit(documents, house.memberships.by_epoch), ledger_by_unit(house)
    assert set(independent) == set(kept)
    for unit, rho in independent.items():
        assert rho <= kept[unit] / 1e9 <= BUDGET
        assert math.isclose(rho, kept[unit] / 1e9, rel_tol=1e-5)  # and the ledger takes no more than is told
    return independent


async def test_no_unit_tells_more_than_the_ledger_says_over_lines_epochs_pairs_and_anchors(house):
    desk = house.open(dataclasses.replace(house.policy, lines=LINES))
    first = house.make_members(harmful=180, benign=100, categories=2)
    # Sixty units have a harmful and a benign prompt: they pay for both sides.
    first = tuple(
        dataclasses.replace(one, unit=f"unit-{one.position - 180}") if 180 <= one.position < 240 else one
        for one in first
    )
    house.memberships.by_epoch["epoch-1"] = first
    before = await publish_until_refused(house, desk, "epoch-1")
    spent = check(house)
    pair, harmful, benign = spent["unit-0"], spent["unit-100"], spent["unit-250"]

    assert before == 16  # of 25 granted: a pair's budget ends there, and with it the epoch
    assert pair > 0.95 * BUDGET
    assert math.isclose(pair, harmful + benign, rel_tol=1e-9)

    # Pairs are retired, and as many units are new; the others stay, with what they have spent.
    house.memberships.by_epoch["epoch-2"] = tuple(
        dataclasses.replace(one, position=place)
        for place, one in enumerate(
            [one for one in first if int(one.unit.removeprefix("unit-")) >= 60]
            + [dataclasses.replace(one, unit=f"new-{one.position}") for one in first[:60]]
        )
    )
    for number in (1, 2):
        await publish(
            house,
            desk,
            f"anchor-{number}",
            epoch_id="epoch-2",
            anchor=True,
            checkpoint_digest=f"{number:064x}",
        )
    after = await publish_until_refused(house, desk, "epoch-2")
    spent = check(house)

    assert 5 <= after < 25
    assert spent["unit-250"] > 0.9 * BUDGET  # benign units that stayed are what ends the second epoch
    assert spent["new-0"] < spent["unit-100"]
