"""Map client certificates to principals, and decide their calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from heldout_policy.authorization import Authorization
from heldout_policy.principals import Principals
from heldout_server.domain import Principal, Role
from heldout_server.ports.identity import Decision

PEER_URI: Final = "peer_uri"
"""Where gRPC puts the URI names of a verified client certificate. ``peer_identities`` mixes DNS names in."""


class CertificateGatekeeper:
    """Know callers by the one URI name of their certificate, and decide by Cedar. Deny by default.

    Args:
        principals: who has which role.
        authorization: which role may call what.
    """

    def __init__(self, principals: Principals, authorization: Authorization) -> None:
        self._authorization = authorization
        self._principals = _by_name(principals)

    def replace(self, principals: Principals) -> None:
        """Know these from now on and nobody else, on connections that are open too."""
        self._principals = _by_name(principals)

    def identify(self, auth_context: Mapping[str, Iterable[bytes]]) -> Principal | None:
        """Return who is behind a connection.

        None if there is not exactly one URI name, or if ``principals.toml`` does not list it. Names outside of the
        trust domain cannot be listed there, so they are unknown too.
        """
        names = tuple(auth_context.get(PEER_URI, ()))
        return self._principals.get(names[0]) if len(names) == 1 else None

    def role_of(self, identity: str) -> str | None:
        """Return the role of an identity, or None for one that is not known."""
        principal = self._principals.get(identity.encode())
        return None if principal is None else principal.role.value

    def decide(self, principal: Principal, method: str) -> Decision:
        """Decide whether a principal may call a method, given by its full name."""
        decision = self._authorization.decide(identity=principal.identity, role=principal.role, method=method)
        return Decision(allowed=decision.allowed, rules=decision.rules)


def _by_name(principals: Principals) -> dict[bytes, Principal]:
    """Return principals by the bytes of their URI: identities are plain ASCII, so other bytes are nobody's."""
    return {identity.encode(): Principal(identity, Role(role)) for identity, role in principals.roles.items()}
