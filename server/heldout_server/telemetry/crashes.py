"""Keep a crash from saying what it held: an uncaught exception's text may hold a prompt.

Core dumps are switched off in :mod:`heldout_server.hardening.process`.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType

import structlog

from heldout_server.telemetry.logs import error_fields


def silence_crashes() -> None:
    """Log uncaught exceptions as type, place and reason alone, in the whole process."""
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread


def _log_uncaught(kind: type[BaseException], error: BaseException | None, _traceback: TracebackType | None, /) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    fields = {"error": kind.__name__} if error is None else error_fields(error)
    structlog.get_logger("process").error("uncaught", **fields)


def _log_unraisable(unraisable: sys.UnraisableHookArgs, /) -> None:
    _log_uncaught(unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback)


def _log_thread(arguments: threading.ExceptHookArgs, /) -> None:
    _log_uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
