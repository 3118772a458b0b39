"""Sealing: whether the keys are at hand, who gave them, and what is kept of calls while no log is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SealStatus:
    """Say whether the appliance is sealed.

    Attributes:
        sealed: no key is at hand, and no database is open.
        provider: where the root key comes from, ``file`` or ``shamir``.
        share_set: which set of shares opens it; empty without shares.
        shares: how many there are; 0 without.
        threshold: how many of them, each from another key holder, open it; 0 without.
        given_by: identities of those who have given one since it was sealed.
    """

    sealed: bool
    provider: str
    share_set: str = ""
    shares: int = 0
    threshold: int = 0
    given_by: tuple[str, ...] = ()


class Seal(Protocol):
    """Open and close the appliance."""

    def status(self) -> SealStatus:
        """Say how things stand."""
        ...

    def give_share(self, identity: str, *, share_set: str, number: int, value: bytes) -> SealStatus:
        """Take a share of the root key, 32 bytes, from a key holder.

        Raises:
            InvalidRequest: it is no share of this appliance.
            WrongState: the appliance is open, or this person or somebody with this very share has given one.
        """
        ...

    async def seal(self, identity: str) -> SealStatus:
        """Have everything closed, once that stands in the log.

        Raises:
            WrongState: the appliance is sealed, or would open itself again.
            StorageError: a log cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCall:
    """Hold what the log will say of a call that came while it was closed.

    Attributes:
        name: full name of the method.
        identity, role: who called; ``unknown`` and empty for nobody that is known.
        decision: ``allow`` or ``deny``.
        rules: by which it was decided.
        status: how it ended, ``OK`` or a reason.
        at_s: when, in Unix seconds, a whole minute.
        request_sha256: 32 hex digits of salt, then SHA-256 of salt and request in hex.
        response_sha256: of salt and answer, as in the log; empty for a failure.
    """

    name: str
    identity: str
    role: str
    decision: str
    rules: tuple[str, ...]
    status: str
    at_s: int
    request_sha256: str
    response_sha256: str = ""


class KeptCalls(Protocol):
    """Keep calls until there is a log for them."""

    async def keep(self, call: KeptCall, *, anyway: bool = False) -> bool:
        """Keep a call, durable; say whether there was room for it.

        Args:
            call: what the log will say.
            anyway: whether it is kept even if there is none.

        Raises:
            StorageError: it cannot be kept. Nothing may be answered then.
        """
        ...
