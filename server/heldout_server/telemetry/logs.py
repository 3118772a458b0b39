"""Log lines through an allow-list.

Rooms write ``structlog.get_logger("edge").info("call_failed", method=…)``: a fixed name and declared fields. Anything
undeclared is dropped and counted, and not even its name is told. Of an exception remain its type, our reason code, and
the line that raised it: its text and its traceback may hold values. Other libraries speak through the standard
library's logging; of what they say remain the module that speaks and the level.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

from heldout_server.errors import HeldoutError
from heldout_server.ports.environment import Clock
from heldout_server.telemetry.fields import DROPPED, is_declared

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
UNNAMED: Final = "unnamed_event"
OTHER: Final = "other"
WARNINGS: Final = "py.warnings"
"""The name under which the standard library logs warnings."""


class DropCount:
    """Count the fields that no line could hold, for the metrics: one that grows is a slip in our own code."""

    def __init__(self) -> None:
        self.fields = 0


drops: Final = DropCount()
"""Of this process, as the logging is."""


def configure_logging(*, log_format: str, log_level: str, clock: Clock, stream: TextIO | None = None) -> None:
    """Send all logging of the process, ours and that of libraries, through the allow-list to one stream.

    Args:
        log_format: ``console`` for people, ``json`` for machines: one object a line.
        log_level: ``debug``, ``info``, ``warning`` or ``error``. Libraries are heard from ``warning`` on.
        clock: tells the time of each line.
        stream: where lines go; standard error by default.
    """
    target = sys.stderr if stream is None else stream
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _name_room,
            _Timestamper(clock),
            _describe_exception,
            keep_declared,
            _renderer(log_format, target),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[log_level]),
        logger_factory=lambda *names: _RoomLogger(target, *names),
        cache_logger_on_first_use=False,  # loggers are made at import and in tests, before and after this call
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(level=max(LEVELS[log_level], logging.WARNING))]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def keep_declared(_logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> EventDict:
    """Keep declared fields of declared shapes, and count the others in ``dropped_fields`` (a structlog processor)."""
    kept = {key: value for key, value in event_dict.items() if is_declared(key, value)}
    dropped = len(event_dict) - len(kept)
    kept.setdefault("event", UNNAMED)
    if dropped:
        drops.fields += dropped
        kept[DROPPED] = dropped
    return kept


def error_fields(error: BaseException) -> dict[str, str]:
    """Return what may be said of an exception: its type, where it was raised, and our reason code.

    Its text stays out, and so does that of what caused it.
    """
    fields = {"error": type(error).__name__}
    if isinstance(error, HeldoutError):
        fields["reason"] = error.reason
    raised_at = _innermost(error.__traceback__)
    if raised_at is not None:
        fields["error_at"] = raised_at
    return fields


def _innermost(traceback: TracebackType | None) -> str | None:
    place = None
    while traceback is not None:
        place = f"{traceback.tb_frame.f_globals.get('__name__', '')}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _describe_exception(_logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> EventDict:
    exc_info = event_dict.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event_dict.update(error_fields(error))
    return event_dict


def _name_room(logger: _RoomLogger, _method: str, event_dict: MutableMapping[str, Any]) -> EventDict:
    if logger.room:
        event_dict.setdefault("room", logger.room)
    return event_dict


def _renderer(log_format: str, stream: TextIO) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(sort_keys=True)
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="time", pad_event_to=24)


class _Timestamper:
    """Add the time by the injected clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> EventDict:
        moment = datetime.fromtimestamp(self._clock.now_s(), tz=UTC)
        event_dict["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event_dict


class _RoomLogger(structlog.WriteLogger):
    """Write lines, and know the name that ``get_logger`` was given."""

    def __init__(self, stream: TextIO, room: str = "") -> None:
        super().__init__(stream)
        self.room = room


class _Bridge(logging.Handler):
    """Pass on that a library spoke, and not what it said.

    A logger's name can be anything; told is the longest part of it that is a module here.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line with the library's name and the level."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        described = {} if error is None else error_fields(error)
        getattr(structlog.get_logger(), level)("library_spoke", logger=_module_of(record.name), **described)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: the standard library would write the line and its arguments to stderr."""


def _module_of(name: str) -> str:
    while name and name not in sys.modules and name != WARNINGS:
        name = name.rpartition(".")[0]
    return name or OTHER
