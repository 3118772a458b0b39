"""Keep a crash from saying what it held: an uncaught exception's text, or a core dump, may hold a prompt."""

from __future__ import annotations

import resource
import sys
import threading
from types import TracebackType
from typing import Final

import structlog

from heldout_server.telemetry.logs import error_fields

NO_CORE: Final = (0, 0)


def silence_crashes() -> None:
    """Log uncaught exceptions as type, place and reason alone, and let the kernel write no core dump.

    For the whole process: the commands of the appliance call it once, first of all.
    """
    resource.setrlimit(resource.RLIMIT_CORE, NO_CORE)
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
