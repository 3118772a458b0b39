from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from runtime_children import MESSAGES, NumberedIds, alive, needs_namespaces

from heldout_server.domain import Checkpoint, CheckpointState, Sampling, TrustClass
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.runtimes import ScriptedRuntime
from heldout_server.runtimes.process import MAX_SOCKET_BYTES, Patience, RuntimeProcess

REPORTER = """
import json, os, signal, sys
from aiohttp import web

async def complete(request):
    told = json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), "environment": sorted(os.environ)})
    return web.json_response({"choices": [{"message": {"content": told}, "finish_reason": "stop"}]})

async def health(request):
    return web.Response()

if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
app = web.Application()
app.add_routes([web.post("/v1/chat/completions", complete), web.get("/health", health)])
web.run_app(app, path=sys.argv[1], print=None, handle_signals="stubborn" not in sys.argv)
"""
"""A server that tells what it has; what it may not look at itself is looked at from outside."""


SILENT = """
import os, socket, sys, time
socket.socket(socket.AF_UNIX).bind(f"{sys.argv[1]}.{os.getpid()}")
time.sleep(60)
"""
"""A server that never answers, and tells its id by the name of a socket: it can write no file."""


def network_of(pid):
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def interfaces_of(pid):
    return sorted(line.split(":")[0].strip() for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:])


def open_files_of(pid):
    return [os.path.realpath(one) for one in Path(f"/proc/{pid}/fd").iterdir()]


def processes(run_folder, *, isolation="none", **more):
    return RuntimeProcess(run_folder, isolation=isolation, ids=NumberedIds(), **more)


def reporter(socket, *more):
    return ("-c", REPORTER, str(socket), *more)


async def report(client):
    return json.loads((await client.complete(MESSAGES, Sampling(), timeout_s=30)).text.reveal())


async def test_a_child_sees_no_environment_and_no_open_file_of_ours(run_folder, monkeypatch):
    monkeypatch.setenv("HELDOUT_CANARY", "secret")
    with (run_folder / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        async with processes(run_folder).serve(reporter, model="m") as child:
            told = await report(child.client)
            files = open_files_of(told["pid"])
    assert set(told["environment"]) <= {"LANG", "LC_CTYPE", "PATH"}  # Python itself may set LC_CTYPE (PEP 538)
    assert told["cwd"] == "/"
    assert files
    assert not [file for file in files if file.endswith("/ours")]


async def test_only_this_user_may_open_the_socket(run_folder):
    async with processes(run_folder).serve(reporter, model="m"):
        assert (run_folder / "rt-0000000000000001" / "m.sock").stat().st_mode & 0o077 == 0


async def test_on_leaving_the_child_is_gone_and_so_is_its_socket(run_folder):
    async with processes(run_folder).serve(reporter, model="m") as child:
        pid = (await report(child.client))["pid"]
        assert list(run_folder.iterdir())
    assert not alive(pid)
    assert list(run_folder.iterdir()) == []


async def test_whatever_sockets_a_child_made_none_is_there_for_the_next(run_folder):
    """A file of a known name can be seen: what one child was asked could be written so, and read by another."""
    noting = "import os, socket, sys; socket.socket(socket.AF_UNIX).bind(os.path.dirname(sys.argv[1]) + '/note'); "

    def note(socket):
        assert reporter(socket)[0] == "-c"
        return ("-c", noting + reporter(socket)[1], *reporter(socket)[2:])

    async with processes(run_folder).serve(note, model="m"):
        (own,) = run_folder.iterdir()
        assert sorted(path.name for path in own.iterdir()) == ["m.sock", "note"]
    assert list(run_folder.iterdir()) == []


async def test_an_error_within_ends_the_child_too(run_folder):
    async def fail():
        async with processes(run_folder).serve(reporter, model="m") as child:
            pids.append((await report(child.client))["pid"])
            raise KeyError("ours")

    pids = []
    with pytest.raises(KeyError):
        await fail()
    assert not alive(pids[0])


async def test_a_child_that_ignores_sigterm_is_killed(run_folder):
    patience = Patience(stop_s=0.05)

    def stubborn(socket):
        return reporter(socket, "stubborn")

    async with processes(run_folder, patience=patience).serve(stubborn, model="m") as child:
        pid = (await report(child.client))["pid"]
    assert not alive(pid)
    assert list(run_folder.iterdir()) == []


async def test_a_child_that_dies_is_told_from_an_endpoint_that_fails(run_folder):
    async with processes(run_folder).serve(reporter, model="m") as child:
        os.kill((await report(child.client))["pid"], signal.SIGKILL)
        with pytest.raises(RuntimeDied):
            await child.client.complete(MESSAGES, Sampling(), timeout_s=30)


async def test_a_child_that_ends_before_it_answers_is_a_runtime_that_died(run_folder):
    with pytest.raises(RuntimeDied):
        async with processes(run_folder).serve(lambda _socket: ("-c", "pass"), model="m"):
            pytest.fail("it never came up")


async def test_a_child_that_never_answers_is_given_up(run_folder):
    patience = Patience(start_s=0.05)
    with pytest.raises(EndpointError) as caught:
        async with processes(run_folder, patience=patience).serve(
            lambda _socket: ("-c", "import time; time.sleep(60)"), model="m"
        ):
            pytest.fail("it never came up")
    assert caught.value.reason == "START_TIMEOUT"


async def test_a_socket_path_that_the_kernel_would_cut_is_refused(run_folder):
    with pytest.raises(EndpointError) as caught:
        async with processes(run_folder / ("x" * MAX_SOCKET_BYTES)).serve(reporter, model="m"):
            pytest.fail("it cannot be served")
    assert caught.value.reason == "SOCKET_PATH_TOO_LONG"


async def test_cancelling_the_wait_for_a_child_leaves_none_behind(run_folder):
    waiting, sockets = asyncio.Event(), []

    async def sleep(_seconds):
        if made := list(run_folder.glob("*/silent.*")):
            sockets[:] = made
            waiting.set()
        await asyncio.sleep(0.001)

    def command(socket):
        return ("-c", SILENT, str(socket.with_name("silent")))

    async def serve():
        async with processes(run_folder, patience=Patience(sleep=sleep)).serve(command, model="m"):
            pytest.fail("it never came up")

    task = asyncio.create_task(serve())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (socket,) = sockets
    assert list(run_folder.iterdir()) == []
    assert not alive(socket.suffix.removeprefix("."))


@needs_namespaces
async def test_in_a_namespace_of_its_own_a_child_has_a_loopback_and_nothing_else(run_folder):
    async with processes(run_folder, isolation="namespace").serve(reporter, model="m") as child:
        pid = (await report(child.client))["pid"]
        assert interfaces_of(pid) == ["lo"]
        assert network_of(pid) != network_of("self")
    assert not alive(pid)


@pytest.mark.parametrize("unshare", ["/usr/bin/false", "/nowhere/unshare"])
async def test_where_no_namespace_can_be_made_nothing_is_started(run_folder, unshare):
    with pytest.raises(EndpointError) as caught:
        async with processes(run_folder, isolation="namespace", unshare=unshare).serve(reporter, model="m"):
            pytest.fail("it must not be served")
    assert caught.value.reason == "NO_NAMESPACE"
    assert "isolation" in str(caught.value)


def checkpoint(folder):
    return Checkpoint(
        name="nova-1",
        line="nova",
        sequence=1,
        runtime="scripted",
        digest="00",
        state=CheckpointState.STAGED,
        reason="",
        path=str(folder) if folder else "",
        noticed_s=0,
    )


@pytest.mark.parametrize("staged", [True, False])
async def test_a_checkpoint_without_a_table_is_not_served(tmp_path, run_folder, staged):
    runtime = ScriptedRuntime(run_folder, isolation="none", ids=NumberedIds())
    with pytest.raises(EndpointError) as caught:
        async with runtime.serve(checkpoint(tmp_path if staged else None)):
            pytest.fail("there is nothing to serve")
    assert caught.value.reason == "NO_TABLE"
    assert (runtime.engine, runtime.trust) == ("scripted", TrustClass.CONTAINED)
