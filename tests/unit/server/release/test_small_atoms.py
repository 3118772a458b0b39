"""Small groups of units are told apart by no sum of releases, and each release shows that."""

from __future__ import annotations

import dataclasses

import pytest

from heldout.errors import VerificationError
from heldout.findings.documents import release_from
from heldout.findings.model import TableKind
from heldout.verification.atoms import verify_atoms
from heldout_policy.mechanism import Side
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent
from heldout_server.errors import WrongState

MINIMUM = 30  # of the default policy


async def drafts(house, desk, *, epochs):
    """Take a slot in each epoch, in order, and return what the releases will say, figures aside."""
    for number, epoch_id in enumerate(epochs):
        await desk.reserve(house.propose(f"run-{number}", epoch_id=epoch_id))
    rows = await desk._database.read(lambda c: c.execute("SELECT draft FROM releases ORDER BY sequence").fetchall())
    return [release_from(findings_pb2.Release.FromString(draft)) for (draft,) in rows]


def every_full(house):
    return dataclasses.replace(house.policy, full_every=1)


def changed(members, *, fresh):
    """Exchange the last so many harmful units of an epoch, and keep everything else."""
    harmful = sum(member.intent is Intent.HARMFUL for member in members)
    return tuple(
        dataclasses.replace(member, unit=f"fresh-{member.position}")
        if harmful - fresh <= member.position < harmful
        else member
        for member in members
    )


async def test_a_release_carries_a_certificate_that_an_independent_reader_accepts(house):
    house.memberships.by_epoch["epoch-1"] = house.make_members(harmful=240, benign=60)
    house.memberships.by_epoch["epoch-2"] = changed(house.memberships.by_epoch["epoch-1"], fresh=120)
    releases = await drafts(house, house.open(every_full(house)), epochs=["epoch-1", "epoch-1", "epoch-2"])

    newest = verify_atoms(releases, minimums={releases[0].policy_digest: MINIMUM})
    assert {one.epoch_id for one in newest.sets} == {"epoch-1", "epoch-2"}
    assert min(atom.units for atom in newest.atoms) >= MINIMUM
    assert releases[0].atoms == releases[1].atoms
    with pytest.raises(VerificationError, match="the policy wants 61"):
        verify_atoms(releases, minimums={releases[0].policy_digest: 61})


async def test_a_small_category_is_withheld_with_another_one(house):
    """The whole minus all other categories would be its own figure."""
    members = house.make_members(harmful=100, benign=40)
    house.memberships.by_epoch["epoch-1"] = tuple(
        dataclasses.replace(member, category="c" if member.position < 20 else "a" if member.position < 60 else "b")
        for member in members
    )
    (release,) = await drafts(house, house.open(every_full(house)), epochs=["epoch-1"])

    table = release.table(TableKind.CATEGORY)
    assert {row.key: row.withheld for row in table.rows} == {"a": False, "b": True, "c": True}
    verify_atoms([release], minimums={})


@pytest.mark.parametrize("between", [[], ["epoch-far"]])
async def test_an_epoch_that_differs_from_any_before_by_a_few_units_is_not_released_and_costs_nothing(house, between):
    first = house.make_members(harmful=240, benign=60)
    house.memberships.by_epoch["epoch-1"] = first
    house.memberships.by_epoch["epoch-far"] = changed(first, fresh=120)
    house.memberships.by_epoch["epoch-near"] = changed(first, fresh=5)
    desk = house.open()
    await drafts(house, desk, epochs=["epoch-1", *between])
    before = house.ledger()

    with pytest.raises(WrongState) as caught:
        await desk.reserve(house.propose("run-2", epoch_id="epoch-near"))
    assert caught.value.reason == "EPOCH_TOO_CLOSE"
    assert house.ledger() == before


async def test_whether_an_epoch_may_open_is_known_before_it_is_frozen(house):
    """The gate that an opening asks: five fresh units are 25 too few, in each way."""
    members = house.memberships.by_epoch["epoch-1"] = house.make_members(harmful=240, benign=60)
    desk = house.open()
    assert (await desk.epoch_gate())(units_of(members)) == ()
    await drafts(house, desk, epochs=["epoch-1"])
    gate = await desk.epoch_gate()

    gaps = gate(units_of(changed(members, fresh=5)))
    assert [(gap.side, gap.change, gap.units, gap.short) for gap in gaps] == [
        (Side.HARMFUL, "new", 5, 25),
        (Side.HARMFUL, "go", 5, 25),
    ]
    assert gate(units_of(changed(members, fresh=30))) == ()
    assert gate(units_of(members)) == ()


def units_of(members):
    return {intent: frozenset(one.unit for one in members if one.intent is intent) for intent in Intent}
