"""What the tests of runtimes as child processes share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from heldout_server.domain import Message, SecretText

MESSAGES = (Message("user", SecretText("who sings?")),)


class NumberedIds:
    def __init__(self):
        self.number = 0

    def new(self, prefix):
        self.number += 1
        return f"{prefix}-{self.number:016x}"


def can_make_namespaces():
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    return subprocess.run(["unshare", flags, "true"], check=False, capture_output=True).returncode == 0


needs_namespaces = pytest.mark.skipif(not can_make_namespaces(), reason="no network namespace can be made here")


def alive(pid):
    return Path(f"/proc/{pid}").exists()
