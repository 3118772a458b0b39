"""An endpoint that already serves a model is asked as the config says, and waited for when it is down."""

from __future__ import annotations

import asyncio

import pytest
from endpoint_fakes import completion, reply

from heldout_server.config.runtimes import Endpoint, LlamaCpp, Runtimes
from heldout_server.domain import Checkpoint, CheckpointState, Message, Sampling, SecretText, TrustClass
from heldout_server.environment import RandomIds
from heldout_server.errors import EndpointUnavailable
from heldout_server.runtimes import EndpointRuntime, Resilience, open_runtimes
from heldout_server.runtimes.scripted import serve
from heldout_server.runtimes.steady import Circuit
from heldout_server.runtimes.table import ScriptedTable

CHECKPOINT = Checkpoint(
    name="nova-1",
    line="nova",
    sequence=1,
    runtime="gateway",
    digest="00",
    state=CheckpointState.STAGED,
    reason="",
    path="",
    noticed_s=0,
)
TABLE = b"""{"seed": 1, "rules": [], "otherwise": {"comply": 1}, "answers": {"comply": ["Sure: sing."]}}"""


def config(**changes):
    return Endpoint(
        **{
            "engine": "gateway",
            "url": "",
            "socket": None,
            "model": "nova-7b",
            "trust": TrustClass.EXPOSED,
            "dialect": "vllm",
            "version": "0.11.0",
            "filters": ("guard",),
            "headers": {},
            "api_key": None,
        }
        | changes
    )


async def ask(client, text="who sings?"):
    answer = await client.complete((Message("user", SecretText(text)),), Sampling(), timeout_s=20)
    return answer.text.reveal()


async def test_it_is_asked_for_the_model_with_the_headers_and_the_key_of_the_config(endpoint, tmp_path):
    key = tmp_path / "gateway.key"
    key.write_text("s3cret\n")
    key.chmod(0o600)
    endpoint.replies = [reply(completion("la la"))]
    runtime = EndpointRuntime(config(url=endpoint.origin, headers={"X-Tenant": "lab"}, api_key=key), most=2)
    async with runtime.serve(CHECKPOINT) as client:
        assert await ask(client) == "la la"
    head = endpoint.heads[0].lower()
    assert "x-tenant: lab\r\n" in head
    assert "authorization: bearer s3cret\r\n" in head
    assert (endpoint.requests[0]["model"], endpoint.requests[0]["top_k"]) == ("nova-7b", -1)
    known = (runtime.engine, runtime.trust, runtime.version, runtime.dialect, runtime.filters)
    assert known == ("gateway", TrustClass.EXPOSED, "0.11.0", "vllm", ("guard",))


async def test_a_header_of_the_config_does_not_change_what_is_sent_and_read(endpoint):
    endpoint.replies = [reply(completion("la la"))]
    runtime = EndpointRuntime(config(url=endpoint.origin, headers={"content-type": "text/plain"}), most=2)
    async with runtime.serve(CHECKPOINT) as client:
        await ask(client)
    assert [line for line in endpoint.heads[0].lower().split("\r\n") if line.startswith("content-type")] == [
        "content-type: application/json"
    ]


async def test_without_a_key_none_is_sent(endpoint):
    endpoint.replies = [reply(completion())]
    async with EndpointRuntime(config(url=endpoint.origin), most=2).serve(CHECKPOINT) as client:
        await ask(client)
    assert "authorization" not in endpoint.heads[0].lower()


async def test_a_key_that_is_gone_interrupts_the_run_and_blames_no_trial(tmp_path):
    runtime = EndpointRuntime(config(url="http://127.0.0.1:1", api_key=tmp_path / "gone"), most=2)
    with pytest.raises(EndpointUnavailable) as caught:
        async with runtime.serve(CHECKPOINT):
            pass
    assert caught.value.reason == "ACCESS_REFUSED"


async def test_a_key_that_others_can_read_by_now_is_not_sent(endpoint, tmp_path):
    key = tmp_path / "gateway.key"
    key.write_text("s3cret\n")
    key.chmod(0o644)
    with pytest.raises(EndpointUnavailable) as caught:
        async with EndpointRuntime(config(url=endpoint.origin, api_key=key), most=2).serve(CHECKPOINT):
            pass
    assert caught.value.reason == "ACCESS_REFUSED"
    assert endpoint.requests == []


async def test_it_is_spoken_to_over_a_unix_socket_and_may_come_up_late(run_folder):
    """The first request waits for it: a real server that starts while it is waited for."""
    stop, started = asyncio.Event(), []
    socket = run_folder / "m.sock"

    async def sleep(pause_s):
        if not started:
            started.append(group.create_task(serve(ScriptedTable.parse(TABLE), socket, stopped=stop.wait)))
        await asyncio.sleep(0.01)

    circuit = Circuit(patience_s=60, sleep=sleep)
    runtime = EndpointRuntime(config(socket=socket), most=2, circuit=circuit, resilience=Resilience(attempts=1))
    async with asyncio.TaskGroup() as group, runtime.serve(CHECKPOINT) as client:
        assert await ask(client) == "Sure: sing."
        stop.set()


def test_the_catalogue_holds_the_appliances_own_engines_and_those_of_the_config(run_folder):
    runtimes = open_runtimes(
        Runtimes(
            isolation="none",
            patience_s=5,
            llamacpp=LlamaCpp(context=256, parallel=1, threads=1, start_s=5),
            endpoints=(config(url="http://127.0.0.1:1"), config(engine="other", url="http://127.0.0.1:2")),
        ),
        run_folder=run_folder,
        ids=RandomIds(),
        in_flight=8,
    )
    assert set(runtimes) == {"scripted", "llamacpp", "gateway", "other"}
    assert runtimes["llamacpp"].trust is TrustClass.CONTAINED


async def test_without_patience_an_endpoint_that_is_down_is_unavailable_at_once(run_folder):
    runtime = EndpointRuntime(config(socket=run_folder / "none"), most=2, resilience=Resilience(attempts=1))
    async with runtime.serve(CHECKPOINT, patient=False) as client:
        with pytest.raises(EndpointUnavailable):
            await ask(client)
