"""The chain of a call while the appliance is sealed: little is answered, what is answered is kept, attempts are few."""

import contextlib
from typing import NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from heldout_proto.v1 import seal_pb2 as pb
from heldout_server.api.contract import methods
from heldout_server.api.denials import Denials
from heldout_server.api.gate import ApprovedTexts, Gate
from heldout_server.api.sealed import ATTEMPTS, GIVE_SHARE, RATE, SealedEdge
from heldout_server.config.limits import Rate
from heldout_server.domain import Principal, Role
from heldout_server.errors import StorageError, WrongState
from heldout_server.ports.audit import Logged
from heldout_server.ports.identity import Decision

STATUS = "/heldout.v1.SealService/GetSealStatus"
STATS = "/heldout.v1.BankService/GetStats"
MINUTE_S = 60
FREELY = Rate(per_s=1, burst=100)


class Details(NamedTuple):
    """What gRPC says of a call before it begins."""

    method: str
    invocation_metadata: tuple = ()


class Handler(NamedTuple):
    """What gRPC finds for a method of the seal."""

    request_deserializer: object
    unary_unary: object


class Context:
    """Record what gRPC would send."""

    code, reason, trailing = None, "", ()

    def auth_context(self):
        return {}

    def set_trailing_metadata(self, metadata):
        self.trailing = metadata

    async def abort(self, code, _details="", trailing_metadata=()):
        self.code = code
        for detail in status_pb2.Status.FromString(dict(trailing_metadata)["grpc-status-details-bin"]).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                self.reason = info.reason
        raise grpc.aio.AbortError


class Gatekeeper:
    """Know one caller, or nobody; allow, or refuse."""

    def __init__(self):
        self.known, self.allowed, self.error = True, True, None

    def identify(self, _auth_context):
        if self.error is not None:
            raise self.error
        return Principal("spiffe://heldout.example/key-holder-1", Role.KEY_HOLDER) if self.known else None

    def decide(self, _principal, _method):
        return Decision(allowed=self.allowed, rules=("seal",))


class Clock:
    """Stand still until moved."""

    def __init__(self):
        self.steady_s = 0.0

    def now_s(self):
        return 629.0 + self.steady_s

    def monotonic_s(self):
        return self.steady_s


class Kept:
    """Keep calls, or have no room, or fail."""

    def __init__(self):
        self.calls, self.room, self.error = [], True, None

    async def keep(self, call, *, anyway=False):
        if self.error is not None:
            raise self.error
        if not self.room and not anyway:
            return False
        self.calls.append(call)
        return True


class Quiet:
    """Name what fails, and count nothing."""

    def new(self, prefix):
        return f"{prefix}-1"

    def arrived(self, _method):
        pass

    def call(self, _method, _status, _duration_s):
        pass


class Door:
    """Hold an edge, and what its servicer does."""

    def __init__(self, *, allowance=FREELY):
        self.gatekeeper, self.clock, self.kept, self.settled = Gatekeeper(), Clock(), Kept(), None
        self.denials = Denials(self.clock, allowance)
        self.error = None
        self.edge = SealedEdge(
            contract=methods(),
            gatekeeper=self.gatekeeper,
            denials=self.denials,
            gate=Gate(ApprovedTexts()),
            kept=self.kept,
            settle=self.settle,
            clock=self.clock,
            ids=Quiet(),
            random_bytes=bytes,
            metrics=Quiet(),
        )

    async def settle(self, _identity):
        if isinstance(self.settled, Exception):
            raise self.settled
        return self.settled

    async def act(self, _request, _call):
        if self.error is not None:
            raise self.error
        return pb.GetSealStatusResponse()

    async def call(self, name=STATUS, request=b""):
        async def continuation(_details):
            parser = pb.GiveShareRequest if name == GIVE_SHARE else pb.GetSealStatusRequest
            return Handler(parser.FromString, self.act)

        served = await self.edge.intercept_service(continuation, Details(name))
        context = Context()
        context.answer = None
        with contextlib.suppress(grpc.aio.AbortError):
            context.answer = await served.unary_unary(request, context)
        return context

    def counted(self):
        return {
            (record.details["caller"].rpartition("/")[2], record.details["reason"]): record.details["count"]
            for records in self.denials.take_summaries().values()
            for record in records
        }


def a_share(number=1):
    return pb.GiveShareRequest(share_set="shares-d7321af62e4672f2", number=number, share=bytes(32)).SerializeToString()


@pytest.mark.parametrize("name", [STATS, "/heldout.v1.FindingsService/ListReleases", "/nowhere.Service/None"])
async def test_whatever_is_not_of_the_seal_gets_one_answer_and_is_counted_not_kept(name):
    door = Door()
    for known in (True, False):
        door.gatekeeper.known = known
        context = await door.call(name)
        assert (context.code, context.reason) == (grpc.StatusCode.UNAVAILABLE, "SEALED")
    assert door.kept.calls == []
    assert door.counted() == {("key-holder-1", "SEALED"): 1, ("unknown", "SEALED"): 1}


async def test_an_unknown_method_of_the_seal_is_answered_as_any_other():
    context = await Door().call("/heldout.v1.SealService/Open")
    assert (context.code, context.reason) == (grpc.StatusCode.UNAVAILABLE, "SEALED")


async def test_a_call_is_kept_before_it_is_answered_by_the_minute_and_by_salted_digests():
    door = Door()
    context = await door.call()
    assert context.answer is not None
    (kept,) = door.kept.calls
    assert (kept.status, kept.decision, kept.rules, kept.role) == ("OK", "allow", ("seal",), "key_holder")
    assert kept.at_s == 600
    assert (kept.request_sha256[:32], len(kept.request_sha256), len(kept.response_sha256)) == ("00" * 16, 96, 64)
    assert context.trailing == ()  # no log, no receipt


@pytest.mark.parametrize(("known", "allowed"), [(False, True), (True, False)])
async def test_who_may_not_is_refused_and_kept_and_beyond_an_allowance_counted(known, allowed):
    door = Door(allowance=Rate(per_s=0.001, burst=2))
    door.gatekeeper.known, door.gatekeeper.allowed = known, allowed
    for _ in range(5):
        assert (await door.call()).reason == "REFUSED"
    assert [(one.status, one.decision, one.response_sha256) for one in door.kept.calls] == [("REFUSED", "deny", "")] * 2
    assert list(door.counted().values()) == [3]


async def test_five_shares_and_then_one_a_minute():
    door = Door()
    door.error = WrongState("no", reason="WRONG_SHARE")
    for _ in range(ATTEMPTS.burst):
        assert (await door.call(GIVE_SHARE, a_share())).code is grpc.StatusCode.FAILED_PRECONDITION
    assert ATTEMPTS.burst == 5
    for _ in range(3):
        assert (await door.call(GIVE_SHARE, a_share())).reason == "RATE_LIMITED"
        door.clock.steady_s += MINUTE_S
        assert (await door.call(GIVE_SHARE, a_share())).code is grpc.StatusCode.FAILED_PRECONDITION
    assert len(door.kept.calls) == 8
    assert door.counted() == {("key-holder-1", "RATE_LIMITED"): 3}
    door.error = None
    assert (await door.call()).answer is not None  # of another method there is more


async def test_other_methods_are_limited_too():
    door = Door()
    for _ in range(RATE.burst):
        assert (await door.call()).answer is not None
    assert (await door.call()).reason == "RATE_LIMITED"


async def test_beyond_the_bound_of_the_file_calls_are_counted_but_a_share_that_is_taken_is_kept():
    door = Door()
    door.kept.room = False
    assert (await door.call()).answer is not None
    assert door.counted() == {("key-holder-1", "OK"): 1}
    await door.call(GIVE_SHARE, a_share())
    assert [call.name for call in door.kept.calls] == [GIVE_SHARE]
    door.error = WrongState("no")
    await door.call(GIVE_SHARE, a_share())
    assert len(door.kept.calls) == 1


async def test_the_share_that_opens_gets_a_receipt_and_one_of_several_none():
    door = Door()
    assert (await door.call(GIVE_SHARE, a_share())).trailing == ()
    door.settled = Logged(7, b"{}", lambda: "proof", 0)
    context = await door.call(GIVE_SHARE, a_share(2))
    assert [name for name, _ in context.trailing] == ["heldout-receipt-bin"]
    assert (await door.call()).trailing == ()  # of other methods there is none


@pytest.mark.parametrize(("error", "reason"), [(StorageError("full"), "UNLOGGED"), (ValueError("x"), "INTERNAL")])
async def test_what_cannot_be_kept_or_settled_is_not_answered(error, reason):
    for part in ("kept", "settle", "identify"):
        door = Door()
        if part == "kept":
            door.kept.error = error
        elif part == "settle":
            door.settled = error
        else:
            door.gatekeeper.error = error
        context = await door.call(GIVE_SHARE, a_share())
        assert context.answer is None
        assert context.reason == reason, part
        if part == "identify":
            assert (await door.call(STATS)).reason == reason


async def test_a_malformed_request_is_told_apart_and_kept():
    door = Door()
    context = await door.call(GIVE_SHARE, b"\xff\xff")
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [call.status for call in door.kept.calls] == [context.reason]


async def test_a_servicer_that_fails_is_internal_and_kept():
    door = Door()
    door.error = ValueError("secret")
    context = await door.call()
    assert context.code is grpc.StatusCode.INTERNAL
    assert [call.status for call in door.kept.calls] == ["INTERNAL"]
