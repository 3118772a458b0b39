"""What a half is built on, and what it brings to the process that serves it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from heldout_server.api.gate import ApprovedTexts
from heldout_server.app.anchors import Anchors
from heldout_server.app.log_watch import LogWatch
from heldout_server.app.policies import Policies
from heldout_server.app.tools import Tools
from heldout_server.audit import SqlAuditLog
from heldout_server.config import AnyConfig

Registration: TypeAlias = Callable[[grpc.aio.Server], None]
"""Puts a servicer into a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Hold what stands before any room is opened.

    Attributes:
        logs: of the halves that this process serves.
        approved: what may leave as text: both halves keep it up to date.
    """

    config: AnyConfig
    tools: Tools
    policies: Policies
    logs: Mapping[str, SqlAuditLog]
    anchors: Anchors
    log_watch: LogWatch
    approved: ApprovedTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """Hold what a half that is open brings.

    Attributes:
        services: its servicers.
        begin: done once all is open and before the first call.
        work: begins what goes on beside the calls until it is cancelled, by name.
    """

    services: tuple[Registration, ...]
    begin: Callable[[], Awaitable[None]]
    work: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]


Opener: TypeAlias = Callable[[contextlib.AsyncExitStack, Ground], Awaitable[Half]]
"""Opens the rooms of a half; they are closed when the stack unwinds."""
