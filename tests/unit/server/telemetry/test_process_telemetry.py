"""What a process says of itself as it starts."""

import json
import os
import subprocess
import sys

import pytest
import structlog

from heldout_server.hardening.process import Hardening
from heldout_server.telemetry.process import say_hardening

CONFIGURE = """
from heldout_server.config.sections import Telemetry
from heldout_server.telemetry import configure
from heldout_server.hardening.process import harden_process
from heldout_server.telemetry import say_hardening
configure(Telemetry(log_format="json", log_level="info", metrics_interval_s=0.0))
say_hardening(harden_process())
"""


def test_a_process_says_how_far_its_memory_is_kept_from_others():
    result = subprocess.run(
        [sys.executable, "-c", CONFIGURE], capture_output=True, text=True, check=True, timeout=60, env=os.environ
    )
    (line,) = map(json.loads, result.stderr.splitlines())
    assert (line["event"], line["tracing"]) == ("process_hardened", "off")
    assert line["memory"] in {"locked", "not_locked"}
    assert line["swap"] in {"on", "off", "unknown"}
    assert "dropped_fields" not in line


@pytest.mark.parametrize(
    ("hardening", "level"),
    [
        (Hardening(undumpable=True, memory_locked=True, swap=True), "info"),
        (Hardening(undumpable=True, memory_locked=False, swap=False), "info"),
        (Hardening(undumpable=True, memory_locked=False, swap=True), "warning"),
        (Hardening(undumpable=True, memory_locked=False, swap=None), "warning"),
        (Hardening(undumpable=False, memory_locked=True, swap=False), "warning"),
    ],
)
def test_where_memory_may_reach_a_disk_or_a_neighbour_it_is_a_warning(hardening, level):
    with structlog.testing.capture_logs() as lines:
        say_hardening(hardening)
    assert [line["log_level"] for line in lines] == [level]
