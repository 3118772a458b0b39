"""What the twins are compared by finds what it is for: each leak is planted, and found where it shows."""

import asyncio
import dataclasses
import random

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from observations import Observed, differences
from recorded_channel import Told
from traces_of_twins import Leaked, follow, follow_drawn
from twin_appliances import VARIANTS, Twin

from heldout_server.api import edge
from heldout_server.api.edge import Edge
from heldout_server.api.findings import FindingsServicer
from heldout_server.api.gate import Gate
from heldout_server.errors import NotFound, WrongState
from heldout_server.identity import CertificateGatekeeper
from heldout_server.telemetry import Metrics

ENOUGH_CALLS = 80


def length():
    """Return what an appliance should not tell: how long its first prompt is."""
    return len(Twin.speaking.secret.text(0))


def in_the_details_of_an_error(patch):
    told = edge.status_for

    def tell(error, role, *, opaque_id):
        status = told(error, role, opaque_id=opaque_id)
        return dataclasses.replace(status, message=f"{status.message} ({length()})")

    patch.setattr(edge, "status_for", tell)


def in_a_status(patch):
    async def get_release(_self, _request, _call):
        raise WrongState("long") if length() > 30 else NotFound("short")

    patch.setattr(FindingsServicer, "GetRelease", get_release)


def in_the_size_of_a_body(patch):
    serialize = Gate.serialize
    patch.setattr(
        Gate, "serialize", lambda *given: serialize(*given) + b"\x82\x7d" + bytes([length()]) + bytes(length())
    )


def in_a_body_of_the_same_size(patch):
    serialize = Gate.serialize
    patch.setattr(Gate, "serialize", lambda *given: serialize(*given) + b"\xf8\x7d" + bytes([length()]))


def in_initial_metadata(patch):
    begin = Edge._begin

    async def tell(self, method, request, context):
        await context.send_initial_metadata((("x-length", str(length())),))
        return await begin(self, method, request, context)

    patch.setattr(Edge, "_begin", tell)


def in_an_entry_of_the_log(patch):
    decide = CertificateGatekeeper.decide

    def tell(self, principal, method):
        decision = decide(self, principal, method)
        return dataclasses.replace(decision, rules=(*decision.rules, f"rule-{length()}"))

    patch.setattr(CertificateGatekeeper, "decide", tell)


def in_a_log_line(patch):
    arrived = Metrics.arrived

    def tell(self, method):
        structlog.get_logger("edge").info("call_arrived", count=length())
        arrived(self, method)

    patch.setattr(Metrics, "arrived", tell)


def in_a_label(patch):
    call = Metrics.call

    def tell(self, method, status, duration_s):
        call(self, method, "LONG" if length() > 30 else status, duration_s)

    patch.setattr(Metrics, "call", tell)


def in_a_duration(patch):
    call = Metrics.call
    patch.setattr(
        Metrics, "call", lambda self, method, status, duration_s: call(self, method, status, duration_s + length())
    )


PLANTED = {
    in_the_details_of_an_error: "details",
    in_a_status: "status",
    in_the_size_of_a_body: "size of a body",
    in_a_body_of_the_same_size: "body",
    in_initial_metadata: "initial metadata",
    in_an_entry_of_the_log: "trailing metadata",
    in_a_log_line: "log lines",
    in_a_label: "metric series",
    in_a_duration: "metric series",
}


@pytest.mark.parametrize("plant", [pytest.param(plant, id=plant.__name__) for plant in PLANTED])
def test_a_planted_leak_is_found_where_it_shows(plant, twins, monkeypatch):
    folders, seen = twins("prompts")
    choose = random.Random(3).choice  # noqa: S311 - a trace that can be repeated

    plant(monkeypatch)

    async def work(trace):
        for _ in range(ENOUGH_CALLS):
            await trace.go(choose)

    with pytest.raises(Leaked) as leaked:
        asyncio.run(follow(folders, VARIANTS["prompts"], work, seen=seen))
    assert PLANTED[plant] in leaked.value.channels


@pytest.mark.slow
def test_a_planted_leak_shrinks_to_the_one_call_that_tells(twins, monkeypatch):
    twins("prompts")  # made before anything is planted
    in_the_size_of_a_body(monkeypatch)

    @settings(
        max_examples=20,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(data=st.data())
    def look(data):
        follow_drawn(twins, "prompts", data, most=3)

    with pytest.raises(Leaked, match=r"^call 1: \w+ calls /heldout\.v1\.\w+/\w+ with b''\n"):
        look()


def seen_with(**changes):
    told = Told(status="OK", details="", bodies=(b"a",), initial=(), trailing=(("k", b"v"),))
    sight = {"lines": ("{}",), "figures": ("[]",)}
    mine = {name: value for name, value in changes.items() if name in sight}
    rest = {name: value for name, value in changes.items() if name not in sight}
    return Observed(told=dataclasses.replace(told, **rest), **sight | mine)


@pytest.mark.parametrize(
    ("change", "channels"),
    [
        ({"status": "NOT_FOUND"}, {"status"}),
        ({"details": "no such thing"}, {"details"}),
        ({"bodies": (b"b",)}, {"body"}),
        ({"bodies": (b"ab",)}, {"body", "size of a body"}),
        ({"bodies": (b"a", b"")}, {"body", "size of a body", "number of messages"}),
        ({"initial": (("k", "v"),)}, {"initial metadata"}),
        ({"trailing": (("k", b"w"),)}, {"trailing metadata"}),
        ({"trailing": ()}, {"trailing metadata"}),
        ({"lines": ()}, {"log lines"}),
        ({"figures": ("[]", "[]")}, {"metric series"}),
    ],
)
def test_each_channel_is_compared(change, channels):
    assert {one.channel for one in differences(seen_with(), seen_with(**change))} == channels


def test_equal_sights_do_not_differ():
    assert differences(seen_with(), seen_with()) == []
