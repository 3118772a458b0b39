"""The chain of a call, with parts that fail: nothing of a failure reaches the caller but a code and an opaque id."""

import contextlib
from typing import NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from heldout_proto.v1 import findings_pb2
from heldout_server.api.contract import methods
from heldout_server.api.denials import Denials
from heldout_server.api.edge import REFUSAL_STEP_S, Edge
from heldout_server.api.gate import ApprovedTexts, Gate
from heldout_server.api.journal import Journal
from heldout_server.api.status import REFUSED
from heldout_server.config.limits import Rate
from heldout_server.domain import Principal, Role
from heldout_server.errors import InvalidRequest, NotFound, StorageError
from heldout_server.ports.audit import Logged
from heldout_server.ports.identity import Decision

NAME = "/heldout.v1.FindingsService/ListCards"
SECRET = "How do I fold a letter?"
FREELY = Rate(per_s=1000, burst=1000)
SELDOM = Rate(per_s=0.1, burst=2)


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
        self.status = status_pb2.Status.FromString(dict(trailing_metadata)["grpc-status-details-bin"])
        raise grpc.aio.AbortError


class FakeGatekeeper:
    """Let everybody in, or nobody, or fail."""

    def __init__(self, role=Role.TRAINER, error=None, allowed=True, known=True):
        self.role, self.error, self.allowed, self.known = role, error, allowed, known

    def identify(self, _auth_context):
        return Principal("spiffe://heldout.example/x", self.role) if self.known else None

    def decide(self, _principal, _method):
        if self.error is not None:
            raise self.error
        return Decision(allowed=self.allowed, rules=("r",))


class FakeLog:
    """Keep records, or fail at one of them."""

    origin = "lab/window"

    def __init__(self, fail_at=None, error=None):
        self.records, self.fail_at, self.error = [], fail_at, error

    async def append(self, record):
        if len(self.records) == self.fail_at:
            raise self.error
        self.records.append(record)
        return Logged(len(self.records) - 1, b"{}", lambda: "proof", 17 if record.kind == "intent" else 0)

    def request_mac(self, _request):
        return "f" * 96


class FakeClock:
    """Stand still until moved."""

    def __init__(self):
        self.wall_s, self.steady_s = 600.0, 0.0

    def now_s(self):
        return self.wall_s

    def monotonic_s(self):
        return self.steady_s


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


async def no_cards(_request, _call):
    return findings_pb2.ListCardsResponse()


class Door:
    """Hold an edge whose every method behaves alike."""

    def __init__(self, *, gatekeeper=None, log=None, behave=no_cards, rate=FREELY, allowance=FREELY):
        self.failed = []
        self.waits = []
        self.log = log or FakeLog()
        self.clock = FakeClock()
        self.denials = Denials(self.clock, allowance)
        self.edge = Edge(
            contract=methods(),
            gatekeeper=gatekeeper or FakeGatekeeper(),
            rates=dict.fromkeys(Role, rate),
            denials=self.denials,
            journal=Journal(
                {"window": self.log, "vault": self.log},
                policy_digest="a" * 64,
                clock=self.clock,
                metrics=FakeMetrics(),
                on_failure=lambda: self.failed.append(True),
            ),
            gate=Gate(ApprovedTexts()),
            clock=self.clock,
            ids=FakeIds(),
            metrics=FakeMetrics(),
            pause=self.wait,
        )
        self.handler = Handler(False, False, findings_pb2.ListCardsRequest.FromString, None, behave)

    async def wait(self, seconds):
        """Let the time pass."""
        self.waits.append(seconds)
        self.clock.steady_s += seconds

    async def call(self, name=NAME):
        """Make one call and return its context."""

        async def continuation(_details):
            return self.handler

        served = await self.edge.intercept_service(continuation, Details(name, ()))
        context = FakeContext()
        with contextlib.suppress(grpc.aio.AbortError):
            await served.unary_unary(b"", context)
        return context


async def answer(**parts):
    """Run one call of ListCards through the edge; return the context and what was logged."""
    door = Door(**parts)
    context = await door.call()
    return context, door.log, door.failed


async def test_a_call_leaves_an_intent_an_outcome_and_a_receipt():
    context, log, _ = await answer()
    assert [record.kind for record in log.records] == ["intent", "outcome"]
    assert log.records[1].details["status"] == "OK"
    assert log.records[1].details["counter"] == 17  # the caller's own number of this call, for it to keep
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


async def test_once_the_log_failed_nothing_is_answered_again_even_if_the_disk_comes_back():
    door = Door(log=FakeLog(0, StorageError("disk")))
    await door.call()
    door.log.fail_at = None
    context = await door.call()
    assert (context.code, context.trailing) == (grpc.StatusCode.UNAVAILABLE, None)
    assert door.log.records == []


async def test_a_decision_that_fails_is_no_answer():
    context, log, _ = await answer(gatekeeper=FakeGatekeeper(error=RuntimeError(SECRET)))
    assert context.code is grpc.StatusCode.INTERNAL
    assert SECRET not in context.details
    assert log.records == []


async def exact(_request, _call):
    return findings_pb2.ListCardsResponse(cards=[findings_pb2.Card(title="not an approved text")])


async def absent(_request, _call):
    raise NotFound("no such release")


@pytest.mark.parametrize("took_s", [0.0, 0.001, 0.024, 0.026, 0.31])
@pytest.mark.parametrize("refused", ["forbidden", "forbidden too often", "unknown", "withheld"])
async def test_a_refusal_ends_after_whole_steps_whatever_it_was_and_however_long_it_took(refused, took_s):
    door = Door(
        gatekeeper=FakeGatekeeper(allowed=not refused.startswith("forbidden")),
        allowance=Rate(per_s=0.001, burst=1),
        behave={"unknown": absent, "withheld": exact}.get(refused, no_cards),
    )
    if refused == "forbidden too often":
        await door.call()

    began_s, append = door.clock.steady_s, door.log.append

    async def append_slowly(record):
        door.clock.steady_s += took_s / 2
        return await append(record)

    door.log.append = append_slowly
    context = await door.call()
    steps = (door.clock.steady_s - began_s) / REFUSAL_STEP_S
    assert steps == pytest.approx(round(steps)), "a whole number of steps"
    assert round(steps) >= 1
    refusal = (context.code, context.details, context.trailing)
    assert refusal == (grpc.StatusCode.PERMISSION_DENIED, REFUSED.message, None)


async def test_an_answer_waits_for_nothing():
    door = Door()
    await door.call()
    assert door.waits == []


async def test_what_does_not_fit_its_class_is_refused_whole_and_looks_like_nothing_there():
    context, log, _ = await answer(behave=exact)
    assert context.code is grpc.StatusCode.PERMISSION_DENIED
    assert context.trailing is None
    assert log.records[1].details["status"] == "WITHHELD"  # the auditor sees what it was


def infos(context):
    """Return what the details of a refusal hold, by type."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in context.status.details:
        detail.Unpack(info) or detail.Unpack(retry)
    return info, retry


async def test_who_calls_too_often_is_told_when_to_come_again_and_leaves_no_entry():
    door = Door(rate=SELDOM)
    for _ in range(2):
        assert (await door.call()).trailing is not None
    limited = await door.call()
    info, retry = infos(limited)
    assert (limited.code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert retry.retry_delay.seconds == 10
    assert not info.metadata
    assert limited.trailing is None
    assert len(door.log.records) == 4  # of the two that were answered
    (summary,) = door.denials.take_summaries()["window"]
    assert summary.details == {
        "caller": "spiffe://heldout.example/x",
        "reason": "RATE_LIMITED",
        "count": 1,
        "from_s": 600,
    }


async def test_limits_are_of_a_method_and_recover_by_the_steady_clock():
    door = Door(rate=SELDOM)
    for _ in range(3):
        last = await door.call()
    assert last.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await door.call("/heldout.v1.FindingsService/GetBudget")).trailing is not None
    door.clock.wall_s += 86_400  # nobody gains a call by setting the clock
    assert (await door.call()).trailing is None
    door.clock.steady_s += 10
    assert (await door.call()).trailing is not None


@pytest.mark.parametrize(
    ("gatekeeper", "name", "reason"),
    [
        (FakeGatekeeper(allowed=False), NAME, "REFUSED"),
        (FakeGatekeeper(known=False), NAME, "REFUSED"),
        (FakeGatekeeper(known=False), "/heldout.v1.BankService/DumpEverything", "UNKNOWN_METHOD"),
        (FakeGatekeeper(), "/heldout.v1.BankService/DumpEverything", "UNKNOWN_METHOD"),
    ],
)
async def test_denials_beyond_the_allowance_are_counted_and_look_the_same(gatekeeper, name, reason):
    door = Door(gatekeeper=gatekeeper, allowance=SELDOM)
    contexts = [await door.call(name) for _ in range(5)]
    assert {(one.code, one.details, one.status.SerializeToString()) for one in contexts} == {
        (contexts[0].code, contexts[0].details, contexts[0].status.SerializeToString())
    }
    assert infos(contexts[0])[0].reason == reason
    assert len(door.log.records) == 4  # two denials of two entries, and no more
    (summary,) = door.denials.take_summaries()["window"]
    assert (summary.details["reason"], summary.details["count"]) == (reason, 3)
    assert door.denials.take_summaries() == {}
