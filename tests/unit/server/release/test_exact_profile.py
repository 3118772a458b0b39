"""The exact profile: no noise, a grid in units, a number of releases; and no way back to a promise."""

from __future__ import annotations

import dataclasses

import pytest

from heldout_policy.mechanism import EXACT_DEBIT_NANO_RHO
from heldout_policy.release_policy import NO_BENIGN_SHARES, NO_HARMFUL_SHARES, Profile
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Verdict
from heldout_server.errors import BudgetExhausted, IntegrityError
from heldout_server.release.document import finish_release


@pytest.fixture
def exact(house):
    return dataclasses.replace(
        house.policy,
        profile=Profile.EXACT,
        bits_per_prompt=0,
        grid_fraction=0,
        harmful=NO_HARMFUL_SHARES,
        benign=NO_BENIGN_SHARES,
        grid_units=5,
        full_every=1,
        releases_per_epoch=3,
    )


async def publish(house, desk, run_id="run-1"):
    await desk.reserve(house.propose(run_id))
    house.answer(run_id, lambda member, _cell: Verdict.UNSAFE if member.position < 33 else Verdict.COMPLIED)
    house.outcomes.complete(run_id)
    await desk.publish(run_id)
    return findings_pb2.Release.FromString([*house.publisher.releases.values()][-1][0])


async def test_figures_are_true_ones_on_a_grid_of_units_and_the_release_says_so(house, exact):
    release = await publish(house, house.open(exact))

    assert release.profile == findings_pb2.PROFILE_EXACT
    assert not house.noise.draws
    assert {table.sigma_micro for table in release.tables} == {0}
    assert {table.debit_nano_rho for table in release.tables} == {0}
    technique = release.tables[0]
    assert [row.count * technique.grid_micro for row in technique.rows] == [35_000_000] * 3  # 33, in steps of 5


async def test_small_rows_are_withheld_as_ever(house, exact):
    house.memberships.by_epoch["epoch-1"] = house.make_members(harmful=45)
    release = await publish(house, house.open(exact))
    (category,) = (table for table in release.tables if table.kind == findings_pb2.TABLE_KIND_CATEGORY)

    assert [(row.units, row.withheld, row.count) for row in category.rows] == [(23, True, 0), (22, True, 0)]


async def test_releases_are_counted_and_nothing_else_bounds_them(house, exact):
    desk = house.open(exact)
    for number in range(3):
        await publish(house, desk, f"run-{number}")
    state = await desk.budget("epoch-1")

    with pytest.raises(BudgetExhausted) as refused:
        await desk.reserve(house.propose("run-3"))

    assert refused.value.reason == "NO_RELEASE_LEFT"
    assert (state.exact, state.releases_used, state.releases_payable) == (True, 3, 0)
    assert findings_pb2.Budget.FromString(house.publisher.states["budget"]).profile == findings_pb2.PROFILE_EXACT


async def test_units_that_were_released_exactly_are_never_counted_as_protected_again(house, exact):
    await publish(house, house.open(exact))
    later = house.reopen(dataclasses.replace(house.policy, version=2, bits_per_prompt=64))

    with pytest.raises(BudgetExhausted):
        await later.reserve(house.propose("private"))

    assert set(house.ledger().values()) == {EXACT_DEBIT_NANO_RHO}
    assert (await later.budget("epoch-1")).releases_payable == 0


async def test_a_draft_without_noise_is_published_as_exact_or_not_at_all(house, exact):
    desk = house.open(exact)
    await desk.reserve(house.propose("run-1"))
    ((draft,),) = house.stored("SELECT draft FROM releases")
    forged = findings_pb2.Release.FromString(draft)
    forged.profile = findings_pb2.PROFILE_PRIVATE
    sums = dict.fromkeys(("technique", "stack", "first_breach", "category", "non_answers", "over_refusal"), [0] * 3)

    with pytest.raises(IntegrityError) as refused:
        finish_release(forged.SerializeToString(), sums=sums, noise=house.noise, published_s=0)

    assert refused.value.reason == "NOISE_MISSING"
