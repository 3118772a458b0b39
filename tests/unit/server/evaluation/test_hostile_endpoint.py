"""An endpoint that misbehaves over one prompt costs that prompt its verdict, and no other: over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
from itertools import count

import pytest
from evaluation_fakes import Bench, settle

from heldout_server.config.runtimes import Endpoint
from heldout_server.domain import RunState, TrustClass, Verdict
from heldout_server.runtimes import Resilience
from heldout_server.runtimes.endpoint_runtime import EndpointRuntime
from heldout_server.runtimes.steady import Circuit

ODD = "prompt 2"
ODD_TRIAL = 2
MIB = 1024 * 1024


def head(status=200, length=None, kind="application/json", **more):
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}"]
    lines += [] if length is None else [f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def whole(body, status=200, **more):
    return head(status, len(body), **more) + body


def completion(text):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return json.dumps({"choices": [choice]}).encode()


async def never(_writer):
    await asyncio.Event().wait()


async def byte_by_byte(writer):
    writer.write(head(length=10_000))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def half_a_body(writer):
    writer.write(whole(completion("half"))[:-20])
    writer.close()


async def a_hundred_megabytes(writer):
    writer.write(head(length=100 * MIB))
    for _ in range(100):
        writer.write(b" " * MIB)
        await writer.drain()


async def without_end(writer):
    writer.write(head(Transfer_Encoding="chunked"))
    while True:
        writer.write(b"%x\r\n%s\r\n" % (MIB, b" " * MIB))
        await writer.drain()


async def heads_without_end(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in count():
        writer.write(b"X-%d: y\r\n" % number)
        await writer.drain()


async def hangs_up(writer):
    writer.close()


def says(answer):
    async def say(writer):
        writer.write(answer)
        await writer.drain()

    return say


WAYS = {
    "never_answers": never,
    "byte_by_byte": byte_by_byte,
    "half_a_body": half_a_body,
    "a_hundred_megabytes": a_hundred_megabytes,
    "a_body_without_end": without_end,
    "heads_without_end": heads_without_end,
    "hangs_up": hangs_up,
    "empty_body": says(whole(b"")),
    "invalid_json": says(whole(b'{"choices": [')),
    "deep_json": says(whole(b"[" * 200_000)),
    "not_json_by_its_type": says(whole(completion("hello"), kind="text/html")),
    "not_found": says(whole(b"{}", status=404)),
    "bad_request": says(whole(b"{}", status=400)),
    "server_error": says(whole(b"{}", status=500)),
    "redirect": says(whole(b"", status=302, Location="/elsewhere")),
    "no_http": says(b"canary canary\r\n\r\n"),
}


@contextlib.asynccontextmanager
async def endpoint(way):
    """Answer as a model does, and every request that holds the odd prompt in the way given."""
    talks = set()

    async def converse(reader, writer):
        talks.add(asyncio.current_task())
        try:
            while True:
                received = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(received.split("content-length: ")[1].split("\r\n")[0])
                text = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
                if text.endswith(ODD):
                    await way(writer)
                else:
                    writer.write(whole(completion(f"answer to {text}")))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client, or the test, is done with it
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for talk in talks:
        talk.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


async def verdicts_with(way):
    async def at_once(_seconds):
        await asyncio.sleep(0)

    bench = Bench(in_flight=8, deadline_s=0.5)
    async with endpoint(way) as url:
        bench.runtime = EndpointRuntime(
            Endpoint(
                engine="scripted",
                url=url,
                socket=None,
                model="m",
                trust=TrustClass.CONTAINED,
                dialect="openai",
                version="",
                filters=(),
                headers={},
                api_key=None,
            ),
            most=8,
            circuit=Circuit(sleep=at_once),
            resilience=Resilience(attempts=2, sleep=at_once),
        )
        async with bench.evaluation() as evaluation:
            await bench.start(evaluation, techniques=("plain",), stacks=())
            progress = await settle(evaluation)
    assert progress.run.state is RunState.PUBLISHED
    return bench.outcomes.verdicts()


@pytest.fixture(scope="module")
def clean():
    """What comes of a run over an endpoint that does nothing odd."""

    async def answer(writer):
        writer.write(whole(completion("a fine answer")))

    return asyncio.run(verdicts_with(answer))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_its_trial_ends_in_an_error_and_every_other_has_its_verdict(clean, way):
    assert Verdict.ERROR not in clean.values()
    assert await verdicts_with(way) == clean | {ODD_TRIAL: Verdict.ERROR}
