"""Decide who may call what, by the Cedar policies of ``authorization.cedar``.

How a call looks to Cedar: the principal is ``Identity::"spiffe://…"`` with the parent ``Role::"trainer"``, the action
is ``Action::"/heldout.v1.FindingsService/GetRelease"``, the resource is ``Appliance::"heldout"``, and there is no
context. So a rule reads ``permit (principal in Role::"trainer", action in [Action::"…"], resource);``.

The rules of this module:

1. Nothing is allowed that no ``permit`` allows (Cedar's own default), and a ``forbid`` wins over every ``permit``.
2. Every policy has an ``@id`` of its own, which the log quotes. A document where one lacks it is refused.
3. Templates are refused: a reader of the document must see all that it allows.
4. Where a policy fails while it is evaluated, Cedar leaves it out and goes on; if that policy was a ``forbid``, going
   on would allow. So any failure denies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cedarpy

from heldout_policy.errors import PolicyError

DOCUMENT: Final = "authorization.cedar"
CACHED_DECISIONS: Final = 4096
"""Decisions kept. A decision depends on identity, role, method and this document, all fixed, so it never goes stale."""

_RULE_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_OPAQUE: Final = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"', re.DOTALL)
_SLOT: Final = re.compile(r"\?(?:principal|resource)\b")
_RESOURCE: Final = {"type": "Appliance", "id": "heldout"}


@dataclass(frozen=True, slots=True)
class AuthorizationDecision:
    """Say whether a call may go on.

    Attributes:
        allowed: whether it may.
        rules: sorted ``@id`` of the policies that decided; empty where no policy allows it, or one failed.
    """

    allowed: bool
    rules: tuple[str, ...]


class Authorization:
    """Hold one parsed document and decide by it. Build it with :meth:`parse`."""

    def __init__(self, policies: cedarpy.PolicySet, methods: frozenset[str]) -> None:
        self._policies = policies
        self._methods = methods
        self._cached = lru_cache(maxsize=CACHED_DECISIONS)(self._decide)

    @classmethod
    def parse(cls, cedar_text: str) -> Authorization:
        """Read the document.

        Raises:
            PolicyError: it is not Cedar, holds no policy or a template, or a policy has no ``@id`` of its own.
        """
        ids: set[str] = set()
        methods: set[str] = set()
        for line, policy in _parse(cedar_text):
            rule = policy.get("annotations", {}).get("id") or ""
            if _RULE_ID.fullmatch(rule) is None:
                message = 'write @id("…") before the policy: lower-case letters, digits and dashes'
                raise PolicyError(message, document=DOCUMENT, line=line, key="@id")
            if rule in ids:
                raise PolicyError("another policy has this @id", document=DOCUMENT, line=line, key=rule)
            ids.add(rule)
            if policy["effect"] == "permit":
                methods.update(_actions(policy))
        if not ids:
            raise PolicyError("there is no policy: nobody could call anything", document=DOCUMENT)
        return cls(cedarpy.PolicySet.from_str(cedar_text), frozenset(methods))

    def methods(self) -> frozenset[str]:
        """Return the full names of the methods that some ``permit`` names: no other can ever be called."""
        return self._methods

    def decide(self, *, identity: str, role: str, method: str) -> AuthorizationDecision:
        """Decide one call.

        Args:
            identity: the URI of the caller's certificate.
            role: what ``principals.toml`` says of it.
            method: full name, for instance ``/heldout.v1.BankService/GetStats``.
        """
        return self._cached(identity, role, method)

    def _decide(self, identity: str, role: str, method: str) -> AuthorizationDecision:
        principal = {"type": "Identity", "id": identity}
        entities = [{"uid": principal, "attrs": {}, "parents": [{"type": "Role", "id": role}]}]
        request = {"principal": principal, "action": {"type": "Action", "id": method}, "resource": _RESOURCE}
        result = cedarpy.is_authorized(request, self._policies, entities)
        if result.diagnostics.errors:
            return AuthorizationDecision(allowed=False, rules=())
        rules = tuple(sorted(result.diagnostics.id_annotations_by_reason.values()))
        return AuthorizationDecision(allowed=result.allowed, rules=rules)


def _parse(text: str) -> Iterator[tuple[int | None, Mapping[str, Any]]]:
    """Yield each policy as Cedar understands it, with the line where it begins."""
    statements = tuple(_statements(text))
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        line = next((line for line, statement in statements if not _is_cedar(statement)), None)
        raise PolicyError(f"not Cedar: {error}", document=DOCUMENT, line=line) from None
    if document["templates"]:
        line = next((line for line, statement in statements if _SLOT.search(statement)), None)
        raise PolicyError("templates are not for this document", document=DOCUMENT, line=line)
    # Cedar names policies policy0, policy1, … in the order of the text.
    policies = sorted(document["staticPolicies"].items(), key=lambda item: int(item[0].removeprefix("policy")))
    for (line, _), (_, policy) in zip(statements, policies, strict=True):
        yield line, policy


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each policy's text with the 1-based line it begins on: for messages alone."""
    # Comments and strings are masked at equal length: a semicolon in them ends nothing.
    masked = _OPAQUE.sub(lambda match: ("" if match[0].startswith("//") else "x").ljust(len(match[0])), text)
    start = 0
    for part in masked.split(";"):
        end = start + len(part)
        if part.strip():
            begins = end - len(part.lstrip())
            yield text.count("\n", 0, begins) + 1, text[begins : end + 1]
        start = end + 1


def _is_cedar(statement: str) -> bool:
    try:
        cedarpy.PolicySet.from_str(statement)
    except ValueError:
        return False
    return True


def _actions(node: object) -> Iterator[str]:
    """Yield the id of every action entity in a policy, wherever it stands."""
    if isinstance(node, dict):
        if node.get("type") == "Action" and isinstance(node.get("id"), str):
            yield node["id"]
        for child in node.values():
            yield from _actions(child)
    elif isinstance(node, list):
        for child in node:
            yield from _actions(child)
