"""What the policy grants: releases by model line, and anchors that restate an earlier checkpoint from the reserve."""

from __future__ import annotations

import dataclasses

import pytest

from heldout_policy.mechanism import Side, plan_tables, side_debit
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Verdict
from heldout_server.errors import BudgetExhausted, WrongState
from heldout_server.ports.release import LineQuota

LINES = {"nova-pro": 6, "nova-lite": 2}


def drafts(house):
    rows = house.stored("SELECT draft FROM releases ORDER BY sequence")
    return [findings_pb2.Release.FromString(draft) for (draft,) in rows]


async def publish(house, desk, run_id, **changes):
    await desk.reserve(house.propose(run_id, **changes))
    house.answer(run_id, lambda _member, _cell: Verdict.REFUSED)
    house.outcomes.complete(run_id)
    await desk.publish(run_id)


async def test_each_line_has_its_own_releases_and_no_other(house):
    desk = house.open(dataclasses.replace(house.policy, lines=LINES))
    for number in range(2):
        await desk.reserve(house.propose(f"lite-{number}", line="nova-lite"))
    before = house.ledger()

    with pytest.raises(BudgetExhausted) as spent:
        await desk.reserve(house.propose("lite-2", line="nova-lite"))
    with pytest.raises(WrongState) as unknown:
        await desk.reserve(house.propose("other", line="somebody-else"))

    assert (spent.value.reason, unknown.value.reason) == ("LINE_SPENT", "LINE_WITHOUT_QUOTA")
    assert house.ledger() == before
    assert await desk.reserve(house.propose("pro-0", line="nova-pro")) == 3


async def test_every_fifth_release_of_a_line_is_full_whatever_the_others_do(house):
    desk = house.open(dataclasses.replace(house.policy, lines={"nova-pro": 10, "nova-lite": 10}))
    for number in range(5):
        for line in LINES:
            await desk.reserve(house.propose(f"{line}-{number}", line=line))

    assert [draft.full for draft in drafts(house)] == [False] * 8 + [True] * 2


async def test_lines_that_spend_all_their_quotas_stay_within_the_budget(house):
    lines = {"a": 6, "b": 6, "c": 6, "d": 7}
    desk = house.open(dataclasses.replace(house.policy, lines=lines))
    for line, quota in lines.items():
        for number in range(quota):
            await desk.reserve(house.propose(f"{line}-{number}", line=line))
    state = await desk.budget("epoch-1")

    assert (state.releases_used, state.releases_total, state.releases_payable) == (25, 25, 0)
    assert sum(draft.full for draft in drafts(house)) == 4  # one a line
    assert state.harmful_spent_nano_rho < house.policy.budget_nano_rho


async def test_the_standing_budget_says_beforehand_what_each_line_has_left(house):
    desk = house.open(dataclasses.replace(house.policy, lines=LINES))
    await desk.reserve(house.propose("lite-0", line="nova-lite"))
    await desk.refresh_budget()
    state = await desk.budget("epoch-1")
    told = findings_pb2.Budget.FromString(house.publisher.states["budget"])

    assert state.lines == (LineQuota(line="nova-pro", used=0, total=6), LineQuota(line="nova-lite", used=1, total=2))
    assert [(one.line, one.used, one.total) for one in told.lines] == [("nova-pro", 0, 6), ("nova-lite", 1, 2)]
    assert (state.releases_used, state.releases_total, state.releases_payable) == (1, 8, 7)


async def tie_epochs(house, desk):
    """Release a checkpoint about epoch 1, and open an epoch 2 of other units."""
    await publish(house, desk, "old")
    renamed = (dataclasses.replace(one, unit=f"new-{one.position}") for one in house.make_members())
    house.memberships.by_epoch["epoch-2"] = tuple(renamed)


async def test_an_anchor_restates_a_checkpoint_about_the_next_epoch(house):
    desk = house.open()
    await tie_epochs(house, desk)
    await publish(house, desk, "again", epoch_id="epoch-2", anchor=True)
    release = findings_pb2.Release.FromString([*house.publisher.releases.values()][-1][0])
    state = await desk.budget("epoch-2")

    assert (release.anchor, release.full, release.epoch_id, release.number) == (True, False, "epoch-2", 1)
    assert (state.releases_used, state.releases_payable) == (0, 25)
    assert (state.anchors_used, state.anchors_total) == (1, 2)
    assert await desk.reserve(house.propose("next", epoch_id="epoch-2", checkpoint_digest="b" * 64)) == 2


async def test_an_anchor_costs_a_light_release_and_all_anchors_stay_within_the_reserve(house):
    desk = house.open(dataclasses.replace(house.policy, full_every=1))
    await tie_epochs(house, desk)
    await desk.reserve(house.propose("again", epoch_id="epoch-2", anchor=True))
    light = plan_tables(
        house.policy,
        release_number=1,
        techniques=("plain", "base64", "fiction"),
        stacks=(),
        members=house.memberships.by_epoch["epoch-2"],
        anchor=True,
    )
    # A plan without stacks has a first-breach table, which an anchor leaves out like every table of full releases.
    assert house.ledger()["new-0", "harmful"] == side_debit(light, Side.HARMFUL)
    for side, reserve in ((Side.HARMFUL, house.policy.harmful.reserve), (Side.BENIGN, house.policy.benign.reserve)):
        assert house.policy.anchors_per_epoch * side_debit(light, side) <= reserve * house.policy.budget_nano_rho


async def test_an_anchor_ties_something_and_does_so_once(house):
    desk = house.open()
    await tie_epochs(house, desk)
    unknown = house.propose("unknown", epoch_id="epoch-2", anchor=True, checkpoint_digest="b" * 64)
    same_epoch = house.propose("same", anchor=True)
    await desk.reserve(house.propose("again", epoch_id="epoch-2", anchor=True))
    twice = house.propose("twice", epoch_id="epoch-2", anchor=True)
    before = house.ledger()

    reasons = []
    for run in (unknown, same_epoch, twice):
        with pytest.raises(WrongState) as refused:
            await desk.reserve(run)
        reasons.append(refused.value.reason)
    assert reasons == ["ANCHOR_UNKNOWN", "ANCHOR_REPEATED", "ANCHOR_REPEATED"]
    assert house.ledger() == before


async def test_another_judge_may_be_tied_within_one_epoch(house):
    desk = house.open()
    await publish(house, desk, "old")

    assert await desk.reserve(house.propose("rejudged", anchor=True, judge_digest="c" * 64)) == 2


async def test_an_epoch_has_so_many_anchors_and_no_more(house):
    desk = house.open()
    for number in range(3):
        await desk.reserve(house.propose(f"old-{number}", checkpoint_digest=f"{number}" * 64))
    renamed = (dataclasses.replace(one, unit=f"new-{one.position}") for one in house.make_members())
    house.memberships.by_epoch["epoch-2"] = tuple(renamed)
    runs = [
        house.propose(f"again-{number}", epoch_id="epoch-2", anchor=True, checkpoint_digest=f"{number}" * 64)
        for number in range(3)
    ]
    assert [await desk.reserve(run) for run in runs[:2]] == [1, 2]

    with pytest.raises(BudgetExhausted) as refused:
        await desk.reserve(runs[2])

    assert refused.value.reason == "NO_ANCHOR_LEFT"
