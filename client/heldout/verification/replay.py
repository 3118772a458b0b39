"""Make every recorded decision again, from the log and the policy documents alone.

A ``start`` or ``reload`` event names the documents in force by digest: ``authorization.cedar`` says who may call what,
``principals.toml`` who has which role. A decision depends on nothing but them, the identity and the method: calls that
have all of these in common are decided once.

How a call looks to Cedar is part of the contract: the principal is ``Identity::"spiffe://…"`` in ``Role::"auditor"``,
the action ``Action::"/heldout.v1.AuditService/GetPolicy"``, the resource ``Appliance::"heldout"``. Where a policy fails
while it is evaluated, the call is denied.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from heldout.errors import MissingExtra, VerificationError
from heldout.verification.entry import Detail, Entry
from heldout.verification.history import ALLOW, DECIDED_BY, CallGroup, History

DENY: Final = "deny"
UNKNOWN: Final = "unknown"
"""The identity of whoever is not in ``principals.toml``."""

AUTHORIZATION: Final = "authorization_digest"
PRINCIPALS: Final = "principals_digest"
POLICY: Final = "policy_digest"

Decide = Callable[[str, str, str], tuple[str, tuple[str, ...]]]
"""Takes identity, role and method; returns ``allow`` or ``deny``, and the sorted ids of the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Name calls that the log has decided in another way than its documents do.

    Attributes:
        calls: the calls, all decided alike.
        recorded, replayed: decision and rules as the log has them, and as the documents give them.
    """

    calls: CallGroup
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """Say what came of making the decisions again.

    Attributes:
        decided: calls whose decision was made again.
        differences: those where it came out otherwise.
        undecided: calls of methods that do not exist: nothing was decided, and nothing answered.
        unnamed: calls under a start that names no documents.
        missing: digests of documents that are not at hand, and the calls that were decided by them.
        documents: digests of the ``authorization.cedar`` by which calls were decided again.
    """

    decided: int
    differences: tuple[Difference, ...]
    undecided: int
    unnamed: int
    missing: Mapping[str, int]
    documents: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Say whether every decision was made again."""
        return not self.unnamed and not self.missing


def by_digest(documents: Iterable[bytes]) -> dict[str, bytes]:
    """Return documents by their hex SHA-256."""
    return {hashlib.sha256(document).hexdigest(): document for document in documents}


def replay(history: History, documents: Mapping[str, bytes]) -> ReplayReport:
    """Make every decision of a log again.

    Args:
        history: of a log that was verified.
        documents: policy documents by their hex SHA-256.

    Raises:
        MissingExtra: ``cedarpy`` is not installed.
        VerificationError: a document at hand is not one of its kind.
    """
    named = {event.index: event for event in history.named(*DECIDED_BY)}
    rules = _Rules(documents)
    decided = undecided = unnamed = 0
    differences: list[Difference] = []
    missing: dict[str, int] = {}
    used: dict[str, None] = {}
    for group in history.calls:
        event = named.get(group.period)
        digests = _digests(event)
        if not group.decision:
            undecided += group.calls
        elif event is None or not digests:
            unnamed += group.calls
        elif lacking := [digest for digest in digests if digest not in documents]:
            for digest in lacking:
                missing[digest] = missing.get(digest, 0) + group.calls
        else:
            decided += group.calls
            used[digests[0]] = None
            replayed = rules.decide(group, *digests)
            recorded = _said(group.decision, group.rules)
            if group.policy_digest != event.details.get(POLICY):
                recorded += " under another policy than the one in force"
            if recorded != replayed:
                differences.append(Difference(calls=group, recorded=recorded, replayed=replayed))
    return ReplayReport(
        decided=decided,
        differences=tuple(differences),
        undecided=undecided,
        unnamed=unnamed,
        missing=missing,
        documents=tuple(used),
    )


def _digests(event: Entry | None) -> tuple[str, ...]:
    found: list[Detail] = [] if event is None else [event.details.get(key, "") for key in (AUTHORIZATION, PRINCIPALS)]
    return tuple(each for each in found if isinstance(each, str)) if all(found) else ()


def _said(decision: str, rules: Iterable[str]) -> str:
    by = ", ".join(rules)
    return f"{decision} by {by}" if by else decision


class _Rules:
    """Decide by documents, each read once."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents
        self._deciders: dict[str, Decide] = {}
        self._roles: dict[str, dict[str, str]] = {}

    def decide(self, group: CallGroup, authorization: str, principals: str) -> str:
        """Return what the documents say of a call, in words."""
        if principals not in self._roles:
            self._roles[principals] = read_roles(self._documents[principals])
        role = self._roles[principals].get(group.identity)
        if role is None:
            return DENY if group.identity == UNKNOWN and not group.role else f"{DENY}, for nobody has that name"
        if role != group.role:
            return f"{DENY} as {group.role}, for its role is {role}"
        if authorization not in self._deciders:
            self._deciders[authorization] = cedar_decider(self._documents[authorization])
        return _said(*self._deciders[authorization](group.identity, role, group.name))


def read_roles(principals_toml: bytes) -> dict[str, str]:
    """Return the role of each identity in a ``principals.toml``.

    Raises:
        VerificationError: it is not one.
    """
    try:
        listed = tomllib.loads(principals_toml.decode())["principal"]
        roles = {one["identity"]: one["role"] for one in listed}
    except (ValueError, KeyError, TypeError):
        raise VerificationError("a principals.toml that the log names is not one") from None
    if len(roles) != len(listed):
        raise VerificationError("a principals.toml that the log names gives an identity two roles")
    return roles


def cedar_decider(authorization_cedar: bytes) -> Decide:
    """Return what decides by an ``authorization.cedar``.

    Raises:
        MissingExtra: ``cedarpy`` is not installed.
        VerificationError: it is not Cedar.
    """
    try:
        import cedarpy  # noqa: PLC0415 - an extra: only who replays decisions needs it
    except ImportError:
        raise MissingExtra("deciding again needs Cedar: pip install 'heldout[replay]'") from None
    try:
        policies = cedarpy.PolicySet.from_str(authorization_cedar.decode())
    except ValueError:
        raise VerificationError("an authorization.cedar that the log names is not Cedar") from None

    def decide(identity: str, role: str, method: str) -> tuple[str, tuple[str, ...]]:
        principal = {"type": "Identity", "id": identity}
        entities: list[dict[str, Any]] = [{"uid": principal, "attrs": {}, "parents": [{"type": "Role", "id": role}]}]
        request = {
            "principal": principal,
            "action": {"type": "Action", "id": method},
            "resource": {"type": "Appliance", "id": "heldout"},
        }
        result = cedarpy.is_authorized(request, policies, entities)
        if result.diagnostics.errors:
            return DENY, ()
        rules = tuple(sorted(result.diagnostics.id_annotations_by_reason.values()))
        return (ALLOW if result.allowed else DENY), rules

    return decide
