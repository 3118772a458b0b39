"""What every room is given."""

from __future__ import annotations

from dataclasses import dataclass

from heldout_server.ports.environment import Clock, Ids
from heldout_server.ports.keys import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Hold what every room is given: time, names and keys."""

    clock: Clock
    ids: Ids
    ring: KeyRing
