"""A policy that was replaced does not come back: versions rise, and each is one document."""

from __future__ import annotations

import dataclasses

import pytest

from heldout_server.errors import ConfigError


def version(house, number: int):
    return dataclasses.replace(house.policy, version=number)


async def test_a_policy_is_recorded_once_and_stays_in_force(house):
    await house.open(version(house, 3)).adopt_policy()
    await house.reopen(version(house, 3)).adopt_policy()

    assert [(one.name, dict(one.details)) for one in house.audit.records] == [
        ("policy", {"version": 3, "profile": "private", "digest": "d" * 64})
    ]


async def test_a_later_version_takes_its_place_for_good(house):
    await house.open(version(house, 3)).adopt_policy()
    await house.reopen(version(house, 5), policy_digest="f" * 64).adopt_policy()
    older = house.reopen(version(house, 3))

    with pytest.raises(ConfigError, match="version 3, and version 5 was in force") as refused:
        await older.adopt_policy()

    assert refused.value.reason == "POLICY_OLDER"
    last = house.audit.records[-1]
    assert (last.name, last.details["reason"], last.details["version"]) == ("policy_refused", "POLICY_OLDER", 3)


async def test_two_documents_of_one_version_are_one_too_many(house):
    await house.open(version(house, 3)).adopt_policy()
    changed = house.reopen(version(house, 3), policy_digest="f" * 64)

    with pytest.raises(ConfigError, match="Raise it and sign it") as refused:
        await changed.adopt_policy()

    assert refused.value.reason == "POLICY_VERSION"
    assert house.stored("SELECT version, digest FROM policy") == [(3, "d" * 64)]
