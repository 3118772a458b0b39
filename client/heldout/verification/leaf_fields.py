"""What the check of a log looks at in a leaf, read fast.

A leaf in the form that the appliance writes is read by one regular expression. It takes nothing that
:func:`heldout.verification.entry.parse_entry` refuses, and reads it alike; any other leaf goes to that function.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from heldout.verification.entry import INTENT, Detail, Entry, parse_entry

MOST_DETAILS: Final = 8
"""Details of a leaf that the regular expression reads; one with more takes the slower way."""

_KEY: Final = rb'"([a-z0-9_]+)"'
_STRING: Final = rb'"[ !#-\[\]-~]*"'
_NUMBER: Final = rb"(?:0|-?[1-9][0-9]{0,17})"
_VALUE: Final = rb"(" + _STRING + rb"|" + _NUMBER + rb"|\[(?:" + _STRING + rb"(?:," + _STRING + rb")*)?\])"
_FOUND: Final = (b"decision", b"rules", b"policy_digest", b"intent", b"status", b"counter")


def _members(most: int) -> bytes:
    """Return a pattern of up to ``most`` members of an object, with a group for each key and each value."""
    pattern = b""
    for place in range(most):
        comma = b"," if place < most - 1 else b""
        pattern = rb"(?:" + comma + _KEY + rb":" + _VALUE + pattern + rb")?"
    return pattern


_LEAF: Final = re.compile(
    rb'\{(?:"counter":(' + _NUMBER + rb'),)?"details":\{' + _members(MOST_DETAILS) + rb'\},"identity":(' + _STRING
    + rb'),"kind":"(event|intent|outcome)","name":(' + _STRING + rb'),"role":(' + _STRING
    + rb'),"time_s":(' + _NUMBER + rb")\}"
)  # fmt: skip


class Call(NamedTuple):
    """Name a call as its intent and its outcome both do: words in JSON, and its number among those of its identity."""

    name: bytes
    identity: bytes
    role: bytes
    counter: int

    def is_ended_by(self, outcome: Call) -> bool:
        """Say whether an outcome is of this call; one without a number may be of any."""
        return self[:3] == outcome[:3] and outcome.counter in {0, self.counter}


class Fields(NamedTuple):
    """Hold what is looked at in every leaf; words and lists in JSON."""

    kind: bytes
    call: Call
    time_s: int
    decided: tuple[bytes | None, bytes | None, bytes | None]  # decision, rules, policy_digest
    intent: int | None
    status: bytes | None


def read_fields(leaf: bytes, index: int) -> Fields:
    """Read of a leaf what its check looks at.

    Raises:
        VerificationError: it is no entry; see :func:`heldout.verification.entry.parse_entry`.
    """
    found = _LEAF.fullmatch(leaf)
    if found is not None:
        groups = found.groups()
        counter, kind = groups[0], groups[-4]
        places = _places(groups[1:-5:2])
        if places is not None and (counter is not None) == (kind == b"intent"):
            decision, rules, policy, intent, status, told = [groups[place] if place else None for place in places]
            return Fields(
                kind,
                Call(groups[-3], groups[-5], groups[-2], int(counter) if counter else _number(told) or 0),
                int(groups[-1]),
                (decision, rules, policy),
                _number(intent),
                status,
            )
    return _slowly(parse_entry(leaf, index=index))


@lru_cache(maxsize=1024)
def _places(keys: tuple[bytes | None, ...]) -> tuple[int, ...] | None:
    """Return where the values of :data:`_FOUND` stand, 0 for none; None if the keys are not in order, each once."""
    there = [key for key in keys if key is not None]
    if any(one >= other for one, other in pairwise(there)):
        return None
    return tuple(2 + 2 * there.index(key) if key in there else 0 for key in _FOUND)


def _slowly(entry: Entry) -> Fields:
    details = entry.details
    intent, told = details.get(INTENT), details.get("counter")
    number = entry.counter if entry.kind == INTENT else told if isinstance(told, int) else 0
    return Fields(
        entry.kind.encode(),
        Call(_encoded(entry.name), _encoded(entry.identity), _encoded(entry.role), number),
        entry.time_s,
        (_json(details.get("decision")), _json(details.get("rules")), _json(details.get("policy_digest"))),
        intent if isinstance(intent, int) else None,
        _json(details.get("status")),
    )


def _number(raw: bytes | None) -> int | None:
    """Return the number that some JSON holds; None for a word, a list or nothing."""
    return None if raw is None or raw[:1] in b'"[' else int(raw)


def _json(value: Detail | None) -> bytes | None:
    return None if value is None else _encoded(value)


def _encoded(value: Detail) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
