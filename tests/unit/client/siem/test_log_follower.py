"""A log is followed from any entry on, and no entry is believed that does not hash to a signed head."""

import pytest
from client_fakes import FakeAppliance

from heldout.errors import HeldoutClientError, VerificationError
from heldout.siem import Follower


@pytest.fixture
def appliance():
    appliance = FakeAppliance(role="auditor")
    grow(appliance, 13)
    return appliance


@pytest.fixture
def audit(appliance):
    with appliance.blocking_client() as client:
        yield client.audit


def grow(appliance, entries):
    log = appliance.logs["vault"]
    for _ in range(entries):
        log.add("event", "start", number=len(log.leaves))


def read(follower):
    return [entry.details["number"] for batch in follower.read() for entry in batch]


@pytest.mark.parametrize("start", range(14))
def test_it_begins_anywhere_and_goes_on(appliance, audit, start):
    follower = Follower(audit, "vault", start=start)
    assert read(follower) == list(range(start, 13))
    assert read(follower) == []
    for size in (14, 16, 21):
        before = follower.next
        grow(appliance, size - before)
        assert read(follower) == list(range(before, size))
    assert follower.next == 21


@pytest.mark.parametrize("first", [0, 5, 12])
def test_an_entry_that_was_changed_on_the_way_is_not_believed(appliance, audit, first):
    follower = Follower(audit, "vault", start=5)
    honest = appliance.answers["ListEntries"]

    def forged(request):
        answer = honest(request)
        answer.entries[-1] = answer.entries[-1].replace(b'"start"', b'"stopt"')
        return answer

    appliance.answers["ListEntries"] = forged
    with pytest.raises(VerificationError):
        read(follower)


def test_a_log_that_was_rewritten_behind_us_is_noticed(appliance, audit):
    follower = Follower(audit, "vault", start=0)
    read(follower)
    log = appliance.logs["vault"]
    log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")
    grow(appliance, 3)
    with pytest.raises(VerificationError):
        read(follower)


def test_a_start_behind_the_end_is_a_mistake(audit):
    with pytest.raises(HeldoutClientError, match="has 13 entries, and entry 14"):
        read(Follower(audit, "vault", start=14))


def test_a_damaged_entry_is_passed_over_and_its_hash_is_not(appliance, audit):
    from heldout.verification.merkle import leaf_hash  # noqa: PLC0415 - only this test needs it
    from heldout_proto.v1 import audit_pb2  # noqa: PLC0415 - likewise

    honest = appliance.answers["ListEntries"]
    lost = leaf_hash(appliance.logs["vault"].leaves[7])

    def damaged(request):
        answer = honest(request)
        start = audit_pb2.ListEntriesRequest.FromString(request).start
        if start <= 7 < start + len(answer.entries):
            answer.entries[7 - start] = b""
            answer.damaged.append(audit_pb2.DamagedLeaf(index=7, leaf_hash=lost))
        return answer

    appliance.answers["ListEntries"] = damaged
    assert read(Follower(audit, "vault", start=3)) == [3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert read(Follower(audit, "vault", start=7)) == [8, 9, 10, 11, 12]
