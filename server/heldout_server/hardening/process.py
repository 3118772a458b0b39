"""Harden a process of our own: what it holds must not be dumped, read by a neighbour, or swapped out."""

from __future__ import annotations

import faulthandler
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heldout_server.hardening.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, control_process, lock_memory

NO_CORE: Final = (0, 0)
CAP_IPC_LOCK: Final = 14
WHOLE_MACHINE: Final = ["0", "0", "4294967295"]
"""What ``/proc/self/uid_map`` says outside user namespaces: capabilities then count everywhere."""

PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Hardening:
    """Say what holds for this process from now on.

    Attributes:
        undumpable: no other process of this user can trace it or read its memory (prctl(2), ``PR_SET_DUMPABLE``).
        memory_locked: none of its memory is swapped out.
        swap: the machine has swap space in use; None if that cannot be told.
    """

    undumpable: bool
    memory_locked: bool
    swap: bool | None


def harden_process(*, proc: Path = PROC) -> Hardening:
    """Switch off core dumps, debuggers and fault reports, and lock memory where the system lets us.

    Never a failure: what could not be had is in what is returned. Root is kept out by nothing here.
    """
    resource.setrlimit(resource.RLIMIT_CORE, NO_CORE)
    faulthandler.disable()  # it writes stacks to stderr, past the allow-list of log fields
    try:
        control_process(PR_SET_DUMPABLE, 0)
        undumpable = True
    except OSError:
        undumpable = False
    return Hardening(undumpable=undumpable, memory_locked=_lock_memory(proc), swap=_has_swap(proc))


def end_with_parent() -> None:
    """Have the kernel kill this process when whoever started it dies, however busy it is then; kept across exec.

    One that waits for its input sees that end as well. One that computes without end does not, and a killed appliance
    would leave it to take the processor for ever. What counts is the thread that started it.

    Raises:
        OSError: the kernel refuses.
    """
    control_process(PR_SET_PDEATHSIG, signal.SIGKILL)


def _lock_memory(proc: Path) -> bool:
    """Lock all memory, unless a limit stands in the way: under one, a later allocation would fail instead."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY:
        if hard == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        elif not _may_lock(proc):
            return False
    try:
        lock_memory()
    except OSError:
        return False
    return True


def _may_lock(proc: Path) -> bool:
    """Return whether the limit does not count for us: ``CAP_IPC_LOCK``, and not just inside a user namespace."""
    try:
        if (proc / "self/uid_map").read_text().split() != WHOLE_MACHINE:
            return False
        lines = (proc / "self/status").read_text().splitlines()
    except OSError:
        return False
    effective = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> CAP_IPC_LOCK & 1)


def _has_swap(proc: Path) -> bool | None:
    try:
        return len((proc / "swaps").read_text().splitlines()) > 1
    except OSError:
        return None
