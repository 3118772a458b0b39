"""Who calls, and whether they may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from heldout_server.domain import Principal


@dataclass(frozen=True, slots=True)
class Decision:
    """Say whether a call may go on, and by which rules (``@id`` of the Cedar policies that decided)."""

    allowed: bool
    rules: tuple[str, ...]


class Gatekeeper(Protocol):
    """Map certificates to principals and decide calls. Deny by default."""

    def identify(self, auth_context: Mapping[str, Iterable[bytes]]) -> Principal | None:
        """Return who is behind a connection, or None: not exactly one URI name, or an unknown one."""
        ...

    def decide(self, principal: Principal, method: str) -> Decision:
        """Decide whether a principal may call a method, given by its full name."""
        ...
