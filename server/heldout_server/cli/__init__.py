"""The ``heldout-server`` command: one file a group of commands.

A person never sees a traceback: what goes wrong ends in one line that says what, where and what to do, and exit code 2.
"""

from __future__ import annotations

from heldout_server.cli.app import app, main
from heldout_server.cli.serving import EXIT_LOG_FAILED

__all__ = ["EXIT_LOG_FAILED", "app", "main"]
