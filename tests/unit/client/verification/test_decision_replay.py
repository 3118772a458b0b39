"""Every recorded decision made again: what agrees, what differs, and what cannot be told."""

from __future__ import annotations

import hashlib
import sys

import pytest

from heldout.errors import MissingExtra, VerificationError
from heldout.verification.export import verify_export
from heldout.verification.log_folder import LogExport
from heldout.verification.replay import by_digest, replay

TESTER = "spiffe://heldout.example/bank-tester"
TRAINER = "spiffe://heldout.example/trainer"
STATS = "/heldout.v1.BankService/GetStats"
CEDAR = b"""
@id("testers") permit (principal in Role::"bank_tester", action in [Action::"%b"], resource);
@id("second") permit (principal in Role::"bank_tester", action in [Action::"%b"], resource);
""" % (STATS.encode(), STATS.encode())
PRINCIPALS = b"""
trust_domain = "heldout.example"
[[principal]]
identity = "spiffe://heldout.example/bank-tester"
role = "bank_tester"
[[principal]]
identity = "spiffe://heldout.example/trainer"
role = "trainer"
"""
SWAPPED = (
    PRINCIPALS.replace(b'"bank_tester"', b'"x"').replace(b'"trainer"', b'"bank_tester"').replace(b'"x"', b'"trainer"')
)


def digest(document):
    return hashlib.sha256(document).hexdigest()


class Log:
    """Write calls into a small log, and replay them."""

    def __init__(self, log, folder):
        self.log, self.folder, self.counters = log, folder, {}

    def start(self, principals=PRINCIPALS, name="start"):
        self.log.add(
            name=name, authorization_digest=digest(CEDAR), principals_digest=digest(principals), policy_digest="p"
        )

    def call(self, identity=TESTER, role="bank_tester", name=STATS, **details):
        number = self.counters[identity] = self.counters.get(identity, 0) + 1
        said = {"decision": "allow", "rules": ["second", "testers"], "policy_digest": "p"} | details
        self.log.add("intent", name, identity=identity, role=role, counter=number, **said)

    def replay(self, *documents):
        writer = LogExport(self.folder)
        writer.add(self.log.leaves)
        writer.finish(self.log.checkpoint())
        history = verify_export(self.folder, self.log.vkey).history
        return replay(history, by_digest(documents or (CEDAR, PRINCIPALS, SWAPPED)))


@pytest.fixture
def calls(log, tmp_path):
    return Log(log, tmp_path / "log")


DENIED = {"decision": "deny", "rules": []}


def test_decisions_that_agree(calls):
    calls.start()
    calls.call()
    calls.call(TRAINER, "trainer", **DENIED)
    calls.call("unknown", "", **DENIED)
    calls.call()
    report = calls.replay()
    assert (report.decided, report.differences, report.complete) == (4, (), True)
    assert report.documents == (digest(CEDAR),)


@pytest.mark.parametrize(
    ("call", "recorded", "replayed"),
    [
        ({"identity": TRAINER, "role": "trainer"}, "allow by second, testers", "deny"),
        ({"decision": "deny", "rules": []}, "deny", "allow by second, testers"),
        ({"rules": ["testers"]}, "allow by testers", "allow by second, testers"),
        ({"identity": TRAINER}, "allow by second, testers", "deny as bank_tester, for its role is trainer"),
        ({"identity": "spiffe://x/y"}, "allow by second, testers", "deny, for nobody has that name"),
        ({"identity": "unknown"}, "allow by second, testers", "deny, for nobody has that name"),
        ({"identity": "unknown", "role": ""}, "allow by second, testers", "deny"),
        ({"policy_digest": "q"}, "under another policy", "allow by second, testers"),
        ({"name": "/heldout.v1.BankService/Other"}, "allow by second, testers", "deny"),
    ],
)
def test_a_decision_that_differs_is_named(calls, call, recorded, replayed):
    calls.start()
    calls.call(TESTER)
    calls.call(**call)
    (difference,) = calls.replay().differences
    assert (difference.calls.first, difference.calls.calls) == (2, 1)
    assert recorded in difference.recorded
    assert difference.replayed == replayed


def test_each_call_is_decided_by_the_documents_of_its_time(calls):
    calls.start()
    calls.call()
    calls.start(SWAPPED, name="reload")
    calls.call(TRAINER, "bank_tester")
    calls.call(TESTER, "trainer", **DENIED)
    report = calls.replay()
    assert (report.decided, report.differences) == (3, ())
    assert [group.period for group in report_calls(calls)] == [0, 2, 2]


def report_calls(calls):
    return verify_export(calls.folder, calls.log.vkey).history.calls


def test_documents_that_are_not_at_hand_are_named_with_their_calls(calls):
    calls.start()
    calls.call()
    calls.start(SWAPPED, name="reload")
    calls.call(TRAINER, "bank_tester")
    calls.call(TRAINER, "bank_tester")
    report = calls.replay(CEDAR, PRINCIPALS)
    assert (report.decided, report.missing, report.complete) == (1, {digest(SWAPPED): 2}, False)


def test_calls_before_any_document_are_not_passed_for_replayed(calls):
    calls.call()
    calls.log.add(name="start", policy_digest="p")
    calls.call()
    report = calls.replay()
    assert (report.decided, report.unnamed, report.complete) == (0, 2, False)


def test_a_method_that_does_not_exist_has_no_decision(calls):
    calls.start()
    calls.log.add("intent", "unknown-method", identity=TESTER, role="bank_tester", counter=1)
    report = calls.replay()
    assert (report.decided, report.undecided, report.complete) == (0, 1, True)


def test_a_policy_that_fails_denies(calls, monkeypatch):
    calls.start()
    broken = CEDAR + b'@id("bad") forbid (principal, action, resource) when { principal.age > 3 };\n'
    calls.log.leaves[0] = calls.log.leaves[0].replace(digest(CEDAR).encode(), digest(broken).encode())
    calls.call(**DENIED)
    assert calls.replay(broken, PRINCIPALS).differences == ()


@pytest.mark.parametrize(
    "content", [b"\xff", b"a = 1", b"principal = 3", b"[[principal]]\n", PRINCIPALS + PRINCIPALS[33:]]
)
def test_what_is_no_list_of_principals_is_said(calls, content):
    calls.start(content)
    calls.call()
    with pytest.raises(VerificationError, match=r"principals\.toml"):
        calls.replay(CEDAR, content)


def test_what_is_not_cedar_is_said(calls):
    calls.start()
    calls.call()
    calls.log.leaves[0] = calls.log.leaves[0].replace(digest(CEDAR).encode(), digest(b"permit(").encode())
    with pytest.raises(VerificationError, match="not Cedar"):
        calls.replay(b"permit(", PRINCIPALS)


def test_without_cedar_the_extra_is_named(calls, monkeypatch):
    calls.start()
    calls.call()
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    with pytest.raises(MissingExtra, match=r"heldout\[replay\]"):
        calls.replay()
