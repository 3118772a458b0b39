"""``heldout audit check-atoms``: what all releases together tell apart."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from client_fakes import make_release, to_message

from heldout_proto.v1 import audit_pb2, findings_pb2

POLICY = b"minimum_units_per_cell = 30\n"
DIGEST = hashlib.sha256(POLICY).hexdigest()


def publish(heldout, *, smallest=100):
    """Publish one release, whose certificate says of its benign units that they are so many."""
    release = to_message(dataclasses.replace(make_release("v1"), policy_digest=DIGEST))
    release.atoms.minimum = 30
    for benign, units in ((False, 300), (True, smallest)):
        release.atoms.sets.add(epoch_id=release.epoch_id, benign=benign, units=units)
        release.atoms.atoms.add(sets=[int(benign)], units=units)
    for table in release.tables:
        if table.kind == findings_pb2.TABLE_KIND_OVER_REFUSAL:
            table.rows[0].units = smallest
    heldout.appliance.publish(release)
    heldout.appliance.answers["GetPolicy"] = audit_pb2.GetPolicyResponse(release_toml=POLICY, policy_digest=DIGEST)


def test_groups_that_are_large_enough_are_listed(heldout):
    publish(heldout)
    page = heldout("audit", "check-atoms")
    assert "1 release checked · smallest group 100 units · the policy wants 30" in page
    assert "epoch-3/benign" in page
    assert heldout.json("audit", "check-atoms")["smallest"] == 100


def test_a_group_that_is_too_small_does_not_verify(heldout):
    publish(heldout, smallest=29)
    assert "does not verify: release-v1-1: an atom has 29 units" in heldout("audit", "check-atoms", code=1)


@pytest.mark.parametrize("policy", [b"x = 1\n", b"minimum_units_per_cell = 'many'\n", b"\xff"])
def test_a_policy_that_names_no_minimum_checks_nothing(heldout, policy):
    digest = hashlib.sha256(policy).hexdigest()
    heldout.appliance.publish()
    heldout.appliance.answers["GetPolicy"] = audit_pb2.GetPolicyResponse(release_toml=policy, policy_digest=digest)
    assert "names no minimum_units_per_cell" in heldout("audit", "check-atoms", code=1)


def test_nothing_released_is_nothing_to_tell_apart(heldout):
    heldout.appliance.publish()
    heldout.appliance.answers["GetPolicy"] = audit_pb2.GetPolicyResponse(release_toml=POLICY, policy_digest=DIGEST)
    assert "nothing was released" in heldout("audit", "check-atoms")
