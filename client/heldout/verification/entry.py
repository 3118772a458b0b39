"""What a leaf of the log says: one compact JSON object with sorted keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from heldout.errors import VerificationError

INTENT: Final = "intent"
OUTCOME: Final = "outcome"
EVENT: Final = "event"
KINDS: Final = frozenset({INTENT, OUTCOME, EVENT})
RELEASE: Final = "release"
REPAIR: Final = "repair"

Detail: TypeAlias = str | int | tuple[str, ...]

_WORDS: Final = ("identity", "kind", "name", "role")
_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_KEYS: Final = frozenset({"details", "time_s", *_WORDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold one entry of the log.

    Attributes:
        index: 0-based place in the log.
        kind: ``intent`` before a call, ``outcome`` after it, ``event`` for what no caller asked for.
        name: full name of the called method, or of the event.
        identity, role: who called; empty for an event.
        time_s: Unix seconds, a whole minute.
        counter: 1-based number of an intent among those of its identity; 0 for other kinds.
        details: further fields: identifiers, digests, numbers.
    """

    index: int
    kind: str
    name: str
    identity: str
    role: str
    time_s: int
    counter: int
    details: Mapping[str, Detail]


def parse_entry(leaf: bytes, *, index: int) -> Entry:
    """Read a leaf, refusing whatever has a second reading or is not in the log's one form.

    Raises:
        VerificationError: it is not such an object.
    """
    try:
        fields = json.loads(leaf)
        form = _canonical(fields).encode()
    except (ValueError, RecursionError):
        raise VerificationError(f"entry {index} is not JSON") from None
    if form != leaf:  # also where a key stands twice
        raise VerificationError(f"entry {index} is not in canonical form")
    if not isinstance(fields, dict):
        raise VerificationError(f"entry {index} is not an object")
    return _build(fields, index)


def _build(fields: dict[str, Any], index: int) -> Entry:
    kind = fields.get("kind")
    keys = _KEYS | {"counter"} if kind == INTENT else _KEYS
    if fields.keys() != keys or not all(type(fields[key]) is str for key in _WORDS):
        raise VerificationError(f"entry {index} has other fields than an entry has")
    counter, time_s, details = fields.get("counter", 0), fields["time_s"], fields["details"]
    if kind not in KINDS or not isinstance(details, dict) or type(time_s) is not int or type(counter) is not int:
        raise VerificationError(f"entry {index} has a field of another type than an entry has")
    return Entry(
        index=index,
        kind=fields["kind"],
        name=fields["name"],
        identity=fields["identity"],
        role=fields["role"],
        time_s=time_s,
        counter=counter,
        details={key: _detail(value, index) for key, value in details.items()},
    )


def _detail(value: object, index: int) -> Detail:
    if type(value) is str or type(value) is int:
        return value
    if type(value) is list and all(type(item) is str for item in value):
        return tuple(value)
    raise VerificationError(f"entry {index} has a detail that is neither a word, a number nor a list of words")
