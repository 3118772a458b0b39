"""Hooks are for a whole process, so most of these run in processes of their own."""

import json
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import structlog

from heldout_server.telemetry import silence_crashes

CANARY = "zebra-quartz-canary"
SETUP = """
import sys, threading
from heldout_server.config.sections import Telemetry
from heldout_server.telemetry import Metrics, configure
telemetry = configure(Telemetry(log_format="json", log_level="error", metrics_interval_s=0.0))
CANARY = "-".join(["zebra", "quartz", "canary"])
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", SETUP + code], capture_output=True, text=True, check=False, timeout=60, env=os.environ
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError(CANARY)", "ValueError"),
        (
            "def fail(): raise KeyError(CANARY)\nt = threading.Thread(target=fail, name=CANARY)\nt.start(); t.join()",
            "KeyError",
        ),
        ("class Bad:\n    def __del__(self): raise OSError(CANARY)\nx = Bad()\ndel x", "OSError"),
    ],
)
def test_an_uncaught_exception_is_one_line_without_its_text(code, error):
    result = run(code)
    (line,) = result.stderr.splitlines()
    described = json.loads(line)
    assert (described["event"], described["error"], described["room"]) == ("uncaught", error, "process")
    assert described["error_at"].startswith("__main__:")
    assert CANARY not in result.stderr + result.stdout


def test_an_interrupt_says_nothing():
    assert run("raise KeyboardInterrupt").stderr == ""


def test_the_process_meters_count():
    result = run(
        "telemetry.metrics.call('/heldout.v1.A/B', 'OK', 1.0)\n"
        "data = telemetry.reader.get_metrics_data()\n"
        "print(sorted(m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics))\n"
        "telemetry.shutdown()\n"
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["['heldout.call.duration', 'heldout.calls', 'heldout.log.dropped']"]


def test_the_hooks_are_set_and_write_through_the_process_logger(monkeypatch):
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    silence_crashes()
    with structlog.testing.capture_logs() as lines:
        sys.excepthook(ValueError, ValueError(CANARY), None)
        sys.unraisablehook(SimpleNamespace(exc_type=OSError, exc_value=None, exc_traceback=None))
        threading.excepthook(SimpleNamespace(exc_type=KeyError, exc_value=KeyError(CANARY), exc_traceback=None))
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [line["error"] for line in lines] == ["ValueError", "OSError", "KeyError"]
    assert CANARY not in str(lines)
