"""A child that computes without end does not outlive an appliance that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BUSY = "while True: pass"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
print(child.pid, flush=True)
time.sleep(600)
"""
SOON_S = 20


def is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds) -> bool:
    end_s = time.monotonic() + SOON_S
    while not (held := holds()) and time.monotonic() < end_s:
        time.sleep(0.02)
    return held


def test_a_busy_child_is_killed_with_its_parent(tmp_path):
    launcher = (sys.executable, "-m", "heldout_server.hardening.contained", "--sockets", str(tmp_path))
    command = (sys.executable, "-c", PARENT, *launcher, "--", "-c", BUSY)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        try:
            assert until(lambda: b"-I" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"))  # it is the command
            parent.kill()
            assert until(lambda: not is_there(child))
        finally:
            if is_there(child):
                os.kill(child, signal.SIGKILL)
            parent.kill()
