"""What every room is given, and what of it is the machine's to decide."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from heldout_server.environment import RandomIds, SystemClock
from heldout_server.ports.environment import Clock, Ids, Noise
from heldout_server.ports.keys import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Hold what is not ours to decide. The defaults take it from the machine; tests bring their own.

    Attributes:
        clock: tells the time.
        ids: invents names.
        noise: what a release adds; None for the one that protects.
        random_bytes: so many bytes for keys, salts, nonces and the order of an epoch.
    """

    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=RandomIds)
    noise: Noise | None = None
    random_bytes: Callable[[int], bytes] = secrets.token_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools(Environment):
    """Hold what every room is given: its environment, and keys."""

    ring: KeyRing
