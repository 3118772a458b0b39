"""Hardening is for a whole process and for good, so it is looked at in processes of their own."""

import json
import os
import resource
import subprocess
import sys

import pytest

from heldout_server.hardening import process as hardening_process
from heldout_server.hardening.process import harden_process

HARDEN = """
import dataclasses, faulthandler, json, resource, sys
from heldout_server.hardening.process import harden_process
faulthandler.enable()
done = dataclasses.asdict(harden_process())
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps(done | {
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "faults": faulthandler.is_enabled(),
    "locked_kib": int(status["VmLck"].split()[0]),
}), flush=True)
sys.stdin.read()
"""
GIVE_UP = """
import sys
from heldout_server.hardening.kernel import PR_SET_NO_NEW_PRIVS, control_process, drop_capabilities
from heldout_server.hardening.process import harden_process
control_process(PR_SET_NO_NEW_PRIVS, 1)
drop_capabilities()
"""
NEIGHBOUR = """
for name in ("environ", "maps", "mem"):
    try:
        with open(f"/proc/{sys.argv[1]}/{name}", "rb") as file:
            name == "mem" or file.read(1)
        print(name, "read")
    except OSError as error:
        print(name, type(error).__name__)
"""


def python(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ)


@pytest.fixture
def hardened():
    with python(HARDEN) as process:
        yield process.pid, json.loads(process.stdout.readline())


def test_no_core_dump_no_debugger_and_no_fault_report(hardened):
    _, done = hardened
    assert (done["core"], done["undumpable"], done["faults"]) == ([0, 0], True, False)


def test_memory_is_locked_where_it_is_said_to_be(hardened):
    _, done = hardened
    assert (done["locked_kib"] > 10_000) == done["memory_locked"]


@pytest.mark.parametrize("hardens", [True, False])
def test_a_neighbour_of_the_same_user_cannot_read_its_memory(hardens):
    """Root can, whoever it is: both give up their capabilities first, as any other user's process has none."""
    code = GIVE_UP + ("harden_process()\n" if hardens else "") + "print(flush=True)\nsys.stdin.read()"
    with python(code) as process:
        assert process.stdout.readline() == "\n"
        with python(GIVE_UP + NEIGHBOUR, str(process.pid)) as neighbour:
            told = neighbour.stdout.read().splitlines()
    assert told == [f"{name} {'PermissionError' if hardens else 'read'}" for name in ("environ", "maps", "mem")]


class Limits:
    def __init__(self, memory):
        self.memory = memory
        self.changed = []

    def get(self, _limit):
        return self.memory

    def set(self, limit, value):
        self.changed.append((limit, value))


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Stand in for the kernel: hardening the tests' own process would last."""

    def make(*, memory=(1024, 1024), lock=None, control=None, uid_map="0 0 4294967295", capabilities="0"):
        limits = Limits(memory)
        monkeypatch.setattr("resource.getrlimit", limits.get)
        monkeypatch.setattr("resource.setrlimit", limits.set)
        monkeypatch.setattr("faulthandler.disable", lambda: None)
        monkeypatch.setattr(hardening_process, "lock_memory", lock or (lambda: None))
        monkeypatch.setattr(hardening_process, "control_process", control or (lambda *_: 0))
        (tmp_path / "self").mkdir()
        (tmp_path / "self" / "uid_map").write_text(uid_map)
        (tmp_path / "self" / "status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
        (tmp_path / "swaps").write_text("Filename Type Size Used Priority\n/swap file 1 0 -2\n")
        return limits

    return make


def refuse(*_):
    raise PermissionError


IPC_LOCK = "0000000000004000"
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.mark.parametrize(
    ("system_is", "locked"),
    [
        ({"memory": UNLIMITED}, True),
        ({"memory": (1024, resource.RLIM_INFINITY)}, True),
        ({"memory": (1024, 4096)}, False),  # a later allocation would fail
        ({"memory": (1024, 4096), "capabilities": IPC_LOCK}, True),
        ({"memory": (1024, 4096), "capabilities": IPC_LOCK, "uid_map": "0 1000 1"}, False),  # counts in there alone
        ({"memory": UNLIMITED, "lock": refuse}, False),
    ],
)
def test_memory_is_locked_where_no_limit_can_make_an_allocation_fail(system, tmp_path, system_is, locked):
    system(**system_is)
    assert harden_process(proc=tmp_path).memory_locked is locked


def test_what_cannot_be_had_is_said_and_is_no_failure(system, tmp_path):
    system(control=refuse)
    assert harden_process(proc=tmp_path).undumpable is False
    assert harden_process(proc=tmp_path).swap is True
    assert harden_process(proc=tmp_path / "nowhere").swap is None


def test_core_dumps_are_off_whatever_else_is(system, tmp_path):
    limits = system(control=refuse, lock=refuse)
    harden_process(proc=tmp_path)
    assert (resource.RLIMIT_CORE, (0, 0)) in limits.changed
