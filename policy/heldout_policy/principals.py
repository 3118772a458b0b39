"""Read ``principals.toml``: which identity has which role.

The rules, all of them:

1. ``trust_domain`` is a SPIFFE trust domain: lower-case letters, digits, dots, dashes, underscores.
2. Each ``[[principal]]`` has an ``identity`` and a ``role`` and nothing else. At least one stands there.
3. An identity is ``spiffe://<trust domain>/<path>``, lower case, without empty, ``.`` or ``..`` segments (SPIFFE-ID
   section 2), and at most 256 characters, so that it fits a log entry.
4. A role is one of :data:`ROLES`.
5. An identity stands once: nobody has two roles. In particular nobody is both ``trainer`` and ``bank_tester``, which
   is what keeps the prompts from those who train on the findings.

Whatever breaks a rule refuses the whole document.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from heldout_policy.errors import PolicyError
from heldout_policy.toml_lines import find_line, syntax_error_place

DOCUMENT: Final = "principals.toml"
ROLES: Final = frozenset({"trainer", "bank_tester", "run_tester", "auditor", "operator", "key_holder"})
SEPARATED: Final = frozenset({"trainer", "bank_tester"})
"""Roles that must never meet in one identity."""

MAX_IDENTITY_CHARACTERS: Final = 256
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?")
_SEGMENT: Final = re.compile(r"[a-z0-9._-]+")
_KEYS: Final = frozenset({"identity", "role"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principals:
    """Map identities to roles.

    Attributes:
        trust_domain: the only domain whose names are known.
        roles: role by identity; read-only.
    """

    trust_domain: str
    roles: Mapping[str, str]

    def role_of(self, identity: str) -> str | None:
        """Return the role of an identity, or None for one that is not known here."""
        return self.roles.get(identity)


def parse_principals(text: str) -> Principals:
    """Read the document.

    Args:
        text: the TOML document.

    Raises:
        PolicyError: it breaks one of the rules above; the error names the line and the key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, message = syntax_error_place(error)
        raise PolicyError(message, document=DOCUMENT, line=line) from None
    unknown = sorted(document.keys() - {"trust_domain", "principal"})
    if unknown:
        line = find_line(text, key=unknown[0]) or find_line(text, table=unknown[0])
        raise PolicyError("no such key", document=DOCUMENT, line=line, key=unknown[0])
    trust_domain = _trust_domain(text, document)
    entries = document.get("principal")
    if not isinstance(entries, list) or not entries:
        line = find_line(text, key="principal")
        raise PolicyError("write at least one [[principal]] table", document=DOCUMENT, line=line, key="principal")
    roles: dict[str, str] = {}
    for occurrence, entry in enumerate(entries, start=1):
        identity, role = _entry(text, entry, occurrence=occurrence, trust_domain=trust_domain)
        if identity in roles:
            raise _fault(text, _twice(identity, {roles[identity], role}), key="identity", occurrence=occurrence)
        roles[identity] = role
    return Principals(trust_domain=trust_domain, roles=MappingProxyType(roles))


def _trust_domain(text: str, document: Mapping[str, Any]) -> str:
    value = document.get("trust_domain")
    if not isinstance(value, str) or _TRUST_DOMAIN.fullmatch(value) is None:
        line = find_line(text, key="trust_domain")
        message = "write a SPIFFE trust domain such as heldout.example"
        raise PolicyError(message, document=DOCUMENT, line=line, key="trust_domain")
    return value


def _entry(text: str, entry: object, *, occurrence: int, trust_domain: str) -> tuple[str, str]:
    if not isinstance(entry, dict):
        line = find_line(text, key="principal")
        raise PolicyError("write [[principal]] tables", document=DOCUMENT, line=line, key="principal")
    unknown = sorted(entry.keys() - _KEYS)
    if unknown:
        raise _fault(text, "no such key", key=unknown[0], occurrence=occurrence)
    identity = entry.get("identity")
    if not isinstance(identity, str) or not _is_identity(identity, trust_domain=trust_domain):
        message = f"write a lower-case name under spiffe://{trust_domain}/"
        raise _fault(text, message, key="identity", occurrence=occurrence)
    role = entry.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _fault(text, f"no such role; there are {', '.join(sorted(ROLES))}", key="role", occurrence=occurrence)
    return identity, role


def _is_identity(identity: str, *, trust_domain: str) -> bool:
    prefix = f"spiffe://{trust_domain}/"
    if len(identity) > MAX_IDENTITY_CHARACTERS or not identity.startswith(prefix):
        return False
    segments = identity.removeprefix(prefix).split("/")
    return all(_SEGMENT.fullmatch(segment) and segment not in {".", ".."} for segment in segments)


def _twice(identity: str, roles: set[str]) -> str:
    if roles >= SEPARATED:
        return f"{identity} may not be both trainer and bank_tester"
    return f"{identity} stands twice; an identity has one role"


def _fault(text: str, message: str, *, key: str, occurrence: int) -> PolicyError:
    line = find_line(text, table="principal", key=key, occurrence=occurrence)
    return PolicyError(message, document=DOCUMENT, line=line, key=key)
