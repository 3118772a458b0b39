"""Map client certificates to principals, and decide their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._principals = {
            identity: Principal(identity=identity, role=Role(role)) for identity, role in principals.roles.items()
        }

    def identify(self, auth_context: Mapping[str, Sequence[bytes]]) -> Principal | None:
        """Return who is behind a connection.

        None if there is not exactly one URI name, or if ``principals.toml`` does not list it. Names outside of the
        trust domain cannot be listed there, so they are unknown too.
        """
        names = auth_context.get(PEER_URI, ())
        if len(names) != 1:
            return None
        try:
            return self._principals.get(names[0].decode("ascii"))
        except UnicodeDecodeError:
            return None

    def decide(self, principal: Principal, method: str) -> Decision:
        """Decide whether a principal may call a method, given by its full name."""
        decision = self._authorization.decide(identity=principal.identity, role=principal.role, method=method)
        return Decision(allowed=decision.allowed, rules=decision.rules)
