"""A model file that has taken over its engine: what it can reach from there."""

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest
import structlog
from runtime_children import MESSAGES, NumberedIds, alive, needs_namespaces

from heldout_server.domain import Sampling
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.hardening.contained import MISPLACED, REFUSED, can_contain
from heldout_server.hardening.landlock import landlock_version
from heldout_server.hardening.seccomp import has_filters
from heldout_server.runtimes.process import PYTHON, RuntimeProcess

pytestmark = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")

HOSTILE = """
import ctypes, json, os, socket, subprocess, sys
from aiohttp import web

run, appliance, parent, port, neighbour = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]

def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as one:
        one.connect(address)

def call(name, *arguments):
    if ctypes.CDLL(None, use_errno=True)[name](*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

TRIES = {
    "read the root key": lambda: open(f"{appliance}/keys/root.key").read(),
    "read the bank": lambda: open(f"{appliance}/vault/bank.db", "rb").read(),
    "list the vault": lambda: os.listdir(f"{appliance}/vault"),
    "read another checkpoint": lambda: open(f"{appliance}/staging/other/model").read(),
    "change its own checkpoint": lambda: open(f"{appliance}/staging/own/model", "a"),
    "cut its own checkpoint": lambda: os.truncate(f"{appliance}/staging/own/model", 0),
    "overwrite the bank": lambda: open(f"{appliance}/vault/bank.db", "wb"),
    "cut the bank": lambda: os.truncate(f"{appliance}/vault/bank.db", 0),
    "remove the bank": lambda: os.unlink(f"{appliance}/vault/bank.db"),
    "rename the bank": lambda: os.rename(f"{appliance}/vault/bank.db", f"{appliance}/vault/b.db"),
    "link the bank": lambda: os.link(f"{appliance}/vault/bank.db", os.path.dirname(run) + "/bank.db"),
    "open the root key to everybody": lambda: os.chmod(f"{appliance}/keys/root.key", 0o644),
    "give the root key away": lambda: os.chown(f"{appliance}/keys/root.key", 1000, 1000),
    "write elsewhere": lambda: open("/tmp/hostile", "w"),
    "write beside its socket": lambda: open(run + ".log", "w"),
    "write into shared memory": lambda: open("/dev/shm/hostile", "w"),
    "read the parent's environment": lambda: open(f"/proc/{parent}/environ").read(),
    "read the parent's memory": lambda: open(f"/proc/{parent}/mem", "rb"),
    "trace the parent": lambda: call("ptrace", 16, parent, 0, 0),
    "signal the parent": lambda: os.kill(parent, 0),
    "change the parent's limits": lambda: __import__("resource").prlimit(parent, 4, (0, 0)),
    "connect over TCP": lambda: connect(socket.AF_INET, ("127.0.0.1", port)),
    "connect over TCP, version 6": lambda: connect(socket.AF_INET6, ("::1", port)),
    "send a datagram": lambda: connect(socket.AF_INET, ("127.0.0.1", port), socket.SOCK_DGRAM),
    "connect to a neighbour's socket": lambda: connect(socket.AF_UNIX, neighbour),
    "write to a neighbour's socket": lambda: connect(socket.AF_UNIX, neighbour, socket.SOCK_DGRAM),
    "remove a neighbour's socket": lambda: os.unlink(neighbour),
    "leave a socket for a later child": lambda: socket.socket(socket.AF_UNIX).bind(neighbour + ".note"),
    "start a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"]),
    "make a user namespace": lambda: call("unshare", 0x10000000),
}

def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"

async def complete(request):
    told = json.dumps({
        "pid": os.getpid(),
        "tries": {name: outcome(attempt) for name, attempt in TRIES.items()},
        "own": open(f"{appliance}/staging/own/model").read(),
        "child": subprocess.run([sys.executable, "-I", "-c", f"open({appliance + '/keys/root.key'!r})"]).returncode,
    })
    return web.json_response({"choices": [{"message": {"content": told}, "finish_reason": "stop"}]})

async def health(request):
    return web.Response()

app = web.Application()
app.add_routes([web.post("/v1/chat/completions", complete), web.get("/health", health)])
web.run_app(app, path=run, print=None)
"""


@pytest.fixture
def appliance(tmp_path):
    """Lay out an appliance's folder: what is in it belongs to this very user."""
    files = {
        "keys/root.key": "the root key",
        "vault/bank.db": "the bank",
        "staging/own/model": "its own weights",
        "staging/other/model": "other weights",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    yield tmp_path
    assert {name: (tmp_path / name).read_text() for name in files} == files
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o600 for name in files)


@pytest.fixture
def no_unshare(tmp_path):
    """Write a command that starts what unshare would start, in no namespace."""
    script = tmp_path / "unshare"
    script.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    script.chmod(0o700)
    return str(script)


@pytest.fixture
def listening():
    """Listen on a TCP port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def neighbour(run_folder):
    """Listen on another runtime's socket in the same folder."""
    path = run_folder / "other.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path
        assert path.exists()


@pytest.mark.parametrize("isolation", ["none", pytest.param("namespace", marks=needs_namespaces)])
async def test_a_hostile_child_reaches_its_checkpoint_and_nothing_else(
    appliance, run_folder, listening, neighbour, isolation
):
    def command(path):
        return ("-c", HOSTILE, str(path), str(appliance), str(os.getpid()), str(listening), str(neighbour))

    processes = RuntimeProcess(run_folder, isolation=isolation, ids=NumberedIds())
    async with processes.serve(command, model="m", reads=(appliance / "staging" / "own",)) as child:
        told = json.loads((await child.client.complete(MESSAGES, Sampling(), timeout_s=30)).text.reveal())
    assert {name: said for name, said in told["tries"].items() if said != "PermissionError"} == {}
    assert len(told["tries"]) > 25
    assert told["own"] == "its own weights"  # so that it was refused for where the others lie, and not altogether
    assert told["child"] == 1  # what it starts is contained as well
    assert not alive(told["pid"])


async def test_the_same_child_without_containment_would_reach_all_that_matters(appliance, run_folder):
    """Or the test above would show nothing."""

    def command(_path):
        return ("-c", f"import sys; sys.exit(open({str(appliance / 'keys/root.key')!r}).read() == 'the root key')")

    process = await asyncio.create_subprocess_exec(*PYTHON, *command(None))
    assert await process.wait() == 1


@pytest.mark.parametrize(("code", "says"), [(REFUSED, "Landlock"), (MISPLACED, "install them elsewhere")])
async def test_where_a_child_cannot_be_contained_nothing_is_started(run_folder, no_unshare, code, says):
    launcher = (*PYTHON, "-c", f"import sys; sys.exit({code})")
    processes = RuntimeProcess(
        run_folder, isolation="namespace", ids=NumberedIds(), unshare=no_unshare, launcher=launcher
    )
    with pytest.raises(EndpointError, match=says) as caught:
        async with processes.serve(lambda _path: ("-c", "pass"), model="m"):
            pytest.fail("it must not be served")
    assert caught.value.reason == "NO_CONTAINMENT"


async def test_a_launcher_that_fails_some_other_way_starts_nothing_either(run_folder):
    launcher = (*PYTHON, "-c", "import sys; sys.exit(3)")
    processes = RuntimeProcess(run_folder, isolation="none", ids=NumberedIds(), launcher=launcher)
    with pytest.raises(EndpointError) as caught:
        async with processes.serve(lambda _path: ("-c", "pass"), model="m"):
            pytest.fail("it must not be served")
    assert caught.value.reason == "NO_CONTAINMENT"


@pytest.mark.parametrize(
    ("isolation", "possible", "trust"),
    [("namespace", False, "contained"), ("none", True, "contained"), ("none", False, "exposed")],
)
def test_only_what_is_kept_in_is_called_contained(run_folder, isolation, possible, trust):
    processes = RuntimeProcess(run_folder, isolation=isolation, ids=NumberedIds(), can_contain=lambda: possible)
    assert processes.trust.value == trust


async def test_a_child_that_is_called_contained_is_not_started_where_it_is_not(run_folder):
    """Nor without a namespace of its own: what stands in every release is what holds."""
    unless_required = (*PYTHON, "-c", f"import sys; sys.exit({REFUSED} if '--required' in sys.argv else 3)")
    processes = RuntimeProcess(
        run_folder, isolation="none", ids=NumberedIds(), launcher=unless_required, can_contain=lambda: True
    )
    with pytest.raises(EndpointError, match="Landlock") as caught:
        async with processes.serve(lambda _path: ("-c", "pass"), model="m"):
            pytest.fail("it must not be served")
    assert caught.value.reason == "NO_CONTAINMENT"


def test_what_this_machine_can_contain_is_what_a_required_child_holds():
    assert can_contain() == (landlock_version() > 0 and has_filters())
    assert can_contain()  # for the other tests here contain children for real


async def test_what_holds_is_logged_once_and_not_again_for_each_child(run_folder):
    """How often a child is started anew is an outcome of the checkpoint."""
    processes = RuntimeProcess(run_folder, isolation="none", ids=NumberedIds())
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(RuntimeDied):
                async with processes.serve(lambda _path: ("-c", "pass"), model="m"):
                    pytest.fail("it never came up")
    (line,) = lines
    assert line["event"] == "runtimes_contained"
    assert line["isolation"] == "none"
    assert line["containment"] == ("no_privileges", f"landlock_{landlock_version()}", "seccomp")


async def test_modules_that_lie_above_the_checkpoint_are_not_granted(run_folder):
    """An appliance in a folder of modules would be granted with it, keys and all."""
    inside = Path(structlog.__file__).parent  # in site-packages, as if an appliance were installed there
    processes = RuntimeProcess(run_folder, isolation="none", ids=NumberedIds())
    with pytest.raises(EndpointError, match="install them elsewhere") as caught:
        async with processes.serve(lambda _path: ("-c", "import time; time.sleep(60)"), model="m", reads=(inside,)):
            pytest.fail("it never came up")
    assert caught.value.reason == "NO_CONTAINMENT"
