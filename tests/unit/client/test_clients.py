"""The two clients, and what the package offers."""

import asyncio
import inspect
import threading

import pytest
from client_fakes import FakeAppliance, make_release, to_message

import heldout
from heldout import client as clients
from heldout.contract import find_method
from heldout.errors import NotFound, UnknownAnswer
from heldout_proto.v1 import evaluation_pb2, findings_pb2


def progress(finished):
    tested = findings_pb2.TestedSystem(checkpoint="v1", trust=findings_pb2.TRUST_CLASS_CONTAINED)
    run = evaluation_pb2.Run(run_id="run-1", state=evaluation_pb2.RUN_STATE_RUNNING, tested=tested)
    return evaluation_pb2.WatchRunResponse(run=run, finished_trials=finished)


def test_plain_code_gets_the_same_answers(appliance):
    appliance.publish(to_message(make_release()))
    with appliance.blocking_client() as client:
        assert client.findings.releases() == (make_release(),)
        assert client.audit.vkey("vault") == appliance.vkeys["vault"]
    assert appliance.closed


def test_errors_cross_to_plain_code(appliance):
    appliance.answers["GetBudget"] = NotFound("there is no such thing", reason="NOT_FOUND")
    with appliance.blocking_client() as client, pytest.raises(NotFound):
        client.findings.budget()


def test_streams_cross_to_plain_code():
    appliance = FakeAppliance(answers={"WatchRun": [progress(n) for n in (1, 2, 3)]})
    with appliance.blocking_client() as client:
        assert [one.finished_trials for one in client.runs.watch("run-1")] == [1, 2, 3]


def test_a_stream_may_be_left_early():
    appliance = FakeAppliance(answers={"WatchRun": [progress(n) for n in (1, 2, 3)]})
    with appliance.blocking_client() as client:
        watched = client.runs.watch("run-1")
        assert next(watched).finished_trials == 1
        watched.close()
        assert list(watched) == []


def test_an_interrupted_stream_has_let_go_before_anybody_closes_it(monkeypatch):
    """Else a Ctrl-C in the middle of a page would end in an error of ours, once in ten times."""
    asked, let_go, interrupts = threading.Event(), [], [KeyboardInterrupt]

    class Interrupted(clients.Future):
        def result(self, timeout=None):
            if interrupts:
                assert asked.wait(10)
                raise interrupts.pop()
            return super().result(timeout)

    async def slow():
        try:
            asked.set()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            let_go.append(True)

    monkeypatch.setattr(clients, "Future", Interrupted)
    loop = clients._Loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run(slow())
    assert let_go == [True]
    loop.stop()


def test_closing_ends_the_thread_and_may_be_done_twice(appliance):
    before = threading.active_count()
    client = appliance.blocking_client()
    assert threading.active_count() == before + 1
    client.close()
    client.close()
    assert threading.active_count() == before


def test_a_client_that_cannot_be_built_leaves_no_thread():
    before = threading.active_count()

    def broken():
        raise ValueError("no such profile")

    with pytest.raises(ValueError, match="no such profile"):
        clients.Client(broken)
    assert threading.active_count() == before


async def test_the_asynchronous_client_closes_its_transport(appliance):
    async with appliance.client():
        assert not appliance.closed
    assert appliance.closed


@pytest.mark.parametrize("name", ["Findings", "Bank", "Runs", "Checkpoints", "Audit"])
def test_the_plain_client_has_every_call_of_the_asynchronous_one(name):
    plain, asynchronous = getattr(clients, name), getattr(clients, f"Async{name}")
    calls = {key for key, value in vars(asynchronous).items() if callable(value) and not key.startswith("_")}
    assert calls == {key for key in dir(plain) if not key.startswith("_")}
    for call in calls:
        assert inspect.signature(getattr(plain, call)) == inspect.signature(getattr(asynchronous, call))


def test_the_package_offers_what_it_says_and_nothing_else():
    assert {type(getattr(heldout, name)).__name__ for name in heldout.__all__} == {"type", "function"}
    with pytest.raises(AttributeError, match="Frobnicator"):
        heldout.Frobnicator  # noqa: B018 - looking is the test


def test_methods_come_from_the_contract():
    method = find_method("BankService", "ImportPrompts")
    assert (method.name, method.deadline_s, method.half) == ("/heldout.v1.BankService/ImportPrompts", 3600.0, "vault")
    for service, name in (("BankService", "Frobnicate"), ("NoService", "GetStats")):
        with pytest.raises(UnknownAnswer):
            find_method(service, name)
