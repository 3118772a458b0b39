"""What a leaf is: canonical JSON of a record, and the schema that keeps text out of the log. Pure.

A leaf is compact JSON in UTF-8 with sorted keys: ``counter`` (intents only), ``details``, ``identity``, ``kind``,
``name``, ``role``, ``time_s``. Strings are words of printable ASCII: identifiers, digests, URIs. Prose has spaces, so
no prompt, response or free text passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from heldout_server.errors import InvalidRequest
from heldout_server.ports.audit import Record

MAX_LEAF_BYTES: Final = 65_535
"""The longest leaf: its length is a uint16 in an entry bundle (c2sp.org/tlog-tiles)."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest number that every JSON reader reads exactly (RFC 8259 section 6)."""

TIME_BUCKET_S: Final = 60
INTENT: Final = "intent"
OUTCOME: Final = "outcome"
EVENT: Final = "event"
KINDS: Final = frozenset({INTENT, OUTCOME, EVENT})
REPAIR: Final = "repair"

_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_WORD: Final = re.compile(r"[!-~]{0,512}")
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


def encode_entry(record: Record, *, counter: int, now_s: float) -> bytes:
    """Return the exact bytes of the leaf for a record.

    Args:
        record: what is to be logged.
        counter: 1-based number of the intent among those of its identity; left out of other kinds.
        now_s: Unix seconds, rounded down to a whole minute.

    Raises:
        InvalidRequest: the record does not fit the schema, or the leaf is longer than :data:`MAX_LEAF_BYTES`.
    """
    _check(record)
    fields: dict[str, Any] = {
        "details": dict(record.details),
        "identity": record.identity,
        "kind": record.kind,
        "name": record.name,
        "role": record.role,
        "time_s": int(now_s // TIME_BUCKET_S) * TIME_BUCKET_S,
    }
    if record.kind == INTENT:
        fields["counter"] = counter
    entry = _canonical(fields).encode()
    if len(entry) > MAX_LEAF_BYTES:
        raise InvalidRequest(f"a record of {len(entry)} bytes is too long for the log", reason="AUDIT_RECORD_TOO_LONG")
    return entry


def intent_of(record: Record) -> int:
    """Return the index of the intent that an outcome names.

    Raises:
        InvalidRequest: it names none.
    """
    intent = record.details.get(INTENT)
    if not isinstance(intent, int) or intent < 0:
        raise _misfit("an outcome without the index of its intent")
    return intent


def repair_record(*, leaf: int, leaf_hash: bytes) -> Record:
    """Return the event that names a damaged leaf and the hash that the tree keeps of it."""
    return Record(kind=EVENT, name=REPAIR, details={"damage": "entry", "leaf": leaf, "leaf_hash": leaf_hash.hex()})


def is_repair_of(entry: bytes, *, leaf: int, leaf_hash: bytes) -> bool:
    """Say whether an entry is the event that names this leaf with this hash as damaged."""
    try:
        fields = json.loads(entry)
    except (ValueError, RecursionError):
        return False
    wanted = repair_record(leaf=leaf, leaf_hash=leaf_hash)
    return (
        isinstance(fields, dict)
        and (fields.get("kind"), fields.get("name")) == (wanted.kind, wanted.name)
        and fields.get("details") == dict(wanted.details)
    )


def _check(record: Record) -> None:
    if record.kind not in KINDS:
        raise _misfit("an unknown kind")
    if not record.name:
        raise _misfit("an empty name")
    for word in (record.name, record.identity, record.role):
        _check_word(word, "a name, identity or role")
    _check_details(record.details)


def _check_details(details: Mapping[str, Any]) -> None:
    for key, value in details.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise _misfit("a key of the details")
        match value:
            case bool():
                raise _misfit(f"detail {key}: a truth value")
            case int():
                if abs(value) > MAX_INTEGER:
                    raise _misfit(f"detail {key}: a number out of range")
            case tuple():
                for item in value:
                    _check_word(item, f"detail {key}: an item")
            case _:
                _check_word(value, f"detail {key}")


def _check_word(value: object, where: str) -> None:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise _misfit(f"{where} that is not a word of at most 512 printable characters")


def _misfit(what: str) -> InvalidRequest:
    """Name what does not fit, and never quote it."""
    return InvalidRequest(f"the audit schema refuses {what}", reason="AUDIT_SCHEMA")
