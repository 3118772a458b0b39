"""Where policy asks for a witness, nothing is published before one has cosigned a head over its leaf."""

from __future__ import annotations

import dataclasses

import pytest

from heldout_policy.witness import Witnessing
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import RunState, Verdict
from witness_lab import TestWitness

WITNESSING = Witnessing(keys=(TestWitness().key,), maximum_age_s=3600)


@pytest.fixture
def policy(house):
    return dataclasses.replace(house.policy, witness=WITNESSING)


async def publish(house, desk, run_id):
    await desk.reserve(house.propose(run_id))
    house.answer(run_id, lambda _member, _cell: Verdict.REFUSED)
    house.outcomes.complete(run_id)
    await desk.publish(run_id)


def states(house):
    return [state for (state,) in house.stored("SELECT state FROM releases ORDER BY number")]


async def test_a_release_waits_in_the_log_until_its_leaf_is_cosigned(house, policy):
    desk = house.open(policy)
    await publish(house, desk, "run-1")
    assert (house.publisher.releases, states(house)) == ({}, ["logged"])
    assert house.outcomes.runs["run-1"].state is RunState.COMPLETE
    for _ in range(2):
        await desk.carry_on()  # a cosignature of an older head changes nothing
    assert house.publisher.releases == {}
    assert len(house.audit.records) == 1

    house.audit.cosigned_size = 1
    await desk.carry_on()
    ((_, receipt),) = house.publisher.releases.values()
    assert findings_pb2.Receipt.FromString(receipt).proof == "proof 0, cosigned"
    assert findings_pb2.Receipt.FromString(receipt).entry == b"leaf 0"
    assert states(house) == ["published"]
    assert house.outcomes.runs["run-1"].state is RunState.PUBLISHED


async def test_a_release_that_waits_is_carried_on_after_a_restart_with_the_same_bytes(house, policy):
    await publish(house, house.open(policy), "run-1")
    ((document,),) = house.stored("SELECT document FROM releases")
    desk = house.reopen(policy)
    await desk.carry_on()
    assert house.publisher.releases == {}
    house.audit.cosigned_size = 1
    await desk.carry_on()
    ((published, _),) = house.publisher.releases.values()
    assert published == document
    assert len(house.audit.records) == 1


async def test_one_that_waits_holds_up_none_that_is_cosigned(house, policy):
    desk = house.open(policy)
    await publish(house, desk, "run-1")
    house.audit.cosigned_size = 1
    await publish(house, desk, "run-2")  # its leaf came later
    assert states(house) == ["logged", "logged"]
    await desk.carry_on()
    assert states(house) == ["published", "logged"]


async def test_without_a_witness_in_the_policy_nothing_waits(house):
    await publish(house, house.open(), "run-1")
    assert states(house) == ["published"]
