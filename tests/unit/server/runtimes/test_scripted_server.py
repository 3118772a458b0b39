from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import aiohttp
import pytest

from heldout_server.errors import ConfigError
from heldout_server.runtimes import scripted, stopping

TABLE = {"seed": 7, "otherwise": {"comply": 0.5}, "answers": {"comply": ["Sure thing."], "refuse": ["I can't."]}}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "who sings?"}]}


@pytest.fixture
def table_file(tmp_path):
    path = tmp_path / "scripted.json"
    path.write_text(json.dumps(TABLE))
    return path


@pytest.fixture
async def ask(table_file, run_folder):
    """Serve the table in this process, and ask it."""
    stop, socket = asyncio.Event(), run_folder / "s"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scripted.serve(scripted.read_table(table_file), socket, stopped=stop.wait))
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session:

            async def ask(body):
                async with session.post("http://localhost/v1/chat/completions", data=body) as response:
                    return response.status, await response.json()

            while True:
                try:
                    async with session.get("http://localhost/health") as response:
                        assert response.status == 200
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0)
            yield ask
        stop.set()


async def test_an_answer_has_the_shape_of_a_chat_completion(ask):
    status, answer = await ask(json.dumps(ASKED))
    assert status == 200
    (choice,) = answer["choices"]
    assert choice["message"]["content"] in {"Sure thing.", "I can't."}
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(("temperature", "texts"), [(0, 1), (0.7, 2)])
async def test_the_request_seed_counts_at_a_temperature_above_zero_alone(ask, temperature, texts):
    answers = [(await ask(json.dumps(ASKED | {"seed": seed, "temperature": temperature})))[1] for seed in range(20)]
    assert len({answer["choices"][0]["message"]["content"] for answer in answers}) == texts


async def test_max_tokens_cuts_an_answer(ask):
    _, answer = await ask(json.dumps(ASKED | {"max_tokens": 1}))
    (choice,) = answer["choices"]
    assert (choice["message"]["content"] in {"Sure", "I"}, choice["finish_reason"]) == (True, "length")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps(ASKED | {"messages": []}),
        json.dumps(ASKED | {"messages": [{"role": "user"}]}),
        json.dumps(ASKED | {"messages": [{"role": "user", "content": 1}]}),
        json.dumps(ASKED | {"n": 2}),
        json.dumps(ASKED | {"stream": True}),
        json.dumps(ASKED | {"temperature": "hot"}),
        json.dumps(ASKED | {"temperature": 10**400}),
    ],
)
async def test_what_it_does_not_know_is_a_bad_request(ask, body):
    assert (await ask(body))[0] == 400


async def test_latency_delays_an_answer_and_not_those_beside_it(tmp_path, run_folder):
    table = TABLE | {"rules": [{"name": "slow", "pattern": "slow", "latency_ms": 600_000}]}
    (tmp_path / "t").write_text(json.dumps(table))
    app = scripted.build_app(scripted.read_table(tmp_path / "t"))
    runner = aiohttp.web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await aiohttp.web.UnixSite(runner, str(run_folder / "s")).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(run_folder / "s"))) as session:
            url = "http://localhost/v1/chat/completions"
            slow = asyncio.ensure_future(
                session.post(url, json={"messages": [{"role": "user", "content": "slow"}]}, timeout=None)
            )
            async with session.post(url, json=ASKED) as response:
                assert response.status == 200
            assert not slow.done()
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
    finally:
        await runner.cleanup()


def test_a_table_that_cannot_be_read_is_named_by_its_file(tmp_path, monkeypatch):
    with pytest.raises(ConfigError) as caught:
        scripted.read_table(tmp_path / "none.json")
    assert (caught.value.reason, str(tmp_path) in str(caught.value)) == ("TABLE_UNREADABLE", False)
    monkeypatch.setattr(scripted, "MAX_TABLE_BYTES", 10)
    (tmp_path / "large.json").write_text(json.dumps(TABLE))
    with pytest.raises(ConfigError) as caught:
        scripted.read_table(tmp_path / "large.json")
    assert caught.value.reason == "TABLE_TOO_LARGE"


def test_the_command_exits_with_two_for_a_bad_table(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    assert scripted.main(["--socket", str(tmp_path / "s"), "--table", str(tmp_path / "bad.json")]) == 2


def test_the_command_ends_when_its_standard_input_closes(table_file, run_folder):
    command = [sys.executable, "-m", "heldout_server.runtimes.scripted", "--until-eof"]
    done = subprocess.run(
        [*command, "--socket", run_folder / "s", "--table", table_file], input=b"still here", timeout=30, check=False
    )
    assert done.returncode == 0


def test_the_command_serves_until_it_is_told_to_stop(table_file, run_folder, monkeypatch):
    seen = []

    async def stop_asked(*, until_eof):
        seen.append((until_eof, (run_folder / "s").is_socket()))

    monkeypatch.setattr(scripted, "stop_asked", stop_asked)
    assert scripted.main(["--socket", str(run_folder / "s"), "--table", str(table_file)]) == 0
    assert seen == [(False, True)]


async def test_sigterm_asks_it_to_stop():
    asked = asyncio.create_task(stopping.stop_asked(until_eof=False))
    await asyncio.sleep(0)  # it begins, and its handler is in place
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(asked, 30)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_the_end_of_standard_input_asks_it_to_stop_and_what_comes_before_does_not(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(stopping, "STDIN", reading)
    asked = asyncio.create_task(stopping.stop_asked(until_eof=True))
    os.write(writing, b"still here")
    done, _ = await asyncio.wait({asked}, timeout=0.05)
    assert not done
    os.close(writing)
    await asyncio.wait_for(asked, 30)
    os.close(reading)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
