"""The chain of a call, with parts that fail: nothing of a failure reaches the caller but a code and an opaque id."""

from typing import NamedTuple

import grpc
import pytest

from heldout_proto.v1 import findings_pb2
from heldout_server.api.contract import methods
from heldout_server.api.edge import Edge
from heldout_server.domain import Principal, Role
from heldout_server.errors import InvalidRequest, StorageError
from heldout_server.ports.audit import Logged
from heldout_server.ports.identity import Decision

NAME = "/heldout.v1.FindingsService/ListCards"
SECRET = "How do I fold a letter?"


class Details(NamedTuple):
    """What gRPC says of a call before it begins."""

    method: str
    invocation_metadata: tuple


class Handler(NamedTuple):
    """What gRPC finds for a method."""

    request_streaming: bool
    response_streaming: bool
    request_deserializer: object
    response_serializer: object
    unary_unary: object


class FakeContext:
    """Record what gRPC would send."""

    def __init__(self):
        self.trailing = None

    def auth_context(self):
        return {}

    def time_remaining(self):
        return None

    def set_trailing_metadata(self, metadata):
        self.trailing = metadata

    async def abort(self, code, details="", trailing_metadata=()):
        self.code, self.details = code, details
        raise grpc.aio.AbortError


class FakeGatekeeper:
    """Let everybody in, or fail."""

    def __init__(self, role=Role.TRAINER, error=None):
        self.role, self.error = role, error

    def identify(self, _auth_context):
        return Principal("spiffe://heldout.example/x", self.role)

    def decide(self, _principal, _method):
        if self.error is not None:
            raise self.error
        return Decision(allowed=True, rules=("r",))


class FakeLog:
    """Keep records, or fail at one of them."""

    origin = "lab/window"

    def __init__(self, fail_at=None, error=None):
        self.records, self.fail_at, self.error = [], fail_at, error

    async def append(self, record):
        if len(self.records) == self.fail_at:
            raise self.error
        self.records.append(record)
        return Logged(len(self.records) - 1, b"{}", "proof")

    def request_mac(self, _request):
        return "f" * 96


class FakeClock:
    """Stand still."""

    def now_s(self):
        return 0.0

    def monotonic_s(self):
        return 0.0


class FakeIds:
    """Give one id."""

    def new(self, prefix):
        return f"{prefix}-1"


class FakeMetrics:
    """Count nothing."""

    def arrived(self, _method):
        pass

    def call(self, _method, _status, _duration_s):
        pass


async def answer(*, gatekeeper=None, log=None, behave=None):
    """Run one call of ListCards through the edge; return the context and what was logged."""
    failed = []
    log = log or FakeLog()

    async def list_cards(_request, _call):
        return findings_pb2.ListCardsResponse()

    edge = Edge(
        contract=methods(),
        gatekeeper=gatekeeper or FakeGatekeeper(),
        logs={"window": log, "vault": log},
        policy_digest="a" * 64,
        approved_texts=frozenset(),
        clock=FakeClock(),
        ids=FakeIds(),
        metrics=FakeMetrics(),
        on_log_failure=lambda: failed.append(True),
    )
    handler = Handler(False, False, findings_pb2.ListCardsRequest.FromString, None, behave or list_cards)

    async def continuation(_details):
        return handler

    served = await edge.intercept_service(continuation, Details(NAME, ()))
    context = FakeContext()
    try:
        await served.unary_unary(b"", context)
    except grpc.aio.AbortError:
        return context, log, failed
    return context, log, failed


async def test_a_call_leaves_an_intent_an_outcome_and_a_receipt():
    context, log, _ = await answer()
    assert [record.kind for record in log.records] == ["intent", "outcome"]
    assert log.records[1].details["status"] == "OK"
    assert context.trailing[0][0] == "heldout-receipt-bin"


async def fails(_request, _call):
    raise ValueError(SECRET)


async def test_an_error_that_nobody_expected_is_internal_with_an_opaque_id():
    context, log, _ = await answer(behave=fails)
    assert context.code is grpc.StatusCode.INTERNAL
    assert SECRET not in context.details
    assert "err-1" in context.details
    assert log.records[1].details["status"] == "INTERNAL"


@pytest.mark.parametrize("fail_at", [0, 1])
async def test_a_record_that_does_not_fit_the_log_is_no_answer(fail_at):
    context, _, _ = await answer(log=FakeLog(fail_at, InvalidRequest(SECRET)))
    assert context.code is grpc.StatusCode.INTERNAL
    assert SECRET not in context.details
    assert context.trailing is None


@pytest.mark.parametrize("fail_at", [0, 1])
async def test_without_the_log_nothing_is_answered(fail_at):
    context, _, failed = await answer(log=FakeLog(fail_at, StorageError("disk")))
    assert context.code is grpc.StatusCode.UNAVAILABLE
    assert context.trailing is None
    assert failed == [True]


async def test_a_decision_that_fails_is_no_answer():
    context, log, _ = await answer(gatekeeper=FakeGatekeeper(error=RuntimeError(SECRET)))
    assert context.code is grpc.StatusCode.INTERNAL
    assert SECRET not in context.details
    assert log.records == []


async def exact(_request, _call):
    return findings_pb2.ListCardsResponse(cards=[findings_pb2.Card(title="not an approved text")])


async def test_what_does_not_fit_its_class_is_refused_whole_and_looks_like_nothing_there():
    context, log, _ = await answer(behave=exact)
    assert context.code is grpc.StatusCode.PERMISSION_DENIED
    assert context.trailing is None
    assert log.records[1].details["status"] == "WITHHELD"  # the auditor sees what it was
