"""The allow-list: every field that a log line may hold, and its type. Whoever adds one says here what it is.

What may never stand here: text of prompts or responses, verdicts, how many trials are finished or failed, anything
else that is an outcome of a checkpoint. Strings are names without spaces, so that no prose fits in one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

FIELDS: Final[Mapping[str, type]] = {
    # the line itself
    "event": str,  # a fixed name such as server_started
    "level": str,
    "time": str,  # RFC 3339, UTC
    "room": str,  # which room speaks
    "logger": str,  # which library speaks
    "dropped_fields": tuple,  # names of fields that were not let through
    # calls
    "method": str,
    "status": str,
    "role": str,
    "identity": str,
    "half": str,
    "duration_ms": float,
    # failures
    "error": str,  # name of the exception's type
    "error_at": str,  # module:line that raised it
    "reason": str,  # code of an exception of ours
    "opaque_id": str,  # ties a line to what the caller was told
    # what it is about
    "appliance": str,
    "version": str,
    "address": str,
    "health_address": str,
    "database": str,
    "origin": str,
    "tree_size": int,
    "device": str,  # of the audit log: first or second
    "leaf": int,  # of the audit log: which entry is damaged
    "damage": str,  # what of it: entry, hashes or head
    "run_id": str,
    "release_id": str,
    "release_number": int,
    "epoch_id": str,
    "epoch_number": int,
    "checkpoint": str,
    "line": str,
    "sequence": int,
    "runtime": str,
    "engine": str,
    "trust": str,
    "state": str,
    "policy_digest": str,
    "manifest_digest": str,
    "checkpoint_digest": str,
    "findings": tuple,  # codes of a preflight with harmless questions of ours: nothing of the bank is in them
    "isolation": str,
    "document": str,  # of the policy or the certificates, that was read again
    "document_line": int,
    "document_key": str,
    "step_s": int,  # of the wall clock
    "signal": str,
    # metrics
    "metric": str,
    "value": float,
    "count": int,
}

DROPPED: Final = "dropped_fields"
MAX_CHARACTERS: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_/<\[][A-Za-z0-9._:/@+<>\[\]-]*")
_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def is_declared(key: str, value: object) -> bool:
    """Return whether a field may stand in a log line as it is."""
    declared = FIELDS.get(key)
    if declared is str:
        return _is_name(value)
    if declared is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if declared is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if declared is tuple and key != DROPPED:  # which is the processor's own to say
        return isinstance(value, tuple) and all(_is_name(one) for one in value)
    return False


def _is_name(value: object) -> bool:
    # StrEnum members are strings too; SecretText is not one.
    return isinstance(value, str) and len(value) <= MAX_CHARACTERS and _NAME.fullmatch(value) is not None


def dropped_name(key: object) -> str:
    """Return how a dropped field is named: itself if it looks like a keyword, else ``?``: it could be anything."""
    return key if isinstance(key, str) and _FIELD_NAME.fullmatch(key) else "?"
