"""Endpoints that models would answer at: one at once, one after a fixed time. And the bare client of both.

At once means nginx where it is installed, since a server in Python would be what is measured. The bare client sends
the very requests that a run sends, reads each answer to its end, and does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import aiohttp
from measuring import Stopwatch

from heldout_server.domain import Checkpoint, TrustClass
from heldout_server.runtimes import OpenAIClient
from heldout_server.runtimes.steady import SteadyClient

PATIENCE_S = 10
POLL_S = 0.02
HEAD = re.compile(rb"POST [^\n]*\n(?:[^\n]+\n)*?Content-Length: (\d+)\r\n(?:[^\r\n][^\n]*\n)*\r\n")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

COMPLY = (
    "Sure, here is how to do it. First, choose a quiet afternoon and put the ladder against the shed. Next, climb up "
    "slowly and tie the first balloon to the gutter. Then repeat that for the other balloons, and check each knot. "
    "1. Blow up the balloons. 2. Tie them in pairs. 3. Hang them where the wind cannot reach them. Finally, step back "
    "and look at it from the kitchen window, since that is where your brother will stand in the morning."
)
REFUSE = "I'm sorry, but I can't help with that."
PARTIAL = (
    "I can't go into the details, but in general people begin with a ladder and a good deal of patience, and they ask "
    "a friend to keep watch while the balloons go up."
)
ANSWERS = (COMPLY, REFUSE, PARTIAL)


def completion(text: str) -> str:
    """Return the body of a chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "model": "bench", "choices": [choice]})


class EndpointRuntime:
    """Stand for a runtime whose process is up already: it hands out the client that a run has, pointed at a socket."""

    engine = "scripted"
    trust = TrustClass.CONTAINED
    version = ""
    dialect = "openai"
    filters = ()

    def __init__(self, socket: Path, *, most: int = 1) -> None:
        self.socket = socket
        self.width = most
        self.start_s = 0.0

    @contextlib.asynccontextmanager
    async def serve(self, checkpoint: Checkpoint, *, patient: bool = True) -> AsyncIterator[SteadyClient]:
        async with OpenAIClient.over_socket(self.socket, model=checkpoint.name) as client:
            yield SteadyClient(client, most=self.width)


@contextlib.asynccontextmanager
async def answering_at_once(folder: Path) -> AsyncIterator[tuple[Path, str]]:
    """Serve, and yield the socket and what serves: nginx, or the shipped scripted runtime's process."""
    socket = folder / "endpoint.sock"
    if NGINX:
        config = folder / "nginx.conf"
        config.write_text(_nginx_config(folder, socket), encoding="utf-8")
        command = [NGINX, "-c", str(config), "-e", str(folder / "nginx.log")]
    else:
        table = folder / "scripted.json"
        table.write_text(json.dumps(_table()), encoding="utf-8")
        module = "heldout_server.runtimes.scripted"
        command = [sys.executable, "-m", module, "--socket", str(socket), "--table", str(table)]
    async with _child(command, socket):
        yield socket, "nginx" if NGINX else "scripted runtime"


@contextlib.asynccontextmanager
async def answering_late(folder: Path, *, delay_s: float) -> AsyncIterator[Path]:
    """Serve answers that take a fixed time, any number of them at once."""
    socket = folder / "late.sock"
    async with _child([sys.executable, __file__, "--socket", str(socket), "--delay-s", str(delay_s)], socket):
        yield socket


async def bare_rate(socket: Path, bodies: Sequence[bytes], *, in_flight: int, requests: int) -> float:
    """Return requests a second of a bare aiohttp client loop."""
    left = iter(range(requests))
    body = itertools.cycle(bodies)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(socket), limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def work() -> None:
            for _ in left:
                async with session.post("http://localhost/v1/chat/completions", data=next(body), headers=headers) as it:
                    await it.read()
                    assert it.status == 200

        watch = Stopwatch()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(work())
        return requests / watch.seconds()


@contextlib.asynccontextmanager
async def _child(command: Sequence[str], socket: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await _answers(socket):
                assert process.returncode is None, f"{command[0]} ended"
                await asyncio.sleep(POLL_S)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _answers(socket: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _nginx_config(folder: Path, socket: Path) -> str:
    comply, refuse, partial = (completion(text).replace("'", "\\'") for text in ANSWERS)
    return f"""
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    client_max_body_size 8m;
    client_body_buffer_size 128k;
    client_body_temp_path {folder}/body;
    split_clients "${{request_id}}" $answer {{
        40% '{comply}';
        40% '{refuse}';
        *   '{partial}';
    }}
    server {{
        listen unix:{socket} backlog=4096;
        location / {{ return 200 $answer; }}
    }}
}}
"""


def _table() -> dict[str, object]:
    return {
        "seed": 7,
        "rules": [],
        "otherwise": {"comply": 0.4, "partial": 0.2},
        "answers": {
            "comply": [COMPLY],
            "partial": [PARTIAL],
            "refuse": [REFUSE],
            "deflect": [REFUSE],
            "non_answer": [""],
        },
    }


class _Late(asyncio.Protocol):
    """Answer each request after a fixed time, with as little work as it takes: a slow server would be measured."""

    def __init__(self, answers: Iterator[bytes], delay_s: float) -> None:
        self._answers = answers
        self._delay_s = delay_s
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while found := HEAD.match(self._received):
            end = found.end() + int(found.group(1))
            if len(self._received) < end:
                return
            del self._received[:end]
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, next(self._answers))


async def _serve_late(socket: Path, delay_s: float) -> None:
    bodies = [completion(text).encode() for text in ANSWERS]
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    answers = itertools.cycle([head.format(len(body)).encode() + body for body in bodies])
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: _Late(answers, delay_s), str(socket), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An endpoint that answers after a fixed time.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--delay-s", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(_serve_late(options.socket, options.delay_s))
