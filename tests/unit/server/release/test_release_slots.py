"""Taking a slot: the debit comes before the run, is whole or not at all, and follows the unit."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from heldout_policy.mechanism import Side, plan_tables, side_debit
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent, Member, RunState
from heldout_server.errors import BudgetExhausted, InvalidRequest, NotFound, WrongState
from heldout_server.release import ledger
from heldout_server.release.slots import take_slot


def debit(house, number: int, side: Side) -> int:
    manifest = house.propose("run-sample").manifest
    tables = plan_tables(
        house.policy,
        release_number=number,
        techniques=manifest.techniques,
        stacks=manifest.stacks,
        members=house.make_members(),
    )
    return side_debit(tables, side)


async def test_every_unit_is_debited_on_its_side(house):
    desk = house.open()

    assert not await desk.has_slot("run-1")
    assert await desk.reserve(house.propose("run-1")) == 1
    assert await desk.has_slot("run-1")
    assert house.ledger() == {
        (f"unit-{position}", side.value): debit(house, 1, side)
        for position in range(100)
        for side in [Side.HARMFUL if position < 60 else Side.BENIGN]
    }


async def test_a_run_takes_one_slot_however_often_it_asks(house):
    desk = house.open()
    run = house.propose("run-1")
    numbers = await asyncio.gather(*(desk.reserve(run) for _ in range(5)))
    once = house.ledger()

    house.outcomes.complete("run-1")
    again = house.reopen(policy_digest="f" * 64)

    assert [*numbers, await again.reserve(house.outcomes.runs["run-1"])] == [1] * 6
    assert house.ledger() == once


async def test_what_is_left_is_told_as_soon_as_a_slot_is_taken_and_not_when_it_is_published(house):
    desk = house.open()
    await asyncio.gather(*(desk.reserve(house.propose(f"run-{number}")) for number in range(1, 4)))

    told = findings_pb2.Budget.FromString(house.publisher.states["budget"])
    assert (told.releases_used, told.releases_payable) == (3, 22)
    assert told.harmful_spent_nano_rho == house.ledger()["unit-0", "harmful"]


async def test_full_releases_cost_more_and_come_every_fifth_time(house):
    desk = house.open()
    spent = []
    for number in range(1, 7):
        await desk.reserve(house.propose(f"run-{number}"))
        spent.append(house.ledger()["unit-0", "harmful"])
    steps = [new - old for old, new in zip([0, *spent], spent, strict=False)]

    assert steps == [debit(house, number, Side.HARMFUL) for number in range(1, 7)]
    assert steps[4] > steps[0] == steps[5]


async def test_an_epoch_grants_so_many_releases_and_no_more(house):
    desk = house.open()
    results = await asyncio.gather(
        *(desk.reserve(house.propose(f"run-{number}")) for number in range(30)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, BudgetExhausted)]

    assert sorted(result for result in results if isinstance(result, int)) == list(range(1, 26))
    assert {error.reason for error in refused} == {"NO_RELEASE_LEFT"}
    assert len(refused) == 5
    assert max(house.ledger().values()) <= house.policy.budget_nano_rho


async def test_two_desks_on_one_ledger_do_not_overspend(house):
    policy = dataclasses.replace(house.policy, releases_per_epoch=4, full_every=1)
    desks = [house.open(policy), house.open(policy)]
    results = await asyncio.gather(
        *(desks[number % 2].reserve(house.propose(f"run-{number}")) for number in range(12)), return_exceptions=True
    )

    assert sorted(result for result in results if isinstance(result, int)) == [1, 2, 3, 4]
    assert max(house.ledger().values()) <= policy.budget_nano_rho


async def test_the_ledger_follows_the_unit_into_the_next_epoch(house):
    """After a whole epoch, kept units have only the reserve left: three light releases, and no fourth."""
    desk = house.open()
    kept = house.make_members(harmful=120)  # so many that what changes is no small group, in each category
    house.memberships.by_epoch["epoch-1"] = kept
    for number in range(25):
        await desk.reserve(house.propose(f"old-{number}"))
    house.memberships.by_epoch["epoch-2"] = (*kept[:60], *(_renamed(member) for member in kept[60:]))

    numbers = [await desk.reserve(house.propose(f"new-{number}", epoch_id="epoch-2")) for number in range(3)]
    before = house.ledger()
    with pytest.raises(BudgetExhausted) as caught:
        await desk.reserve(house.propose("new-3", epoch_id="epoch-2"))

    assert numbers == [1, 2, 3]
    assert caught.value.reason == "BUDGET_EXHAUSTED"
    assert house.ledger() == before
    assert (await desk.budget("epoch-2")).releases_used == 3
    assert before["unit-0", "harmful"] > before["fresh-60", "harmful"] == 3 * debit(house, 1, Side.HARMFUL)


def _renamed(member: Member) -> Member:
    return dataclasses.replace(member, unit=f"fresh-{member.position}")


async def _try(desk, run) -> int | BudgetExhausted:
    try:
        return await desk.reserve(run)
    except BudgetExhausted as error:
        return error


async def test_a_unit_of_both_intents_pays_both_from_one_budget(house):
    members = house.make_members()
    house.memberships.by_epoch["epoch-1"] = (*members[:-1], dataclasses.replace(members[-1], unit="unit-0"))
    desk = house.open()
    payable = (await desk.budget("epoch-1")).releases_payable
    results = [await _try(desk, house.propose(f"run-{number}")) for number in range(25)]
    taken = [result for result in results if isinstance(result, int)]
    ledger = house.ledger()
    state = await desk.budget("epoch-1")

    assert isinstance(results[-1], BudgetExhausted)
    assert ledger["unit-0", "harmful"] + ledger["unit-0", "benign"] <= house.policy.budget_nano_rho
    assert 10 <= len(taken) <= 14
    assert (payable, state.releases_payable) == (len(taken), 0)
    assert state.harmful_spent_nano_rho == state.benign_spent_nano_rho > ledger["unit-1", "harmful"]


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.PROPOSED])
async def test_a_run_past_its_start_takes_no_slot(house, state: RunState):
    run = dataclasses.replace(house.propose("run-1"), state=state)

    with pytest.raises(WrongState) as caught:
        await house.open().reserve(run)

    assert caught.value.reason == "NOT_PROPOSED"
    assert house.ledger() == {}


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"policy_digest": "0" * 64}, WrongState, "POLICY_CHANGED"),
        ({"techniques": ("base64",)}, InvalidRequest, "PLAIN_MISSING"),
        ({"epoch_id": "epoch-9"}, NotFound, "NOT_FOUND"),
    ],
)
async def test_a_manifest_that_does_not_hold_takes_no_slot(house, changes, error, reason):
    with pytest.raises(error) as caught:
        await house.open().reserve(house.propose("run-1", **changes))

    assert caught.value.reason == reason
    assert house.ledger() == {}


async def test_an_epoch_that_a_restore_closed_grants_no_slot_and_a_slot_taken_before_stays(house):
    desk = house.open()
    assert await desk.reserve(house.propose("run-1")) == 1
    before = house.ledger()
    await desk._database.write(lambda connection: ledger.close_epoch(connection, "epoch-1"))

    with pytest.raises(BudgetExhausted) as caught:
        await desk.reserve(house.propose("run-2"))
    assert caught.value.reason == "EPOCH_CLOSED"
    assert await desk.reserve(house.outcomes.runs["run-1"]) == 1
    assert house.ledger() == before


async def test_an_epoch_that_is_released_while_members_are_fetched_has_the_run_start_again(house):
    """Another epoch's release decides which rows are withheld; one whose members are not at hand must not be passed."""
    house.memberships.by_epoch["epoch-2"] = house.make_members()
    desk = house.open()
    await desk.reserve(house.propose("run-1"))
    run = house.propose("run-2", epoch_id="epoch-2")
    members = {"epoch-2": house.memberships.by_epoch["epoch-2"]}

    def take(connection):
        return take_slot(
            connection, run=run, release_id="release-9", epoch_number=2, policy=house.policy, members=members
        )

    before = house.ledger()
    with pytest.raises(WrongState) as caught:
        await desk._database.write(take)
    assert caught.value.reason == "EPOCH_RELEASED_MEANWHILE"
    assert house.ledger() == before


async def test_members_of_an_epoch_that_is_not_listed_take_no_slot(house, monkeypatch):
    async def no_epochs():
        return ()

    monkeypatch.setattr(house.memberships, "epochs", no_epochs)

    with pytest.raises(NotFound):
        await house.open().reserve(house.propose("run-1"))
    assert house.ledger() == {}


async def test_the_budget_is_known_before_anything_is_spent(house):
    state = await house.open().budget("epoch-1")

    assert (state.releases_used, state.releases_total, state.releases_payable) == (0, 25, 25)
    assert (state.harmful_spent_nano_rho, state.benign_spent_nano_rho) == (0, 0)
    assert state.budget_nano_rho == house.policy.budget_nano_rho


async def test_the_budget_tells_the_largest_spend_by_intent(house):
    house.memberships.by_epoch["epoch-0"] = tuple(
        member for member in house.make_members() if member.intent is Intent.HARMFUL
    )
    desk = house.open()
    await desk.reserve(house.propose("run-1"))
    await desk.reserve(house.propose("run-2", epoch_id="epoch-0"))
    state, harmful_only = await desk.budget("epoch-1"), await desk.budget("epoch-0")

    assert state.harmful_spent_nano_rho == 2 * debit(house, 1, Side.HARMFUL)
    assert state.benign_spent_nano_rho == debit(house, 1, Side.BENIGN)
    assert (harmful_only.releases_used, harmful_only.benign_spent_nano_rho) == (1, 0)


async def test_the_budget_of_no_epoch_is_not_found(house):
    with pytest.raises(NotFound):
        await house.open().budget("epoch-9")
