"""Every RPC, driven by the descriptors: who may call it, and what becomes of bad input.

A method that is added to the contract is covered here without being listed.
"""

import asyncio

import grpc
import pytest

from heldout_server.api.contract import methods
from heldout_server.api.status import REFUSED, TABLE
from lab_texts import ROLES
from raw_calls import call, channel_of, channel_with, entries_of

METHODS = sorted(methods())
OWN = "/heldout.v1."
ALLOWED = {
    "trainer": {"FindingsService/*"},
    "bank_tester": {
        "BankService/*",
        "CardService/*",
        "EvaluationService/*",
        "CheckpointService/*",
        "FindingsService/ListReleases",
        "FindingsService/GetRelease",
        "FindingsService/ListCards",
        "FindingsService/GetBudget",
        "FindingsService/ListScores",
    },
    "run_tester": {
        "CardService/ListCardRecords",
        "CardService/GetCardRecord",
        "CardService/ApproveCard",
        "CardService/RefuseCard",
        "EvaluationService/ProposeRun",
        "EvaluationService/ApproveRun",
        "EvaluationService/ListStandingApprovals",
        "EvaluationService/RevokeStandingApproval",
        "EvaluationService/PreflightCheckpoint",
        "EvaluationService/StartRun",
        "EvaluationService/CancelRun",
        "EvaluationService/GetRun",
        "EvaluationService/ListRuns",
        "CheckpointService/*",
        "FindingsService/ListReleases",
        "FindingsService/GetRelease",
        "FindingsService/ListCards",
        "FindingsService/GetBudget",
        "FindingsService/ListScores",
    },
    "auditor": {
        "AuditService/*",
        "FindingsService/ListReleases",
        "FindingsService/GetRelease",
        "FindingsService/ListCards",
        "FindingsService/GetBudget",
        "FindingsService/ListScores",
    },
    "operator": {"CheckpointService/*", "SealService/GetSealStatus", "SealService/Seal"},
    "key_holder": {"SealService/GetSealStatus", "SealService/GiveShare"},
}
MESSAGES = {status.message for _, status in TABLE} | {"something failed inside"}


def may(role, method):
    service, name = method.removeprefix(OWN).split("/")
    return bool({f"{service}/*", f"{service}/{name}"} & ALLOWED[role])


def test_every_method_has_a_row_in_the_matrix():
    for name in METHODS:
        assert any(may(role, name) for role in ROLES), name


async def test_every_role_may_call_exactly_what_it_may_and_denials_are_recorded(lab):
    for role in ROLES:
        async with channel_of(lab, role) as channel:
            for name in METHODS:
                code, reason, message = await call(channel, name, b"")
                if may(role, name):
                    assert reason != "REFUSED" or code is not grpc.StatusCode.PERMISSION_DENIED or role != "bank_tester"
                else:
                    assert (code, reason, message) == (REFUSED.code, "REFUSED", REFUSED.message), (role, name)
    recorded = {
        (entry["role"], entry["name"]): entry["details"]["decision"]
        for half in ("vault", "window")
        for entry in await entries_of(lab, half)
        if entry["kind"] == "intent"
    }
    for role in ROLES:
        for name in METHODS:
            assert recorded[role, name] == ("allow" if may(role, name) else "deny"), (role, name)


BAD = {
    "malformed": b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "truncated": b"\x0a\x7fabc",
    "wrong type": b"\x0d\x01\x02\x03\x04" * 3,
    "invalid UTF-8": b"\x0a\x02\xc3\x28",
    "control characters": b"\x0a\x06a\x00\x07\x1b[m",
    "long text": b"\x0a\x90\x4e" + b"a" * 10_000,
}


@pytest.mark.parametrize("kind", sorted(BAD))
async def test_bad_input_gets_a_fixed_message_is_recorded_and_changes_nothing(lab, kind):
    tester = await lab.client("bank_tester")
    before = await tester.bank.stats(), await tester.runs.list(), await (await lab.client("trainer")).findings.scores()
    for role in ("bank_tester", "trainer", "auditor"):
        async with channel_of(lab, role) as channel:
            for name in METHODS:
                code, reason, message = await call(channel, name, BAD[kind])
                if code is grpc.StatusCode.OK:
                    continue  # an unknown field in a request that asks for nothing is no fault in protobuf
                assert reason in {"INVALID_REQUEST", "REFUSED", "NOT_FOUND"}, (role, name, code, message)
                assert message in MESSAGES
    after = await tester.bank.stats(), await tester.runs.list(), await (await lab.client("trainer")).findings.scores()
    assert after[1:] == before[1:]
    assert after[0].live == before[0].live
    outcomes = [e for h in ("vault", "window") for e in await entries_of(lab, h) if e["kind"] == "outcome"]
    assert sum(e["details"]["status"] == "INVALID_REQUEST" for e in outcomes) > 5


async def test_a_method_that_does_not_exist_is_refused_and_recorded_without_its_name(lab):
    async with channel_of(lab, "trainer") as channel:
        code, reason, _ = await call(channel, "/heldout.v1.BankService/DumpEverything", b"")
    assert (code, reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")
    names = [entry["name"] for entry in await entries_of(lab, "window")]
    assert "unknown-method" in names
    assert not any("Dump" in name for name in names)


async def test_an_oversize_message_is_refused_before_the_handler(lab):
    async with channel_of(lab, "bank_tester") as channel:
        code, _, _ = await call(channel, "/heldout.v1.BankService/GetPrompt", b"\x0a" + b"a" * (9 << 20))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    counted = {}
    for metric in lab.telemetry.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics:
        points = [p for p in metric.data.data_points if p.attributes.get("method", "").endswith("/GetPrompt")]
        counted[metric.name] = len(points) and points[0].value
    assert counted["heldout.calls.arrived"] == 1  # it is counted, and that is all that is known of it
    assert counted.get("heldout.calls", 0) == 0


async def test_there_is_no_reflection(lab):
    async with channel_of(lab, "trainer") as channel:
        code, _, _ = await call(channel, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"")
    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_without_a_client_certificate_nobody_gets_in(lab):
    profile = lab.profile("trainer")
    async with channel_with(profile.address, profile.authority) as channel:
        code, _, _ = await call(channel, METHODS[0], b"")
    assert code is grpc.StatusCode.UNAVAILABLE


async def test_a_caller_that_goes_away_at_once_leaves_no_intent_without_an_outcome(lab):
    async with channel_of(lab, "trainer") as channel:
        for _ in range(30):
            going = channel.unary_unary("/heldout.v1.FindingsService/ListCards")(b"", timeout=5)
            await asyncio.sleep(0)
            going.cancel()
        await call(channel, "/heldout.v1.FindingsService/ListCards", b"")
    for _ in range(100):
        entries = await entries_of(lab, "window")
        intents = {n for n, entry in enumerate(entries) if entry["kind"] == "intent" and entry["role"] == "trainer"}
        answered = {entry["details"]["intent"] for entry in entries if entry["kind"] == "outcome"}
        if intents <= answered:
            break
        await asyncio.sleep(0.02)
    assert intents
    assert intents <= answered


async def test_equal_requests_do_not_look_alike_in_the_log(lab):
    """Else whoever reads the log could confirm a guess of what somebody sent by sending it too."""
    guess = b"\x0a\x05rel-1"
    async with channel_of(lab, "trainer") as channel:
        for _ in range(2):
            await call(channel, "/heldout.v1.FindingsService/GetRelease", guess)
    macs = [
        entry["details"]["request_mac"]
        for entry in await entries_of(lab, "window")
        if entry["kind"] == "intent" and entry["name"].endswith("/GetRelease")
    ]
    assert len(macs) == 2
    assert macs[0] != macs[1]
